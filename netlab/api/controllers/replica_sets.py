"""Pods, made from ReplicaSets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.alarms import Alarms, seconds_since
from netlab.api.controllers.index import Index, owned_by
from netlab.api.deleting import end
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import ObjectMeta, OwnerReference, Pod, ReplicaSet, ReplicaSetStatus

NAME_ROOM = 58


class ReplicaSetController:
    """Key: a ReplicaSet's."""

    def __init__(self, store: Store, index: Index, admission: Admission, alarms: Alarms) -> None:
        self._store = store
        self._index = index
        self._admission = admission
        self._alarms = alarms

    def all_keys(self) -> Iterable[str]:
        """All ReplicaSets."""
        return self._store.keys(ReplicaSet)

    def keys_of(self, change: Change) -> Iterable[str]:
        """The ReplicaSet whose spec changed, or whose Pod did."""
        if isinstance(change.object, ReplicaSet):
            before = change.previous.spec if isinstance(change.previous, ReplicaSet) else None
            same = change.type is EventType.DELETED or change.object.spec is before
            return () if same else (change.object.key,)
        if isinstance(change.object, Pod) and (key := owned_by(change.object, ReplicaSet)):
            return (key,)
        return ()

    def reconcile(self, key: str) -> None:
        """Have as many Pods as are wanted, and count them."""
        own = self._store.find_key(ReplicaSet, key)
        if own is None or own.metadata.deletion_timestamp:
            return
        self._adopt(own)
        pods, wanted = self._pods(own), own.spec.replicas
        for pod in sorted(pods, key=_worth)[: max(0, len(pods) - wanted)]:
            end(self._store, pod)
        for _ in range(wanted - len(pods)):
            self._store.create(self._admission.create(_new_pod(own)))
        pods, now = self._pods(own), self._store.now()
        self._store.update(own.model_copy(update={"status": status_of(own, pods, now=now)}))
        if left := [seconds for pod in pods if (seconds := seconds_left(own, pod, now=now))]:
            self._alarms.set(self, key, seconds=min(left))

    def _pods(self, own: ReplicaSet) -> list[Pod]:
        """The ReplicaSet's Pods, without those that are on their way out or have ended."""
        keys = self._index.pods_by_owner.of(own.metadata.uid)
        found = (self._store.find_key(Pod, key) for key in keys)
        return [pod for pod in found if pod and not pod.metadata.deletion_timestamp and not pod.has_ended]

    def _adopt(self, own: ReplicaSet) -> None:
        """Take in Pods that fit and belong to nobody."""
        terms = own.spec.selector.match_labels
        for pod in self._index.pods_selected(own.metadata.namespace or "", terms) if terms else ():
            metadata = pod.metadata
            if not any(each.controller for each in metadata.owner_references) and not metadata.deletion_timestamp:
                owners = (*metadata.owner_references, _reference(own))
                changed = metadata.model_copy(update={"owner_references": owners})
                self._store.update(pod.model_copy(update={"metadata": changed}))


def seconds_left(own: ReplicaSet, pod: Pod, *, now: str) -> int | None:
    """How long a Pod must stay ready until it counts as available (minReadySeconds); None: it is not ready."""
    since = next((each for each in pod.status.conditions if each.type == "Ready" and each.status == "True"), None)
    if since is None:
        return None
    return max(0, (own.spec.min_ready_seconds or 0) - seconds_since(since.last_transition_time, now=now))


def status_of(own: ReplicaSet, pods: Sequence[Pod], *, now: str) -> ReplicaSetStatus:
    """The counts of a ReplicaSet's status."""
    left = [seconds_left(own, pod, now=now) for pod in pods]
    ready = sum(seconds is not None for seconds in left)
    labels = own.spec.template.metadata.labels.items()
    counts = {
        "replicas": len(pods),
        "fully_labeled_replicas": sum(labels <= pod.metadata.labels.items() for pod in pods) or None,
        "ready_replicas": ready or None,
        "available_replicas": left.count(0) or None,
        "observed_generation": own.metadata.generation,
    }
    return own.status.model_copy(update=counts)


def _worth(pod: Pod) -> tuple[bool, bool, int]:
    """What goes first when there are too many: without a node, then not ready, then the youngest."""
    return bool(pod.spec.node_name), pod.condition("Ready"), -int(pod.metadata.resource_version or 0)


def _reference(own: ReplicaSet) -> OwnerReference:
    return OwnerReference(
        api_version=own.API_VERSION,
        kind="ReplicaSet",
        name=own.metadata.name,
        uid=own.metadata.uid or "",
        controller=True,
        block_owner_deletion=True,
    )


def _new_pod(own: ReplicaSet) -> Pod:
    template = own.spec.template
    metadata = ObjectMeta(
        generate_name=f"{own.metadata.name}-",
        namespace=own.metadata.namespace,
        labels=template.metadata.labels,
        annotations=template.metadata.annotations,
        owner_references=(_reference(own),),
    )
    return Pod(metadata=metadata, spec=template.spec)
