"""One client's watch: the changes that concern it, as lines of JSON, in a queue that cannot grow without bound.

A client that reads too slowly has its stream ended with an ERROR event (410): it lists anew, or comes back with the
last resourceVersion that it saw and finds the rest in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator

from netlab.api.encoding import encode
from netlab.api.journal import EventType
from netlab.api.selectors import Predicate
from netlab.api.spelling import Spelling
from netlab.api.statuses import Refusal
from netlab.api.store import Change, Store
from netlab.model.objects import KubernetesObject

QUEUE_LIMIT = 16 * 1024 * 1024
"""Bytes that may wait for a client to read them."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
Spell = Callable[[KubernetesObject, bytes], bytes]
"""Writes an object, of which the JSON is at hand, for one client."""


class Watch:
    """The changes to objects of one kind, in one namespace or all, that match a selector. Listens from its making."""

    def __init__(
        self,
        store: Store,
        kind: type[KubernetesObject],
        spell: Spell = lambda _value, body: body,
        *,
        namespace: str | None = None,
        matches: Predicate | None = None,
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self.kind = kind
        self.spell = spell
        self.version = store.version
        """Up to where the client knows everything once the queue is empty."""
        self.overrun = False
        """Whether the client read too slowly: what it missed is not in the queue."""
        self._namespace = namespace
        self._matches = matches
        self._limit = limit
        self._lines: list[bytes] = []
        self._waiting = 0
        self._wake = asyncio.Event()
        self.close = store.subscribe(self._on_change)

    def wants(self, value: KubernetesObject) -> bool:
        """Whether the object is among those watched."""
        return self._matches is None or self._matches(value)

    def lines_for(self, changes: Iterable[Change]) -> Iterator[bytes]:
        """The lines for changes of the past."""
        for change in changes:
            if line := self._line(change):
                yield line

    async def take(self, timeout: float) -> bytes:
        """What has come, as soon as anything has; empty after `timeout` seconds or on overrun."""
        if not self._lines and not self.overrun:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)
        self._wake.clear()
        taken = b"".join(self._lines)
        self._lines, self._waiting = [], 0
        return taken

    def _on_change(self, change: Change) -> None:
        self.version = change.version
        if type(change.object) is not self.kind or self.overrun:
            return
        if line := self._line(change):
            self._waiting += len(line)
            self._lines.append(line)
            self._wake.set()
        if self._waiting > self._limit:
            self.overrun = True
            self._lines = []
            self.close()

    def _line(self, change: Change) -> bytes | None:
        if self._namespace and change.object.metadata.namespace != self._namespace:
            return None
        if self._matches is None:
            return self._written(change.type, change.object, change.encoded)
        before = change.previous is not None and self._matches(change.previous)
        after = change.type is not EventType.DELETED and self._matches(change.object)
        return self._transition_line(change, before=before, after=after)

    def _transition_line(self, change: Change, *, before: bool, after: bool) -> bytes | None:
        """An object that begins to match is new to the client; one that ceases to is gone: as it was, new version."""
        if after:
            return self._written(EventType.MODIFIED if before else EventType.ADDED, change.object, change.encoded)
        if not before:
            return None
        if change.type is EventType.DELETED or change.previous is None:
            return self._written(EventType.DELETED, change.object, change.encoded)
        metadata = change.previous.metadata.model_copy(update={"resource_version": str(change.version)})
        gone = change.previous.model_copy(update={"metadata": metadata})
        return self._written(EventType.DELETED, gone, encode(gone))

    def _written(self, type_: EventType, value: KubernetesObject, encoded: bytes) -> bytes:
        return event_line(type_, self.spell(value, encoded))


def event_line(type_: EventType, encoded: bytes) -> bytes:
    """One line of a watch's answer."""
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), encoded)


def bookmark_line(
    kind: type[KubernetesObject], spelling: Spelling, version: int, *, initial_events_end: bool = False
) -> bytes:
    """A line that tells a client how far it has come; with the annotation, that it has seen every object."""
    annotations = {"annotations": {INITIAL_EVENTS_END: "true"}} if initial_events_end else {}
    metadata = {"resourceVersion": str(version), **annotations}
    bookmark = {"kind": kind.__name__, "apiVersion": spelling.api_version, "metadata": metadata}
    return event_line(EventType.BOOKMARK, json.dumps(bookmark, separators=(",", ":")).encode())


def error_line(refusal: Refusal) -> bytes:
    """The line that ends a watch which cannot go on."""
    return event_line(EventType.ERROR, refusal.body().encode())
