"""The way in for objects of every kind."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar, cast

from netlab.api.admission.causes import Causes
from netlab.api.admission.events import check_event
from netlab.api.admission.names import check_metadata
from netlab.api.admission.places import Places
from netlab.api.admission.pods import (
    check_pod,
    check_pod_update,
    check_workload,
    deployment_with_defaults,
    pod_with_defaults,
    replica_set_with_defaults,
)
from netlab.api.admission.service_defaults import with_defaults as service_with_defaults
from netlab.api.admission.services import ServiceAdmission
from netlab.api.admission.slices import check_slice
from netlab.api.admission.topologies import check_topology, completed
from netlab.api.journal import EventType
from netlab.api.statuses import Cause, already_exists, forbidden, invalid, not_found
from netlab.api.store import Change, Store
from netlab.model.objects import (
    Deployment,
    DeploymentStatus,
    EndpointSlice,
    Event,
    IPAddress,
    KubernetesObject,
    Namespace,
    NamespaceStatus,
    Node,
    Pod,
    ReplicaSet,
    ReplicaSetStatus,
    Service,
    ServiceCIDR,
    ServiceStatus,
)
from netlab.model.topology import Network, Topology

K = TypeVar("K", bound=KubernetesObject)

GENERATED = "bcdfghjklmnpqrstvwxz2456789"
"""The characters of generated names: without vowels, so that they make no words, as in Kubernetes."""
GENERATED_FROM = 58
"""Characters of generateName that are used: with the five behind it is a DNS label's length."""
FROM_ELSEWHERE: dict[type[KubernetesObject], str] = {
    Node: "a lab's nodes come from spec.nodes of its Topology",
    ServiceCIDR: "a lab's Service ranges come from spec.network.serviceCIDRs of its Topology",
    IPAddress: "it comes and goes with the Service that has the address",
}
"""Why objects of some kinds are not made by hand."""
PERMANENT_NAMESPACES = ("default", "kube-system")


