"""Addresses for Services of type LoadBalancer, out of the Topology's loadBalancerCIDRs.

In Kubernetes this is the work of a cloud provider or of a program such as MetalLB. As there, a Service that names a
loadBalancerClass is somebody else's, and spec.loadBalancerIP asks for a certain address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netlab.api.admission.allocation import Pool
from netlab.api.admission.causes import address_in
from netlab.api.controllers.conditions import with_condition, without_condition
from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.model.objects import Condition, LoadBalancerIngress, Service, ServiceType
from netlab.model.rules import IPAddress
from netlab.model.topology import Cidr, Topology

PENDING = "LoadBalancerAddress"
"""The type of a condition, which is there, with status False, as long as an address is wanting."""


class LoadBalancerController:
    """Key: a Service's. The lowest free address is given out first; whatever a Service has it keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pools: dict[str, _Addresses] = {}
        self._waiting: dict[str, None] = {}
        self._read_topology()

    def all_keys(self) -> Iterable[str]:
        """All Services."""
        return self._store.keys(Service)

    def keys_of(self, change: Change) -> Iterable[str]:
        """A Service that changed; those that wait for an address when one becomes free; all with another Topology."""
        if isinstance(change.object, Topology):
            self._read_topology()
            return self._store.keys(Service)
        if not isinstance(change.object, Service):
            return ()
        had = tuple(self._held(change.previous)) if isinstance(change.previous, Service) else ()
        for pool, address in had:
            pool.release(address, change.object.key)
        if change.type is EventType.DELETED:
            self._waiting.pop(change.object.key, None)
            return tuple(self._waiting)
        for pool, address in self._held(change.object):
            pool.hold(address, change.object.key)
        return (change.object.key, *(self._waiting if had else ()))

    def _read_topology(self) -> None:
        cidrs = [cidr for topology in self._store.list(Topology) for cidr in topology.spec.network.load_balancer_cidrs]
        self._pools = {f"IPv{cidr.version}": _Addresses(cidr) for cidr in cidrs}
        for service in self._store.list(Service):
            for pool, address in self._held(service):
                pool.hold(address, service.key)

    def _held(self, service: Service) -> Iterator[tuple[_Addresses, IPAddress]]:
        """The addresses in a Service's status that are out of a pool."""
        for address in _present(service):
            pool = self._pools.get(f"IPv{address.version}")
            if pool and address in pool:
                yield pool, address

    def reconcile(self, key: str) -> None:
        """Give the Service an address of each of its families that there is a pool for, or say why it has none."""
        service = self._store.find_key(Service, key)
        self._waiting.pop(key, None)
        if service is None or service.spec.load_balancer_class is not None:
            return
        if service.spec.type is ServiceType.LOAD_BALANCER:
            self._store.update(self._completed(service))
        elif any(condition.type == PENDING for condition in service.status.conditions):
            self._store.update(_with_lack(service, None, now=""))

    def _completed(self, service: Service) -> Service:
        now = self._store.now()
        pools = [self._pools[family] for family in service.spec.ip_families if family in self._pools]
        if not pools:
            return _with_lack(
                service, ("NoPool", "the lab's spec.network.loadBalancerCIDRs has no range for it"), now=now
            )
        chosen = [self._choose(service, pool) for pool in pools]
        lack = next((why for _, why in chosen if why), "")
        if lack:
            self._waiting[service.key] = None
        ingress = tuple(LoadBalancerIngress(ip=str(address), ip_mode="VIP") for address, _ in chosen if address)
        return _with_lack(_with_ingress(service, ingress), ("AddressUnavailable", lack) if lack else None, now=now)

    def _choose(self, service: Service, pool: _Addresses) -> tuple[IPAddress | None, str]:
        """The address asked for, or the one it has, or the lowest free one; and why it is not what it should be."""
        present = next((each for each in _present(service) if pool.is_for(each, service.key)), None)
        wish = service.spec.load_balancer_ip
        asked = address_in(wish) if wish else None
        if wish and asked is None:
            return present, f"loadBalancerIP {wish} is no address"
        if asked is not None and asked.version == pool.cidr.version:
            if pool.is_for(asked, service.key):
                return asked, ""
            return present, f"loadBalancerIP {asked} is {'taken' if asked in pool else f'not in {pool.cidr}'}"
        chosen = present or pool.lowest()
        return chosen, "" if chosen else f"no address of {pool.cidr} is left"


class _Addresses:
    """One range. Where it has more than two addresses the first and (IPv4) the last belong to nobody."""

    def __init__(self, cidr: Cidr) -> None:
        self.cidr = cidr
        edge = 1 if cidr.num_addresses > 2 else 0
        last = int(cidr.broadcast_address) - (edge if cidr.version == 4 else 0)
        self._pool = Pool(int(cidr.network_address) + edge, last, band=0)

    def __contains__(self, address: IPAddress) -> bool:
        return address.version == self.cidr.version and int(address) in self._pool

    def is_for(self, address: IPAddress, key: str) -> bool:
        """Whether a Service has it already, or can have it."""
        return address in self and self._pool.holder(int(address)) in (None, key)

    def lowest(self) -> IPAddress | None:
        """The lowest free address."""
        number = self._pool.lowest()
        return None if number is None else self.cidr.network_address + (number - int(self.cidr.network_address))

    def hold(self, address: IPAddress, key: str) -> None:
        """Note that a Service has it, unless another had it first."""
        if self._pool.holder(int(address)) is None:
            self._pool.hold(int(address), key)

    def release(self, address: IPAddress, key: str) -> None:
        """Note that a Service no longer has it."""
        self._pool.release(int(address), key)


def _present(service: Service) -> list[IPAddress]:
    return [ip_address(each.ip) for each in service.status.load_balancer.ingress if each.ip]


def _with_ingress(service: Service, ingress: tuple[LoadBalancerIngress, ...]) -> Service:
    balancer = service.status.load_balancer
    if balancer.ingress == ingress:
        return service
    status = {"load_balancer": balancer.model_copy(update={"ingress": ingress})}
    return service.model_copy(update={"status": service.status.model_copy(update=status)})


def _with_lack(service: Service, lack: tuple[str, str] | None, *, now: str) -> Service:
    """The Service with a condition that gives reason and message for what it lacks, or without it."""
    conditions = service.status.conditions
    if lack is None and not any(condition.type == PENDING for condition in conditions):
        return service
    if lack is None:
        changed = without_condition(conditions, PENDING)
    else:
        condition = Condition(type=PENDING, status="False", reason=lack[0], message=lack[1])
        changed = with_condition(conditions, condition, now=now)
    return service.model_copy(update={"status": service.status.model_copy(update={"conditions": changed})})
