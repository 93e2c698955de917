"""The namespaces that are always there, and the end of everything in one that goes."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api.admission.entrance import PERMANENT_NAMESPACES
from netlab.api.journal import EventType
from netlab.api.registry import SERVED
from netlab.api.store import Change, Store
from netlab.model.objects import Namespace, ObjectMeta


class NamespaceController:
    """Key: the name of a namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all_keys(self) -> Iterable[str]:
        """The permanent ones, and those in which anything is."""
        found = (key.partition("/")[0] for kind in SERVED if kind.NAMESPACED for key in self._store.keys(kind))
        return (*PERMANENT_NAMESPACES, *found)

    def keys_of(self, change: Change) -> Iterable[str]:
        """A deleted namespace."""
        deleted = isinstance(change.object, Namespace) and change.type is EventType.DELETED
        return (change.object.metadata.name,) if deleted else ()

    def reconcile(self, key: str) -> None:
        """Make a permanent namespace; empty one that is gone."""
        if self._store.find(Namespace, key) is not None:
            return
        if key in PERMANENT_NAMESPACES:
            labels = {"kubernetes.io/metadata.name": key}
            self._store.create(Namespace(metadata=ObjectMeta(name=key, labels=labels)))
            return
        for kind in SERVED:
            if kind.NAMESPACED:
                for value in self._store.list(kind, key):
                    self._store.delete(kind, value.metadata.name, key)
