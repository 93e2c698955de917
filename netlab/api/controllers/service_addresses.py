"""ServiceCIDR and IPAddress objects: which range the clusterIPs are out of, and whose each of them is."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api.controllers.conditions import with_condition
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import (
    Condition,
    IPAddress,
    IPAddressSpec,
    ObjectMeta,
    ParentReference,
    Service,
    ServiceCIDR,
    ServiceCIDRSpec,
    ServiceCIDRStatus,
)
from netlab.model.topology import Topology

DEFAULT_RANGE = "kubernetes"
"""The name of the range that a cluster begins with."""
FAMILY_LABEL, MANAGED_BY = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
RANGE_READY = Condition(type="Ready", status="True", reason="", message="Kubernetes Service CIDR is ready")


class ServiceRangeController:
    """Key: anything; the one ServiceCIDR says what the Topology says."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all_keys(self) -> Iterable[str]:
        """The one."""
        return ("",)

    def keys_of(self, change: Change) -> Iterable[str]:
        """The one, when the Topology changes."""
        return ("",) if isinstance(change.object, Topology) else ()

    def reconcile(self, key: str) -> None:
        """Make the ServiceCIDR, or make it say what the Topology does."""
        for topology in self._store.list(Topology):
            spec = ServiceCIDRSpec(cidrs=tuple(str(cidr) for cidr in topology.spec.network.service_cidrs))
            present = self._store.find(ServiceCIDR, DEFAULT_RANGE)
            if present is None:
                status = ServiceCIDRStatus(conditions=with_condition((), RANGE_READY, now=self._store.now()))
                self._store.create(ServiceCIDR(metadata=ObjectMeta(name=DEFAULT_RANGE), spec=spec, status=status))
            elif present.spec != spec:
                self._store.update(present.model_copy(update={"spec": spec}))


class ServiceAddressController:
    """Key: a clusterIP."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holders: dict[str, str] = {}
        for service in store.list(Service):
            self._hold(service)

    def _hold(self, service: Service) -> None:
        self._holders |= dict.fromkeys(_addresses(service), service.key)

    def all_keys(self) -> Iterable[str]:
        """All that a Service has, and all that have an object."""
        return (*self._holders, *self._store.keys(IPAddress))

    def keys_of(self, change: Change) -> Iterable[str]:
        """What a Service has, or had before."""
        service, before = change.object, change.previous
        if not isinstance(service, Service):
            return ()
        had = _addresses(before) if isinstance(before, Service) else ()
        has = _addresses(service) if change.type is not EventType.DELETED else ()
        if had == has:
            return ()
        for address in had:
            self._holders.pop(address, None)
        if has:
            self._hold(service)
        return (*had, *has)

    def reconcile(self, key: str) -> None:
        """Have an object for an address that a Service has, and none for another."""
        holder, present = self._holders.get(key), self._store.find(IPAddress, key)
        if holder is None:
            if present is not None:
                self._store.delete(IPAddress, key)
            return
        namespace, _, name = holder.partition("/")
        parent = ParentReference(group="", resource="services", namespace=namespace, name=name)
        if present is None:
            labels = {FAMILY_LABEL: "IPv6" if ":" in key else "IPv4", MANAGED_BY: "ipallocator.k8s.io"}
            metadata, spec = ObjectMeta(name=key, labels=labels), IPAddressSpec(parent_ref=parent)
            self._store.create(IPAddress(metadata=metadata, spec=spec))
        elif present.spec.parent_ref != parent:
            self._store.update(present.model_copy(update={"spec": IPAddressSpec(parent_ref=parent)}))


def _addresses(service: Service) -> tuple[str, ...]:
    return tuple(address for address in service.spec.cluster_ips if address != "None")
