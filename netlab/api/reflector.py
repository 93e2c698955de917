"""What a client that lists and watches knows, so that a second list can be told as changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, NamedTuple, TypeVar, cast

from netlab.api.events import WatchEvent
from netlab.api.journal import EventType
from netlab.model.objects import KubernetesObject, ObjectMeta

__all__ = ["EventType", "Reflection", "WatchEvent"]

K = TypeVar("K", bound=KubernetesObject)


class _Known(NamedTuple):
    """Which object, and which state of it: all that is kept, since objects of a large cluster take tens of MB."""

    uid: str | None
    version: str | None


class Reflection(Generic[K]):
    """What a reflecting client knows, so that a second list can be told as changes.

    An object that is gone in between is told as a tombstone: of its metadata it has name, namespace and uid alone.
    """

    def __init__(self, kind: type[K]) -> None:
        self._kind = kind
        self._known: dict[str, _Known] = {}
        self._synced = False

    def note(self, event: WatchEvent[K]) -> None:
        """Take in an event of the watch."""
        if event.object is None:
            return
        if event.type is EventType.DELETED:
            self._known.pop(event.object.key, None)
        else:
            self._known[event.object.key] = _known(event.object)

    def knows(self, key: str) -> bool:
        """Whether an object of that key is there, as far as is known."""
        return key in self._known

    def relisted(
        self, objects: tuple[K, ...], version: str, *, kept: Collection[str] = ()
    ) -> tuple[WatchEvent[K], ...]:
        """How a list differs from what was known; SYNCED after the first. Objects with the keys `kept` are not gone."""
        events: list[WatchEvent[K]] = []
        listed = {value.key: value for value in objects}
        now = {key: _known(value) for key, value in listed.items()}
        now |= {key: self._known[key] for key in kept if key in self._known and key not in now}
        for key, gone in self._known.items():
            if key not in now or now[key].uid != gone.uid:
                events.append(WatchEvent(EventType.DELETED, _tombstone(self._kind, key, gone), version))
        for key, value in listed.items():
            before = self._known.get(key)
            if before is None or before.uid != now[key].uid:
                events.append(WatchEvent(EventType.ADDED, value, version))
            elif before.version != now[key].version:
                events.append(WatchEvent(EventType.MODIFIED, value, version))
        self._known = now
        if not self._synced:
            self._synced = True
            events.append(WatchEvent(EventType.SYNCED, None, version))
        return tuple(events)


def _known(value: KubernetesObject) -> _Known:
    return _Known(value.metadata.uid, value.metadata.resource_version)


def _tombstone(kind: type[K], key: str, known: _Known) -> K:
    """An object that has nothing but what tells which it was."""
    namespace, _, name = key.rpartition("/")
    metadata = ObjectMeta(name=name, namespace=namespace or None, uid=known.uid)
    bare = kind.model_construct(api_version=kind.API_VERSION, kind=kind.__name__, metadata=metadata)
    return cast("K", bare)
