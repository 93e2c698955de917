"""The objects of a lab: in memory to be read, in the journal to last, and one version counter for all of them.

Synchronous and single-threaded. A write returns when the journal has it; then the subscribers are called, in the order
in which they came, before the write returns. Nothing here knows what a Service or a Pod is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast
from uuid import uuid4

from netlab.api.encoding import decode_trusted, encode
from netlab.api.journal import Entry, EventType, Journal
from netlab.api.registry import BY_PLURAL, object_key
from netlab.api.statuses import already_exists, conflict, expired, from_the_future, not_found
from netlab.model import timestamp
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)
K_co = TypeVar("K_co", bound=KubernetesObject, covariant=True)

HISTORY = 10_000
"""How many writes a watch may be behind."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[K_co]):
    """An object and its JSON."""

    object: K_co
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the object as it became (DELETED: as it was, with the deletion's version), and as it was before."""

    type: EventType
    version: int
    object: KubernetesObject
    encoded: bytes
    previous: KubernetesObject | None


Subscriber = Callable[[Change], None]


def _uid() -> str:
    return str(uuid4())


class Store:
    """All objects. `path` None keeps them in memory; `now` and `uid` give creation times and uids."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        now: Callable[[], str] = timestamp.now,
        uid: Callable[[], str] = _uid,
        history: int = HISTORY,
    ) -> None:
        self.now = now
        self._uid = uid
        self._history = history
        self._journal = Journal(path)
        self._horizon = self._journal.horizon
        self._version = self._horizon
        self._objects: dict[str, dict[str, Stored[KubernetesObject]]] = {plural: {} for plural in BY_PLURAL}
        self._subscribers: dict[int, Subscriber] = {}
        self._subscriptions = 0
        self._replay()

    def _replay(self) -> None:
        latest: dict[tuple[str, str], Entry] = {}
        for entry in self._journal.entries():
            self._version = entry.version
            if entry.type is EventType.DELETED:
                latest.pop((entry.kind, entry.key), None)
            else:
                latest[entry.kind, entry.key] = entry
        for entry in latest.values():
            value: KubernetesObject = decode_trusted(BY_PLURAL[entry.kind], entry.object)
            self._objects[entry.kind][entry.key] = Stored(value, entry.object)

    @property
    def version(self) -> int:
        """The resourceVersion of the last write."""
        return self._version

    def find(self, kind: type[K], name: str, namespace: str | None = None) -> K | None:
        """The object, or None."""
        return self.find_key(kind, object_key(kind, name, namespace))

    def find_key(self, kind: type[K], key: str) -> K | None:
        """The object with that key (`namespace/name`), or None."""
        stored = self._objects[kind.PLURAL].get(key)
        return cast(K, stored.object) if stored else None

    def get(self, kind: type[K], name: str, namespace: str | None = None) -> K:
        """The object. Raises ObjectNotFound."""
        return self.stored(kind, name, namespace).object

    def stored(self, kind: type[K], name: str, namespace: str | None = None) -> Stored[K]:
        """The object and its JSON. Raises ObjectNotFound."""
        stored = self._objects[kind.PLURAL].get(object_key(kind, name, namespace))
        if stored is None:
            raise not_found(kind, name)
        return cast(Stored[K], stored)

    def list(self, kind: type[K], namespace: str | None = None) -> tuple[K, ...]:
        """The objects of a kind in one namespace or (None) in all, in the order of their keys."""
        return tuple(stored.object for stored in self.all_stored(kind, namespace))

    def all_stored(self, kind: type[K], namespace: str | None = None) -> tuple[Stored[K], ...]:
        """The same with their JSON."""
        kept = self._objects[kind.PLURAL]
        prefix = f"{namespace}/" if namespace and kind.NAMESPACED else ""
        return tuple(cast(Stored[K], kept[key]) for key in sorted(kept) if key.startswith(prefix))

    def keys(self, kind: type[KubernetesObject]) -> Iterable[str]:
        """The keys of all objects of a kind, oldest first."""
        return self._objects[kind.PLURAL].keys()

    def count(self, kind: type[KubernetesObject]) -> int:
        """How many objects of a kind there are."""
        return len(self._objects[kind.PLURAL])

    def create(self, value: K) -> K:
        """Write a new object, with a uid and a creation time. Raises Refusal AlreadyExists."""
        if value.key in self._objects[value.PLURAL]:
            raise already_exists(type(value), value.metadata.name)
        stamps = {"uid": self._uid(), "creation_timestamp": self.now()}
        return self._write(value, EventType.ADDED, previous=None, stamps=stamps)

    def preview(self, value: K) -> K:
        """What `create` or `update` would give, but for a new object's resourceVersion; nothing is written."""
        previous = self.find(type(value), value.metadata.name, value.metadata.namespace)
        if previous is None:
            return _with_metadata(value, {"uid": self._uid(), "creation_timestamp": self.now()})
        self.check_current(value, previous)
        return _with_metadata(value, _kept(previous))

    def update(self, value: K) -> K:
        """Write a new version of an object, unless it is the same as before.

        Raises ObjectNotFound, and Refusal Conflict where `value` carries a resourceVersion or uid that is not the
        present one. Uid and creation time stay what they were.
        """
        previous = self.get(type(value), value.metadata.name, value.metadata.namespace)
        self.check_current(value, previous)
        stamps = _kept(previous)
        if _with_metadata(value, stamps) == previous:
            return previous
        return self._write(value, EventType.MODIFIED, previous=previous, stamps=stamps)

    def delete(self, kind: type[K], name: str, namespace: str | None = None) -> K:
        """Remove an object and give its last state, with the deletion's resourceVersion. Raises ObjectNotFound."""
        previous = self.get(kind, name, namespace)
        return self._write(previous, EventType.DELETED, previous=previous, stamps={})

    @staticmethod
    def check_current(value: KubernetesObject, previous: KubernetesObject) -> None:
        """Raise Refusal Conflict where `value` was made from another version or life of the object."""
        given, present = value.metadata, previous.metadata
        if given.uid and given.uid != present.uid:
            why = f"Precondition failed: UID in precondition: {given.uid}, UID in object meta: {present.uid}"
            raise conflict(type(value), given.name, why)
        if given.resource_version and given.resource_version != present.resource_version:
            raise conflict(type(value), given.name)

    def _write(self, value: K, type_: EventType, *, previous: K | None, stamps: Mapping[str, str | None]) -> K:
        version = self._version + 1
        written = _with_metadata(value, {**stamps, "resource_version": str(version)})
        encoded, key, kept = encode(written), value.key, self._objects[value.PLURAL]
        replaced = int(previous.metadata.resource_version or 0) if previous else 0
        self._journal.append(Entry(version, replaced, type_, value.PLURAL, key, encoded))
        self._version = version
        if type_ is EventType.DELETED:
            del kept[key]
        else:
            kept[key] = Stored(written, encoded)
        change = Change(type_, version, written, encoded, previous)
        for subscriber in tuple(self._subscribers.values()):
            subscriber(change)
        self._compact_sometimes()
        return written

    def _compact_sometimes(self) -> None:
        if self._version - self._horizon >= 2 * self._history:
            self._horizon = self._version - self._history
            self._journal.compact(self._horizon)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have `subscriber` called with every later write, in their order. Call the result to end it."""
        self._subscriptions += 1
        number = self._subscriptions
        self._subscribers[number] = subscriber
        return lambda: self._subscribers.pop(number, None) and None

    def changes_since(self, kind: type[KubernetesObject], version: int) -> tuple[Change, ...]:
        """The writes to objects of a kind after `version`. Raises Refusal Expired where some are forgotten."""
        self.check_version(version)
        if version < self._horizon:
            raise expired(version, self._horizon)
        return tuple(_change(kind, entry, before) for entry, before in self._journal.since(version, kind.PLURAL))

    def check_version(self, version: int) -> None:
        """Raise Refusal Timeout where `version` has not been reached."""
        if version > self._version:
            raise from_the_future(version, self._version)

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        self._journal.close()


def _kept(previous: KubernetesObject) -> dict[str, str | None]:
    """The metadata that no write changes."""
    kept = previous.metadata
    return {
        "uid": kept.uid,
        "creation_timestamp": kept.creation_timestamp,
        "resource_version": kept.resource_version,
    }


def _with_metadata(value: K, changed: Mapping[str, str | None]) -> K:
    """A copy with other metadata; apiVersion and kind count as set from here on, so that they are encoded."""
    metadata = value.metadata.model_copy(update=changed)
    return value.model_copy(update={"api_version": value.api_version, "kind": value.kind, "metadata": metadata})


def _change(kind: type[KubernetesObject], entry: Entry, before: bytes | None) -> Change:
    previous = decode_trusted(kind, before) if before else None
    return Change(entry.type, entry.version, decode_trusted(kind, entry.object), entry.object, previous)
