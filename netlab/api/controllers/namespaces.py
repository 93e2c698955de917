"""The namespaces that are always there, and the end of everything in one that goes."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api.admission.entrance import PERMANENT_NAMESPACES
from netlab.api.deleting import end
from netlab.api.journal import EventType
from netlab.api.registry import SERVED
from netlab.api.store import Change, Store
from netlab.model.objects import Namespace, NamespaceStatus, ObjectMeta


class NamespaceController:
    """Key: the name of a namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all_keys(self) -> Iterable[str]:
        """The permanent ones, those that are ending, and those in which anything is."""
        ending = (each.metadata.name for each in self._store.list(Namespace) if each.metadata.deletion_timestamp)
        found = (key.partition("/")[0] for kind in SERVED if kind.NAMESPACED for key in self._store.keys(kind))
        return (*PERMANENT_NAMESPACES, *ending, *found)

    def keys_of(self, change: Change) -> Iterable[str]:
        """A namespace that ends or is gone, and one that ends and has an object less."""
        metadata = change.object.metadata
        if isinstance(change.object, Namespace):
            return (metadata.name,) if metadata.deletion_timestamp or change.type is EventType.DELETED else ()
        if change.type is EventType.DELETED and metadata.namespace:
            namespace = self._store.find(Namespace, metadata.namespace)
            return (metadata.namespace,) if namespace and namespace.metadata.deletion_timestamp else ()
        return ()

    def reconcile(self, key: str) -> None:
        """Make a permanent namespace; empty one that ends or is gone, and let it go once it is empty."""
        namespace = self._store.find(Namespace, key)
        if namespace is None and key in PERMANENT_NAMESPACES:
            labels = {"kubernetes.io/metadata.name": key}
            status = NamespaceStatus(phase="Active")
            self._store.create(Namespace(metadata=ObjectMeta(name=key, labels=labels), status=status))
        elif namespace is None or namespace.metadata.deletion_timestamp:
            left = self._empty(key)
            if namespace is not None and not left and not namespace.metadata.finalizers:
                self._store.delete(Namespace, key)

    def _empty(self, name: str) -> bool:
        """Delete what is in the namespace; whether anything stays: for its finalizers' sake, or a Pod that ends."""
        left = False
        for kind in SERVED:
            for value in self._store.list(kind, name) if kind.NAMESPACED else ():
                left = not end(self._store, value) or left
        return left
