"""Endpoints, which EndpointSlices have replaced: made from a Service's slices; and slices made from those by hand.

Source: the Endpoints controller and the EndpointSlice mirroring of Kubernetes, as its documentation tells of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from netlab.api.admission.entrance import Admission
from netlab.api.controllers.endpointslices import MANAGED_BY_LABEL
from netlab.api.controllers.index import Index
from netlab.api.store import Change, Store
from netlab.model.objects import (
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    KubernetesObject,
    ObjectMeta,
    OwnerReference,
    Service,
    ServiceType,
)

MANAGER_LABEL, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
MIRROR = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
ADDRESSES_LIMIT = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
Ports = tuple[EndpointPort, ...]


class EndpointsController:
    """Key: a Service's, which is its Endpoints' too."""

    def __init__(self, store: Store, index: Index, admission: Admission) -> None:
        self._store = store
        self._index = index
        self._admission = admission

    def all_keys(self) -> Iterable[str]:
        """All Services, and all Endpoints."""
        return (*self._store.keys(Service), *self._store.keys(Endpoints))

    def keys_of(self, change: Change) -> Iterable[str]:
        """The Service that changed, or whose slices or Endpoints did."""
        match change.object:
            case Service() | Endpoints():
                return (change.object.key,)
            case EndpointSlice():
                name = change.object.metadata.labels.get(SERVICE_NAME_LABEL)
                return (f"{change.object.metadata.namespace}/{name}",) if name else ()
        return ()

    def reconcile(self, key: str) -> None:
        """Have the Endpoints say what the slices do, or the slices what Endpoints made by hand do."""
        service, present = self._store.find_key(Service, key), self._store.find_key(Endpoints, key)
        if service is None:
            if present is not None and _is_ours(present):
                self._delete(present)
            return
        if service.spec.selector and service.spec.type is not ServiceType.EXTERNAL_NAME:
            self._write(service, present)
        elif present is not None and not _is_ours(present):
            self._mirror(service, present)

    def _slices(self, key: str, *, mirrored: bool) -> list[EndpointSlice]:
        found = (self._store.find_key(EndpointSlice, each) for each in self._index.slices_by_service.of(key))
        return [each for each in found if each and (each.metadata.labels.get(MANAGED_BY_LABEL) == MIRROR) is mirrored]

    def _write(self, service: Service, present: Endpoints | None) -> None:
        family = next(iter(service.spec.ip_families), "IPv4")
        slices = [each for each in self._slices(service.key, mirrored=False) if each.address_type == family]
        subsets, whole = subsets_of(slices)
        labels = {**service.metadata.labels, MANAGER_LABEL: MANAGER}
        annotations = {} if whole else {OVER_CAPACITY: "truncated"}
        if present is None:
            metadata = ObjectMeta(
                name=service.metadata.name,
                namespace=service.metadata.namespace,
                labels=labels,
                annotations=annotations,
            )
            self._store.create(Endpoints(metadata=metadata, subsets=subsets))
        elif present.subsets != subsets or present.metadata.labels != labels:
            metadata = present.metadata.model_copy(update={"labels": labels, "annotations": annotations})
            self._store.update(present.model_copy(update={"metadata": metadata, "subsets": subsets}))

    def _mirror(self, service: Service, endpoints: Endpoints) -> None:
        """A slice for each family of each subset; those of others are left alone."""
        wanted = {} if SKIP_MIRROR in endpoints.metadata.labels else _groups(endpoints)
        for each in self._slices(service.key, mirrored=True):
            content = wanted.pop((each.address_type, each.ports), None)
            if content is None:
                self._delete(each)
            elif content != each.endpoints:
                self._store.update(each.model_copy(update={"endpoints": content}))
        for (family, ports), content in wanted.items():
            new = EndpointSlice(metadata=_mirrored(endpoints), address_type=family, ports=ports, endpoints=content)
            self._store.create(self._admission.create(new))

    def _delete(self, value: KubernetesObject) -> None:
        self._store.delete(type(value), value.metadata.name, value.metadata.namespace)


def _is_ours(value: Endpoints) -> bool:
    return value.metadata.labels.get(MANAGER_LABEL) == MANAGER


def subsets_of(slices: Sequence[EndpointSlice]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """The endpoints of these slices by their ports, and whether they are all; terminating ones are left out."""
    room, groups = ADDRESSES_LIMIT, dict[Ports, tuple[list[EndpointAddress], list[EndpointAddress]]]()
    left = sum(len(each.endpoints) for each in slices)
    for each in slices:
        ports = tuple(port.model_copy(update={"name": port.name or None}) for port in each.ports)
        for endpoint in each.endpoints[:room]:
            if endpoint.conditions.terminating:
                continue
            ready, waiting = groups.setdefault(ports, ([], []))
            (ready if endpoint.conditions.ready is not False else waiting).append(_address(endpoint))
        room = max(0, room - len(each.endpoints))
    subsets = (
        EndpointSubset(addresses=_sorted(ready), not_ready_addresses=_sorted(waiting), ports=ports)
        for ports, (ready, waiting) in groups.items()
    )
    return tuple(subsets), left <= ADDRESSES_LIMIT


def _sorted(addresses: list[EndpointAddress]) -> tuple[EndpointAddress, ...]:
    return tuple(sorted(addresses, key=lambda each: each.ip))


def _address(endpoint: Endpoint) -> EndpointAddress:
    return EndpointAddress(
        ip=endpoint.addresses[0],
        hostname=endpoint.hostname,
        node_name=endpoint.node_name,
        target_ref=endpoint.target_ref,
    )


def _groups(endpoints: Endpoints) -> dict[tuple[str, Ports], tuple[Endpoint, ...]]:
    found: dict[tuple[str, Ports], list[Endpoint]] = {}
    for subset in endpoints.subsets:
        for ready, addresses in ((True, subset.addresses), (False, subset.not_ready_addresses)):
            for each in addresses:
                ports = tuple(port.model_copy(update={"name": port.name or ""}) for port in subset.ports)
                group = (f"IPv{ip_address(each.ip).version}", ports)
                found.setdefault(group, []).append(_endpoint(each, ready=ready))
    return {group: tuple(members) for group, members in found.items()}


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _mirrored(endpoints: Endpoints) -> ObjectMeta:
    own = endpoints.metadata
    reference = OwnerReference(api_version="v1", kind="Endpoints", name=own.name, uid=own.uid or "", controller=True)
    labels = {**own.labels, SERVICE_NAME_LABEL: own.name, MANAGED_BY_LABEL: MIRROR}
    return ObjectMeta(
        generate_name=f"{own.name}-", namespace=own.namespace, labels=labels, owner_references=(reference,)
    )
