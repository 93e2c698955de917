"""What a client that lists and watches knows, so that a second list can be told as changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from netlab.api.events import WatchEvent
from netlab.api.journal import EventType
from netlab.model.objects import KubernetesObject

__all__ = ["EventType", "Reflection", "WatchEvent"]

K = TypeVar("K", bound=KubernetesObject)


class Reflection(Generic[K]):
    """What a reflecting client knows, so that a second list can be told as changes."""

    def __init__(self) -> None:
        self._known: dict[str, K] = {}
        self._synced = False

    def note(self, event: WatchEvent[K]) -> None:
        """Take in an event of the watch."""
        if event.object is None:
            return
        if event.type is EventType.DELETED:
            self._known.pop(event.object.key, None)
        else:
            self._known[event.object.key] = event.object

    def knows(self, key: str) -> bool:
        """Whether an object of that key is there, as far as is known."""
        return key in self._known

    def relisted(
        self, objects: tuple[K, ...], version: str, *, kept: Collection[str] = ()
    ) -> tuple[WatchEvent[K], ...]:
        """How a list differs from what was known; SYNCED after the first. Objects with the keys `kept` are not gone."""
        events: list[WatchEvent[K]] = []
        listed = {value.key: value for value in objects}
        listed |= {key: self._known[key] for key in kept if key in self._known and key not in listed}
        for key, gone in self._known.items():
            if key not in listed or listed[key].metadata.uid != gone.metadata.uid:
                events.append(WatchEvent(EventType.DELETED, gone, version))
        for key, value in listed.items():
            before = self._known.get(key)
            if before is None or before.metadata.uid != value.metadata.uid:
                events.append(WatchEvent(EventType.ADDED, value, version))
            elif before.metadata.resource_version != value.metadata.resource_version:
                events.append(WatchEvent(EventType.MODIFIED, value, version))
        self._known = listed
        if not self._synced:
            self._synced = True
            events.append(WatchEvent(EventType.SYNCED, None, version))
        return tuple(events)
