"""What belonged to an object goes with it, or is left alone, as whoever deleted it has said."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api.controllers.index import Index
from netlab.api.deleting import FINALIZERS, end, marked
from netlab.api.journal import EventType
from netlab.api.registry import BY_PLURAL, SERVED
from netlab.api.store import Change, Store
from netlab.api.write_options import Propagation
from netlab.model.objects import KubernetesObject, OwnerReference

FOREGROUND, ORPHAN = FINALIZERS[Propagation.FOREGROUND], FINALIZERS[Propagation.ORPHAN]
_KINDS = {(kind.API_VERSION, kind.__name__): kind for kind in SERVED}


class GarbageCollector:
    """Key: `PLURAL KEY UID` of an owner that is gone or waits for what belongs to it."""

    def __init__(self, store: Store, index: Index) -> None:
        self._store = store
        self._index = index

    def all_keys(self) -> Iterable[str]:
        """The owners that others name and that are not there, or wait, as after a crash in the midst of it."""
        return [key for uid in self._index.dependents.groups() for key in self._keys_of_owner(str(uid))]

    def _keys_of_owner(self, uid: str) -> Iterable[str]:
        for member in self._index.dependents.of(uid):
            value = self._find(member)
            for owner in value.metadata.owner_references if value else ():
                # Owners of kinds that this server does not know are none of its business.
                if owner.uid == uid and value and (key := _key(owner, value)) and self._has_work(key):
                    return (key,)
        return ()

    def _has_work(self, key: str) -> bool:
        owner = self._owner(key)
        return owner is None or bool({FOREGROUND, ORPHAN} & set(owner.metadata.finalizers))

    def keys_of(self, change: Change) -> Iterable[str]:
        """An owner that is gone or waits; and one that waits and has a dependent less."""
        value, metadata = change.object, change.object.metadata
        keys = []
        if change.type is EventType.DELETED:
            keys = [key for owner in metadata.owner_references if (key := _key(owner, value))]
            if self._index.dependents.size(metadata.uid):
                keys.append(f"{value.PLURAL} {value.key} {metadata.uid}")
        elif metadata.deletion_timestamp and {FOREGROUND, ORPHAN} & set(metadata.finalizers):
            keys.append(f"{value.PLURAL} {value.key} {metadata.uid}")
        return [key for key in keys if self._has_work(key)]

    def reconcile(self, key: str) -> None:
        """Delete or release what belongs to the owner, then let the owner go if it waits for that."""
        uid, owner = key.split(" ")[2], self._owner(key)
        finalizers = owner.metadata.finalizers if owner else ()
        release, waits = ORPHAN in finalizers, FOREGROUND in finalizers
        if owner is not None and not owner.metadata.deletion_timestamp:
            return
        for member in self._index.dependents.of(uid):
            value = self._find(member)
            if value is not None:
                self._end(value, uid, release=release, waits=waits)
        if owner is not None and (release or not self._index.dependents.size(uid)):
            self._let_go(owner)

    def _owner(self, key: str) -> KubernetesObject | None:
        plural, name, uid = key.split(" ")
        found = self._store.find_key(BY_PLURAL[plural], name)
        return found if found is not None and found.metadata.uid == uid else None

    def _find(self, member: str) -> KubernetesObject | None:
        plural, _, key = member.partition(" ")
        return self._store.find_key(BY_PLURAL[plural], key)

    def _end(self, value: KubernetesObject, uid: str, *, release: bool, waits: bool) -> None:
        others = tuple(each for each in value.metadata.owner_references if each.uid != uid)
        held = any((key := _key(each, value)) and self._owner(key) for each in others)
        if release or held:
            metadata = value.metadata.model_copy(update={"owner_references": others})
            self._store.update(value.model_copy(update={"metadata": metadata}))
        elif waits and self._index.dependents.size(value.metadata.uid):
            # Who waits for this one waits for what belongs to it, too.
            finalizers = tuple(dict.fromkeys((*value.metadata.finalizers, FOREGROUND)))
            self._store.update(marked(value, 0, finalizers))
        else:
            end(self._store, value)

    def _let_go(self, owner: KubernetesObject) -> None:
        left = tuple(each for each in owner.metadata.finalizers if each not in (FOREGROUND, ORPHAN))
        metadata = owner.metadata.model_copy(update={"finalizers": left})
        self._store.update(owner.model_copy(update={"metadata": metadata}))
        if not left:
            self._store.delete(type(owner), owner.metadata.name, owner.metadata.namespace)


def _key(owner: OwnerReference, value: KubernetesObject) -> str | None:
    """An owner's key; None where its kind is not served here."""
    kind = _KINDS.get((owner.api_version, owner.kind))
    if kind is None:
        return None
    name = f"{value.metadata.namespace}/{owner.name}" if kind.NAMESPACED else owner.name
    return f"{kind.PLURAL} {name} {owner.uid}"
