"""What both clients share: events, and reading the lines of a watch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from netlab.api.encoding import decode_trusted
from netlab.api.journal import EventType
from netlab.api.statuses import Status, refusal_of
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[K]):
    """Something that happened to an object. `object` is None only where `type` is SYNCED or BOOKMARK."""

    type: EventType
    object: K | None
    version: str = ""
    """The resourceVersion from which a later watch goes on."""


class LineBuffer:
    """Bytes as they come, cut into lines of any length."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        yield from lines


def read_event(kind: type[K], line: bytes) -> WatchEvent[K]:
    """The event in a line of a watch. Raises Refusal for an ERROR event."""
    parsed = json.loads(line)
    type_, body = EventType(parsed["type"]), parsed["object"]
    if type_ is EventType.ERROR:
        raise refusal_of(Status.model_validate(body))
    version = body["metadata"]["resourceVersion"]
    if type_ is EventType.BOOKMARK:
        return WatchEvent(type_, None, version)
    return WatchEvent(type_, kind.model_validate(body), version)


def read_list(kind: type[K], body: bytes) -> tuple[tuple[K, ...], str]:
    """The objects and the resourceVersion of a list."""
    parsed = json.loads(body)
    return tuple(kind.model_validate(item) for item in parsed["items"]), parsed["metadata"]["resourceVersion"]


def read_answer(kind: type[K], status: int, body: bytes) -> K:
    """The object that a server answered with. Raises Refusal."""
    return decode_trusted(kind, check_answer(status, body))


def check_answer(status: int, body: bytes) -> bytes:
    """`body` where the server agreed. Raises Refusal where it refused."""
    if status < 400:
        return body
    try:
        refused = Status.model_validate_json(body)
    except ValueError:
        text = body.decode(errors="replace").strip()
        refused = Status(code=status, reason="InternalError", message=text or f"HTTP status {status}")
    raise refusal_of(refused)