class Admission:
    """Defaults, checks and addresses for what is to be stored; `random` makes names and picks addresses."""

    def __init__(self, store: Store, random: Random) -> None:
        self._store = store
        self._random = random
        self._places = Places()
        topologies = store.list(Topology)
        self._services = self._service_admission(topologies[0].spec.network if topologies else Network())
        for topology in topologies:
            self._places.note(_as_change(topology))
        for pod in store.list(Pod):
            self._places.note(_as_change(pod))
        store.subscribe(self._note)

    def _service_admission(self, network: Network) -> ServiceAdmission:
        admission = ServiceAdmission(network, self._random)
        for service in self._store.list(Service):
            admission.hold(service)
        return admission

    def _note(self, change: Change) -> None:
        self._places.note(change)
        self._services.note(change)
        if isinstance(change.object, Topology) and change.previous is None:
            self._services = self._service_admission(change.object.spec.network)

    def create(self, value: K) -> K:
        """A new object as it is to be stored. Raises Refusal."""
        self._check_namespace(value)
        value = self._named(value)
        if self._store.find_key(type(value), value.key) is not None:
            raise already_exists(type(value), value.metadata.name)
        return cast(K, self._created(value))

    def _created(self, value: KubernetesObject) -> KubernetesObject:
        match value:
            case Service():
                return self._services.admit(value.model_copy(update={"status": ServiceStatus()}))
            case Topology():
                return self._created_topology(value)
            case Pod():
                value, causes = pod_with_defaults(value), (*check_pod(value), *self._places.check_pod(value))
            case Deployment() | ReplicaSet():
                causes = tuple(check_workload(value))
                return _checked(_new_workload(value), causes)
            case Namespace():
                active = value.model_copy(update={"status": NamespaceStatus(phase="Active")})
                value, causes = _labelled(active), tuple(check_metadata(value))
            case Node() | ServiceCIDR() | IPAddress():
                raise forbidden(type(value), value.metadata.name, FROM_ELSEWHERE[type(value)])
            case _:
                causes = tuple(_plain_causes(value))
        return _checked(value, causes)

    def _created_topology(self, value: Topology) -> Topology:
        for present in self._store.list(Topology):
            why = f"this is the lab of the Topology {present.metadata.name}"
            raise forbidden(Topology, value.metadata.name, why)
        checked = _checked(value, (*check_topology(value), *self._places.check_topology(value)))
        return _with_generation(completed(checked, None), 1)

    @staticmethod
    def with_defaults(value: K) -> K:
        """The object with what its kind's defaults say where it says nothing, and nothing else."""
        match value:
            case Service():
                return cast(K, service_with_defaults(value))
            case Pod():
                return cast(K, pod_with_defaults(value).model_copy(update={"status": value.status}))
            case Deployment():
                return cast(K, deployment_with_defaults(value))
            case ReplicaSet():
                return cast(K, replica_set_with_defaults(value))
        return value

    def update(self, value: K, before: K) -> K:
        """An object as it is to be stored in place of `before`, but for its status. Raises Refusal."""
        return cast(K, self._updated(value, before))

    def _updated(self, value: KubernetesObject, before: KubernetesObject) -> KubernetesObject:
        match value, before:
            case Service(), Service():
                return self._services.admit(value, before)
            case Pod(), Pod():
                return _checked(value, check_pod_update(value, before))
            case Deployment(), Deployment():
                value = _checked(deployment_with_defaults(value), check_workload(value, before))
                return _next_generation(value, before, same=value.spec == before.spec)
            case ReplicaSet(), ReplicaSet():
                value = _checked(replica_set_with_defaults(value), check_workload(value, before))
                return _next_generation(value, before, same=value.spec == before.spec)
            case Namespace(), Namespace():
                value = _labelled(value)
            case Topology(), Topology():
                causes = (*check_topology(value, before), *self._places.check_topology(value))
                value = completed(_checked(value, causes), before)
                return _next_generation(value, before, same=value.spec == before.spec)
            case Node(), Node():
                pinned = {"pod_cidr": before.spec.pod_cidr, "pod_cidrs": before.spec.pod_cidrs}
                value = value.model_copy(update={"spec": value.spec.model_copy(update=pinned)})
            case (ServiceCIDR(), ServiceCIDR(spec=spec)) | (IPAddress(), IPAddress(spec=spec)):
                value = value.model_copy(update={"spec": spec})
        return _checked(value, _plain_causes(value, before))

    def update_status(self, value: K) -> K:
        """An object whose status alone is another, as it is to be stored. Raises Refusal."""
        return cast(K, self._services.admit_status(value)) if isinstance(value, Service) else value

    def check_delete(self, value: KubernetesObject) -> None:
        """Raise Refusal for what must stay."""
        name = value.metadata.name
        if isinstance(value, Namespace) and name in PERMANENT_NAMESPACES:
            raise forbidden(Namespace, name, "this namespace may not be deleted")
        if isinstance(value, Node):
            raise forbidden(Node, name, "a lab's nodes go when they go from spec.nodes of its Topology")
        if isinstance(value, ServiceCIDR | IPAddress):
            raise forbidden(type(value), name, FROM_ELSEWHERE[type(value)])

    def _check_namespace(self, value: KubernetesObject) -> None:
        name = value.metadata.namespace or "default"
        if not value.NAMESPACED:
            return
        namespace = self._store.find(Namespace, name)
        if namespace is None:
            raise not_found(Namespace, name)
        if namespace.metadata.deletion_timestamp:
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise forbidden(type(value), value.metadata.name, why)

    def _named(self, value: K) -> K:
        """With a namespace, and a name made from generateName where there is none."""
        metadata = value.metadata
        changed: dict[str, object] = {}
        if value.NAMESPACED and not metadata.namespace:
            changed["namespace"] = "default"
        if not metadata.name and metadata.generate_name:
            changed["name"] = metadata.generate_name[:GENERATED_FROM] + "".join(self._random.choices(GENERATED, k=5))
        return value.model_copy(update={"metadata": metadata.model_copy(update=changed)}) if changed else value


def _as_change(value: KubernetesObject) -> Change:
    return Change(EventType.ADDED, 0, value, b"", None)


def _checked(value: K, causes: Iterable[Cause]) -> K:
    found = tuple(causes)
    if found:
        raise invalid(type(value), value.metadata.name, found)
    return value


def _plain_causes(value: KubernetesObject, before: KubernetesObject | None = None) -> Causes:
    """The causes against an object of a kind that is stored as it comes."""
    match value:
        case EndpointSlice():
            return check_slice(value, before if isinstance(before, EndpointSlice) else None)
        case Event():
            return check_event(value)
    return check_metadata(value)


def _new_workload(value: Deployment | ReplicaSet) -> KubernetesObject:
    if isinstance(value, Deployment):
        return _with_generation(deployment_with_defaults(value).model_copy(update={"status": DeploymentStatus()}), 1)
    return _with_generation(replica_set_with_defaults(value).model_copy(update={"status": ReplicaSetStatus()}), 1)


def _labelled(value: Namespace) -> Namespace:
    """With the label that every namespace has, its name."""
    labels = {**value.metadata.labels, "kubernetes.io/metadata.name": value.metadata.name}
    return value.model_copy(update={"metadata": value.metadata.model_copy(update={"labels": labels})})


def _with_generation(value: K, generation: int) -> K:
    metadata = value.metadata.model_copy(update={"generation": generation})
    return value.model_copy(update={"metadata": metadata})


def _next_generation(value: K, before: K, *, same: bool) -> K:
    """The generation counts the versions of the spec."""
    return _with_generation(value, (before.metadata.generation or 1) + (0 if same else 1))
