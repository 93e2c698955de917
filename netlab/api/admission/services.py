"""A Service's way in: defaults, checks, then a clusterIP of each family and a nodePort for each port."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from netlab.api.admission.allocation import ALLOCATED, NodePorts, ServiceAddresses
from netlab.api.admission.causes import Causes, address_in, wrong
from netlab.api.admission.names import check_metadata
from netlab.api.admission.service_checks import check_service, check_service_update
from netlab.api.admission.service_defaults import (
    is_headless,
    needs_cluster_ip,
    needs_health_check_port,
    needs_node_ports,
    with_defaults,
    with_kept_values,
    with_spec,
)
from netlab.api.admission.service_families import check_families, with_families
from netlab.api.admission.service_outside_checks import check_status
from netlab.api.journal import EventType
from netlab.api.statuses import Cause, internal_error, invalid
from netlab.api.store import Change
from netlab.model.objects import FORCED, LoadBalancerStatus, Service, ServiceType
from netlab.model.rules import IPAddress
from netlab.model.topology import Network
from netlab.plan.control_plane import KUBERNETES, kubernetes_address


class ServiceAdmission:
    """Defaults, checks and allocation against the ranges of a network; `note` keeps it up to date on who has what."""

    def __init__(self, network: Network, random: Random) -> None:
        self._random = random
        self._ranges = {f"IPv{cidr.version}": ServiceAddresses(cidr) for cidr in network.service_cidrs}
        self._node_ports = NodePorts(network.node_port_range)
        self._api_address = kubernetes_address(network.service_cidrs)
        self._reserve()

    def admit(self, service: Service, before: Service | None = None) -> Service:
        """The Service as it is to be stored. Raises Refusal: Invalid with every cause, InternalError: range is full."""
        service = with_kept_values(service, before) if before else service
        service, configured = with_defaults(service), tuple(self._ranges)
        causes = (*check_metadata(service), *check_service(service), *check_families(service, before, configured))
        _refuse_for(service, causes)
        service = with_families(service, before, configured)
        _refuse_for(service, (*check_service_update(service, before),) if before else ())
        _refuse_for(service, (*self._check_addresses(service), *self._check_ports(service)))
        return _with_fitting_status(self._with_health_port(self._with_node_ports(self._with_addresses(service))))

    def admit_status(self, service: Service) -> Service:
        """A Service whose status alone was changed, as it is to be stored. Raises Refusal: Invalid with every cause."""
        service = _with_ip_modes(service)
        _refuse_for(service, (*check_metadata(service), *check_status(service)))
        return service

    def note(self, change: Change) -> None:
        """Take in a write: what a Service had is free, what it has is not."""
        if isinstance(change.previous, Service):
            for address in _addresses(change.previous):
                if pool := self._ranges.get(f"IPv{address.version}"):
                    pool.release(address, change.previous.key)
            for port in _ports(change.previous):
                self._node_ports.release(port, change.previous.key)
            self._reserve()
        if isinstance(change.object, Service) and change.type is not EventType.DELETED:
            self.hold(change.object)

    def _reserve(self) -> None:
        """The API server's own address is given to nobody else, whether or not its Service is there."""
        if address := self._api_address:
            self._ranges[f"IPv{address.version}"].hold(address, "/".join(KUBERNETES))

    def hold(self, service: Service) -> None:
        """Note what a Service has."""
        for address in _addresses(service):
            if pool := self._ranges.get(f"IPv{address.version}"):
                pool.hold(address, service.key)
        for port in _ports(service):
            self._node_ports.hold(port, service.key)

    def _check_addresses(self, service: Service) -> Causes:
        forced = FORCED in service.metadata.annotations
        for ip, family in zip(service.spec.cluster_ips, service.spec.ip_families, strict=False):
            address = address_in(ip)
            if address is None:
                continue
            if why := self._ranges[family].problem(address, service.key, forced=forced):
                yield wrong("spec.clusterIPs", list(service.spec.cluster_ips), f"failed to allocate IP {ip}: {why}")

    def _check_ports(self, service: Service) -> Iterator[Cause]:
        if not needs_node_ports(service.spec):
            return
        for index, port in enumerate(service.spec.ports):
            if port.node_port is not None and (why := self._node_ports.problem(port.node_port, service.key)):
                yield wrong(f"spec.ports[{index}].nodePort", port.node_port, why)
        health = service.spec.health_check_node_port
        if health is None:
            return
        own = any(port.node_port == health for port in service.spec.ports)
        if why := ALLOCATED if own else self._node_ports.problem(health, service.key):
            why = f"failed to allocate requested HealthCheck NodePort {health}: {why}"
            yield wrong("spec.healthCheckNodePort", health, why)

    def _with_addresses(self, service: Service) -> Service:
        spec = service.spec
        if not needs_cluster_ip(spec) or is_headless(spec):
            return service
        ips = list(spec.cluster_ips)
        for family in spec.ip_families[len(ips) :]:
            address = self._ranges[family].pick(self._random)
            if address is None:
                raise internal_error("failed to allocate a serviceIP: range is full")
            ips.append(str(address))
        return with_spec(service, cluster_ip=ips[0], cluster_ips=tuple(ips))

    def _with_node_ports(self, service: Service) -> Service:
        spec = service.spec
        if not needs_node_ports(spec):
            return service
        given = {port.port: port.node_port for port in reversed(spec.ports) if port.node_port is not None}
        ports, used = [], frozenset(given.values()) | {spec.health_check_node_port or 0}
        for port in spec.ports:
            if port.node_port is None and spec.allocate_load_balancer_node_ports is not False:
                number = given.get(port.port) or self._pick_port(used, "a nodePort")
                given[port.port], used = number, used | {number}
                ports.append(port.model_copy(update={"node_port": number}))
            else:
                ports.append(port)
        return with_spec(service, ports=tuple(ports))

    def _with_health_port(self, service: Service) -> Service:
        if not needs_health_check_port(service.spec) or service.spec.health_check_node_port is not None:
            return service
        used = frozenset(port.node_port for port in service.spec.ports if port.node_port is not None)
        return with_spec(service, health_check_node_port=self._pick_port(used, "a HealthCheck NodePort"))

    def _pick_port(self, used: frozenset[int], what: str) -> int:
        port = self._node_ports.pick(self._random, used)
        if port is None:
            raise internal_error(f"failed to allocate {what}: range is full")
        return port


