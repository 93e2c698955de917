"""Objects of clusters that are not netlab's: what cannot be read is named, and everything else is taken.

A real API server, or a file, holds fields that netlab does not know, leaves others out, and writes null where a list is
empty. One object that makes no sense must not hide the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from netlab.api.encoding import Json, field_path, without_nulls
from netlab.api.events import WatchEvent
from netlab.api.journal import EventType
from netlab.api.statuses import Refusal, Status, refusal_of
from netlab.model.objects import KubernetesObject, ObjectMeta
from netlab.proxy.complaints import Complaint

K = TypeVar("K", bound=KubernetesObject)
NAME_LIMIT = 253
"""Characters of a name, as Kubernetes allows; what is longer is cut in messages."""


@dataclass(frozen=True, slots=True)
class Malformed(Generic[K]):
    """An object that cannot be read: the first field that is wrong (`path`), and why."""

    kind: type[K]
    metadata: ObjectMeta
    path: str
    message: str

    @property
    def key(self) -> str:
        """As KubernetesObject.key has it."""
        return f"{self.metadata.namespace}/{self.metadata.name}" if self.kind.NAMESPACED else self.metadata.name

    def tombstone(self) -> K:
        """An object that has nothing but the name, to tell that it is gone."""
        name = self.kind.__name__
        bare = self.kind.model_construct(api_version=self.kind.API_VERSION, kind=name, metadata=self.metadata)
        return cast("K", bare)

    def complaint(self) -> Complaint:
        """As proxies tell of objects that they cannot serve."""
        return Complaint(self.kind.__name__, self.key, self.path or "the object", self.message)

    def __str__(self) -> str:
        return str(self.complaint())


class Garbage(Exception):
    """What a server sent is not in the Kubernetes API's language; the text says what it is."""


@dataclass(frozen=True, slots=True)
class Page(Generic[K]):
    """A list, or a part of it: then `rest` is the token that asks for what follows. `version` belongs to the list."""

    objects: tuple[K, ...]
    malformed: tuple[Malformed[K], ...]
    version: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class MalformedChange(Generic[K]):
    """An event of a watch about an object that cannot be read."""

    type: EventType
    object: Malformed[K]
    version: str


def read_page(kind: type[K], body: bytes) -> Page[K]:
    """The answer to a list. Garbage."""
    parsed = _parsed(body)
    metadata, items = _mapping(parsed.get("metadata")), parsed.get("items") or []
    if not isinstance(items, list):
        raise Garbage(f"a list of {kind.PLURAL} without items: {body[:80]!r}")
    found = [read_object(kind, item) for item in items]
    return Page(
        objects=tuple(each for each in found if not isinstance(each, Malformed)),
        malformed=tuple(each for each in found if isinstance(each, Malformed)),
        version=_text(metadata, "resourceVersion"),
        rest=_text(metadata, "continue"),
    )


def read_change(kind: type[K], line: bytes) -> WatchEvent[K] | MalformedChange[K]:
    """The event in a line of a watch. Raises Refusal for an ERROR event; Garbage."""
    parsed = _parsed(line)
    try:
        type_ = EventType(_text(parsed, "type"))
    except ValueError:
        raise Garbage(f"a watch of {kind.PLURAL} said {line[:80]!r}") from None
    body = parsed.get("object")
    if type_ is EventType.ERROR:
        raise _refusal(body)
    version = _text(_mapping(_mapping(body).get("metadata")), "resourceVersion")
    if type_ is EventType.BOOKMARK:
        return WatchEvent(type_, None, version)
    found = read_object(kind, body)
    return MalformedChange(type_, found, version) if isinstance(found, Malformed) else WatchEvent(type_, found, version)


def _refusal(body: Json) -> Refusal:
    try:
        return refusal_of(Status.model_validate(body))
    except ValidationError:
        return Refusal(500, "InternalError", f"an error that says: {str(body)[:80]}")


def _parsed(data: bytes) -> dict[str, Json]:
    try:
        parsed: Json = json.loads(data)
        if b"null" in data:
            parsed = without_nulls(parsed)
    except (ValueError, RecursionError):
        raise Garbage(f"not JSON: {data[:80]!r}") from None
    if not isinstance(parsed, dict):
        raise Garbage(f"not a JSON object: {data[:80]!r}")
    return parsed


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(mapping: Mapping[str, Json], key: str) -> str:
    found = mapping.get(key)
    return found if isinstance(found, str) else ""


def read_object(kind: type[K], document: Json) -> K | Malformed[K]:
    """The object in JSON without nulls, or what is wrong with it."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False)[0]
        given = "" if detail["type"] == "missing" else f" (it is {repr(detail['input'])[:80]})"
        return Malformed(
            kind, _metadata(document), _sayable(field_path(detail["loc"])), _sayable(detail["msg"] + given)
        )
    except RecursionError:
        return Malformed(kind, _metadata(document), "", "is nested too deeply")


def _sayable(text: str) -> str:
    """JSON may hold halves of characters (`\\ud800`), which cannot be printed or sent on."""
    return text.encode("utf-8", "replace").decode()


def _metadata(document: Json) -> ObjectMeta:
    """As much of a name as there is."""
    found = document.get("metadata") if isinstance(document, Mapping) else None
    given = found if isinstance(found, dict) else {}
    texts = {
        name: _sayable(text[:NAME_LIMIT]) for name in ("name", "namespace") if isinstance(text := given.get(name), str)
    }
    version = cast("str", given.get("resourceVersion")) if isinstance(given.get("resourceVersion"), str) else None
    return ObjectMeta(name=texts.get("name", ""), namespace=texts.get("namespace"), resource_version=version)
