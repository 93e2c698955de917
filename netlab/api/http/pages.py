"""Long lists in pages: each later page is of the same moment as the first.

What a first page leaves over is kept here, objects that are in memory anyway, until the client has come for it or too
many others have come since. A token whose rest is gone is refused as Kubernetes does it (410); the client lists anew.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from netlab.api.statuses import Refusal, bad_request
from netlab.api.store import Stored
from netlab.model.objects import KubernetesObject

Found = Sequence[Stored[KubernetesObject]]
REMEMBERED = 64
"""Lists of which the rest is kept."""
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You must start a new list without "
    "the continue parameter."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Objects of one moment: its resourceVersion, the token for the next page ("": this is the last), what is left."""

    items: Found
    version: int
    token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class _Rest:
    items: Found
    version: int
    asked: tuple[str, ...]
    """Of what the list is: a token is good for that alone."""


class Pages:
    """The rests of lists, by the number that is in their tokens."""

    def __init__(self) -> None:
        self._rests: OrderedDict[int, _Rest] = OrderedDict()
        self._count = 0

    def first(self, items: Found, version: int, *, limit: int, asked: tuple[str, ...]) -> Page:
        """The first page of a list."""
        return self._page(_Rest(items, version, asked), start=0, limit=limit)

    def next(self, token: str, *, limit: int, asked: tuple[str, ...]) -> Page:
        """The page to which a token leads. Raises Refusal: 400 for what is no token, 410 where its rest is gone."""
        number, start = _read(token)
        rest = self._rests.get(number)
        if rest is None:
            raise Refusal(410, "Expired", TOO_OLD)
        if rest.asked != asked:
            raise bad_request("continue key is not valid: it is of another list")
        return self._page(rest, start=start, limit=limit, number=number)

    def _page(self, rest: _Rest, *, start: int, limit: int, number: int = 0) -> Page:
        end = start + limit if limit else len(rest.items)
        if end >= len(rest.items):
            return Page(rest.items[start:], rest.version)
        number = number or self._remember(rest)
        token = base64.urlsafe_b64encode(json.dumps([number, end]).encode()).decode().rstrip("=")
        return Page(rest.items[start:end], rest.version, token, len(rest.items) - end)

    def _remember(self, rest: _Rest) -> int:
        self._count += 1
        self._rests[self._count] = rest
        if len(self._rests) > REMEMBERED:
            self._rests.popitem(last=False)
        return self._count


def _read(token: str) -> tuple[int, int]:
    try:
        number, start = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(number), max(0, int(start))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad_request("continue key is not valid: it cannot be read") from error
