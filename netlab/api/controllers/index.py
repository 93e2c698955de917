"""Which objects belong together, kept up to date with every write, so that no controller has to look through all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping

from netlab.api.journal import EventType
from netlab.api.registry import SERVED
from netlab.api.store import Change, Store
from netlab.model.objects import (
    SERVICE_NAME_LABEL,
    Deployment,
    EndpointSlice,
    KubernetesObject,
    Pod,
    ReplicaSet,
    Service,
)

Keys = dict[str, None]
"""Keys of objects, in the order in which they came."""


class Groups:
    """Keys by what they have in common."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, Keys] = {}

    def add(self, group: Hashable, key: str) -> None:
        """Put a key into a group."""
        self._groups.setdefault(group, {})[key] = None

    def remove(self, group: Hashable, key: str) -> None:
        """Take a key out of a group."""
        members = self._groups.get(group, {})
        members.pop(key, None)
        if not members:
            self._groups.pop(group, None)

    def of(self, group: Hashable) -> tuple[str, ...]:
        """The keys of a group."""
        return tuple(self._groups.get(group, ()))

    def size(self, group: Hashable) -> int:
        """How many keys a group has."""
        return len(self._groups.get(group, ()))

    def groups(self) -> tuple[Hashable, ...]:
        """All groups that have a key."""
        return tuple(self._groups)


class Index:
    """Pods by label, node and owner; Services by a term of their selector; slices by Service; all by owner."""

    def __init__(self, store: Store) -> None:
        self._pods_by_label = Groups()
        self._services_by_term = Groups()
        self.pods_by_node = Groups()
        self.slices_by_service = Groups()
        self.pods_by_owner = Groups()
        self.replica_sets_by_owner = Groups()
        self.orphaned_replica_sets = Groups()
        """By namespace, those that no controller owns."""
        self.dependents = Groups()
        """`PLURAL KEY` of every object that belongs to another, by the owner's uid."""
        self.siblings: Counter[tuple[str, str]] = Counter()
        """How many Pods of one owner (uid) are on one node."""
        self._store = store
        for kind in SERVED:
            for value in store.list(kind):
                self._add(value)
        store.subscribe(self._note)

    def _note(self, change: Change) -> None:
        if change.previous is not None:
            self._remove(change.previous)
        if change.type is not EventType.DELETED:
            self._add(change.object)

    def _add(self, value: KubernetesObject) -> None:
        for groups, group in self._memberships(value):
            groups.add(group, self._member(groups, value))
        if isinstance(value, Pod) and value.spec.node_name:
            for owner in value.metadata.owner_references:
                self.siblings[value.spec.node_name, owner.uid] += 1

    def _remove(self, value: KubernetesObject) -> None:
        for groups, group in self._memberships(value):
            groups.remove(group, self._member(groups, value))
        if isinstance(value, Pod) and value.spec.node_name:
            for owner in value.metadata.owner_references:
                self.siblings[value.spec.node_name, owner.uid] -= 1

    def _member(self, groups: Groups, value: KubernetesObject) -> str:
        """How an object is called in a group: in those of all kinds with its kind."""
        return f"{value.PLURAL} {value.key}" if groups is self.dependents else value.key

    def _memberships(self, value: KubernetesObject) -> Iterator[tuple[Groups, Hashable]]:
        namespace = value.metadata.namespace or ""
        for owner in value.metadata.owner_references:
            yield self.dependents, owner.uid
        match value:
            case Pod():
                for term in value.metadata.labels.items():
                    yield self._pods_by_label, (namespace, *term)
                if value.spec.node_name:
                    yield self.pods_by_node, value.spec.node_name
                for owner in value.metadata.owner_references:
                    yield self.pods_by_owner, owner.uid
            case Service() if value.spec.selector:
                yield self._services_by_term, (namespace, *_one_term(value.spec.selector))
            case EndpointSlice():
                if service := value.metadata.labels.get(SERVICE_NAME_LABEL):
                    yield self.slices_by_service, f"{namespace}/{service}"
            case ReplicaSet():
                owners = [owner.uid for owner in value.metadata.owner_references if owner.controller]
                yield (self.replica_sets_by_owner, owners[0]) if owners else (self.orphaned_replica_sets, namespace)

    def pods_selected(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]:
        """The Pods of a namespace that a selector, which must not be empty, chooses; oldest first."""
        term = min(selector.items(), key=lambda item: self._pods_by_label.size((namespace, *item)))
        candidates = (self._store.find_key(Pod, key) for key in self._pods_by_label.of((namespace, *term)))
        wanted = selector.items()
        return tuple(pod for pod in candidates if pod is not None and wanted <= pod.metadata.labels.items())

    def services_selecting(self, namespace: str, labels: Mapping[str, str]) -> Iterator[Service]:
        """The Services of a namespace whose selector chooses these labels."""
        for term in labels.items():
            for key in self._services_by_term.of((namespace, *term)):
                service = self._store.find_key(Service, key)
                if service is not None and (service.spec.selector or {}).items() <= labels.items():
                    yield service


def _one_term(selector: Mapping[str, str]) -> tuple[str, str]:
    """One term of a selector, by which its Service is found: whatever it chooses has this label. The last by name."""
    return max(selector.items())


def owned_by(value: KubernetesObject, kind: type[Deployment] | type[ReplicaSet] | type[Service]) -> str | None:
    """The key of the object of that kind that owns this one."""
    for owner in value.metadata.owner_references:
        if owner.kind == kind.__name__ and owner.api_version == kind.API_VERSION:
            return f"{value.metadata.namespace}/{owner.name}"
    return None
