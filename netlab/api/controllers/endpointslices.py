"""EndpointSlices, made from Services and the Pods that they select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.api.admission.entrance import Admission
from netlab.api.admission.service_defaults import is_headless
from netlab.api.controllers.endpoints import ZONE_LABEL, Group, ServiceEndpoints
from netlab.api.controllers.index import Index
from netlab.api.controllers.packing import Identity, pack
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import (
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointSlice,
    Node,
    ObjectMeta,
    OwnerReference,
    Pod,
    Service,
    ServiceType,
)

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"


class EndpointSliceController:
    """Key: a Service's. Slices that somebody else wrote are left alone."""

    def __init__(self, store: Store, index: Index, admission: Admission) -> None:
        self._store = store
        self._index = index
        self._admission = admission
        self._writing = False
        self._known: dict[str, ServiceEndpoints] = {}

    def all_keys(self) -> Iterable[str]:
        """All Services."""
        return self._store.keys(Service)

    def keys_of(self, change: Change) -> Iterable[str]:
        """The Service that changed, or whose Pods, nodes or slices did."""
        match change.object:
            case Service():
                return (change.object.key,)
            case Pod():
                return self._services_of_pod(change)
            case Node():
                return self._services_of_node(change)
            case EndpointSlice() if not self._writing and _is_ours(change.object):
                name = change.object.metadata.labels.get(SERVICE_NAME_LABEL)
                return (f"{change.object.metadata.namespace}/{name}",)
        return ()

    def _services_of_pod(self, change: Change) -> Iterator[str]:
        versions = (change.object, change.previous)
        if not any(isinstance(pod, Pod) and pod.status.pod_ips for pod in versions):
            return
        for pod in versions:
            if pod is not None and (pod is change.object or pod.metadata.labels != change.object.metadata.labels):
                for service in self._index.services_selecting(pod.metadata.namespace or "", pod.metadata.labels):
                    yield service.key

    def _services_of_node(self, change: Change) -> Iterator[str]:
        """A node's zone stands in the endpoints of its Pods."""
        before = change.previous.metadata.labels.get(ZONE_LABEL) if change.previous else None
        if change.type is EventType.DELETED or change.object.metadata.labels.get(ZONE_LABEL) == before:
            return
        for key in self._index.pods_by_node.of(change.object.metadata.name):
            pod = self._store.find_key(Pod, key)
            if pod is not None:
                for service in self._index.services_selecting(pod.metadata.namespace or "", pod.metadata.labels):
                    yield service.key

    def reconcile(self, key: str) -> None:
        """Have the slices say what the Service's Pods are; write only those that change."""
        service = self._store.find_key(Service, key)
        if service is None:
            self._known.pop(key, None)
            return
        self._writing = True
        try:
            self._write(service)
        finally:
            self._writing = False

    def _write(self, service: Service) -> None:
        if not service.spec.selector or service.spec.type is ServiceType.EXTERNAL_NAME:
            # As in Kubernetes: slices that were made while there was a selector stay as they are.
            return
        existing = self._existing(service)
        wanted = self._wanted(service)
        by_group: dict[Group, list[EndpointSlice]] = {group: [] for group in wanted}
        for each in existing:
            by_group.setdefault((each.address_type, each.ports), []).append(each)
        for group, slices in by_group.items():
            self._write_group(service, group, slices, wanted.get(group))

    def _wanted(self, service: Service) -> dict[Group, dict[Identity, Endpoint]]:
        """The endpoints by group; a family without any has an empty group, so that it has a slice all the same."""
        pods = self._index.pods_selected(service.metadata.namespace or "", service.spec.selector or {})
        zones: dict[str, str | None] = {}
        for name in dict.fromkeys(pod.spec.node_name for pod in pods if pod.spec.node_name):
            node = self._store.find(Node, name)
            zones[name] = node.metadata.labels.get(ZONE_LABEL) if node else None
        known = self._known.get(service.key)
        if known is None or known.service is not service:
            known = self._known[service.key] = ServiceEndpoints(service)
        known.refresh(pods, zones)
        present = {family for family, _ in known.groups}
        return known.groups | {(family, ()): {} for family in service.spec.ip_families if family not in present}

    def _existing(self, service: Service) -> list[EndpointSlice]:
        keys = self._index.slices_by_service.of(service.key)
        found = (self._store.find_key(EndpointSlice, key) for key in keys)
        return [each for each in found if each is not None and _is_ours(each)]

    def _write_group(
        self, service: Service, group: Group, existing: list[EndpointSlice], wanted: dict[Identity, Endpoint] | None
    ) -> None:
        packing = pack(existing, wanted or {})
        metadata = _metadata(service)
        # Emptied slices go, but for one that says that there are no endpoints.
        kept = packing.emptied[:1] if wanted == {} else ()
        for each in packing.emptied[len(kept) :]:
            self._store.delete(EndpointSlice, each.metadata.name, each.metadata.namespace)
        for each in (*packing.kept, *(each.model_copy(update={"endpoints": ()}) for each in kept)):
            self._store.update(_relabelled(each, metadata))
        for content in packing.new or (((),) if wanted == {} and not kept else ()):
            new = EndpointSlice(metadata=metadata, address_type=group[0], ports=group[1], endpoints=content)
            self._store.create(self._admission.create(new))


def _is_ours(value: EndpointSlice) -> bool:
    return value.metadata.labels.get(MANAGED_BY_LABEL) == MANAGER


def _metadata(service: Service) -> ObjectMeta:
    """What the slices of a Service are called and labelled."""
    owner = service.metadata
    labels = {**owner.labels, SERVICE_NAME_LABEL: owner.name, MANAGED_BY_LABEL: MANAGER}
    if is_headless(service.spec):
        labels[HEADLESS_LABEL] = ""
    reference = OwnerReference(api_version="v1", kind="Service", name=owner.name, uid=owner.uid or "", controller=True)
    return ObjectMeta(
        generate_name=f"{owner.name}-", namespace=owner.namespace, labels=labels, owner_references=(reference,)
    )


def _relabelled(value: EndpointSlice, metadata: ObjectMeta) -> EndpointSlice:
    if value.metadata.labels == metadata.labels:
        return value
    labelled = value.metadata.model_copy(update={"labels": metadata.labels})
    return value.model_copy(update={"metadata": labelled})
