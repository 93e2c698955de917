"""What belonged to an object goes with it: a Deployment's Pods, a Service's slices."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api.controllers.index import Groups, Index
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import Deployment, EndpointSlice, KubernetesObject, Pod, Service

OWNERS = (Deployment, Service)


class GarbageCollector:
    """Key: the uid of an owner that is gone."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index

    def all_keys(self) -> Iterable[str]:
        """The owners that others name and that are not there, as after a crash in the midst of it."""
        there = {value.metadata.uid for kind in OWNERS for value in self._store.list(kind)}
        named = (*self._index.pods_by_owner.groups(), *self._index.slices_by_owner.groups())
        return [str(uid) for uid in named if uid not in there and self._is_ours(str(uid))]

    def _is_ours(self, uid: str) -> bool:
        """Owners of kinds that this server does not know are none of its business."""
        owned = (
            *(self._store.find_key(Pod, key) for key in self._index.pods_by_owner.of(uid)),
            *(self._store.find_key(EndpointSlice, key) for key in self._index.slices_by_owner.of(uid)),
        )
        kinds = {kind.__name__ for kind in OWNERS}
        references = (owner for value in owned if value for owner in value.metadata.owner_references)
        return any(owner.uid == uid and owner.kind in kinds for owner in references)

    def keys_of(self, change: Change) -> Iterable[str]:
        """A deleted owner."""
        gone = change.type is EventType.DELETED and isinstance(change.object, OWNERS)
        return (change.object.metadata.uid or "",) if gone else ()

    def reconcile(self, key: str) -> None:
        """Delete what the owner had."""
        self._delete(Pod, self._index.pods_by_owner, key)
        self._delete(EndpointSlice, self._index.slices_by_owner, key)

    def _delete(self, kind: type[KubernetesObject], owned: Groups, owner: str) -> None:
        for key in owned.of(owner):
            namespace, _, name = key.partition("/")
            self._store.delete(kind, name, namespace)