def _refuse_for(service: Service, causes: tuple[Cause, ...]) -> None:
    if causes:
        raise invalid(Service, service.metadata.name, causes)


def _addresses(service: Service) -> tuple[IPAddress, ...]:
    return tuple(address for ip in service.spec.cluster_ips if (address := address_in(ip)))


def _ports(service: Service) -> tuple[int, ...]:
    """What it holds of the NodePort range. Of an ExternalName a nodePort may be written, and means nothing."""
    if not needs_node_ports(service.spec):
        return ()
    ports = (*(port.node_port for port in service.spec.ports), service.spec.health_check_node_port)
    return tuple(port for port in ports if port is not None)


def _with_fitting_status(service: Service) -> Service:
    """Without the addresses of a load balancer where the type is no longer that."""
    if service.spec.type is ServiceType.LOAD_BALANCER or not service.status.load_balancer.ingress:
        return service
    status = service.status.model_copy(update={"load_balancer": LoadBalancerStatus()})
    return service.model_copy(update={"status": status})


def _with_ip_modes(service: Service) -> Service:
    """An address of a load balancer is a VIP unless it says otherwise."""
    balancer = service.status.load_balancer
    ingress = tuple(
        each.model_copy(update={"ip_mode": "VIP"}) if each.ip and each.ip_mode is None else each
        for each in balancer.ingress
    )
    if ingress == balancer.ingress:
        return service
    status = service.status.model_copy(update={"load_balancer": balancer.model_copy(update={"ingress": ingress})})
    return service.model_copy(update={"status": status})
