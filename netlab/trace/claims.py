"""Which Service port, if any, is meant by the packet in front of a node's kube-proxy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from netlab.model.rules import Family, IPAddress
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig, nodeport_listeners
from netlab.proxy.decide import Fate, Route, decide_all
from netlab.trace.packet import Packet


class Entrance(StrEnum):
    """By which of its addresses a Service was asked."""

    CLUSTER_IP = "cluster IP"
    EXTERNAL_IP = "external IP"
    LOAD_BALANCER = "load balancer"
    NODE_PORT = "node port"


@dataclass(frozen=True, slots=True)
class Claim:
    """A Service port and the entrance that a packet takes to it."""

    route: Route
    entrance: Entrance

    @property
    def inside(self) -> bool:
        return self.entrance is Entrance.CLUSTER_IP

    @property
    def fate(self) -> Fate:
        """What becomes of those who have no short cut."""
        return self.route.internal if self.inside else self.route.external


class NodeProxy:
    """What one node's kube-proxy knows: its flags and its Routes, by address and port."""

    def __init__(self, known: ChangeTracker, config: ProxyConfig, *, addresses: tuple[IPAddress, ...]) -> None:
        self.config = config.with_service_cidrs(known.service_cidrs).on_node(known.node)
        self.node = known.node
        self.routes = decide_all(known, config)
        self._addresses = addresses
        self._claims = dict(_claims(self.routes.values()))
        self._node_ports: dict[tuple[Family, str, int | None], Route] = {
            (route.key.family, route.key.protocol.value, route.port.node_port): route
            for route in self.routes.values()
            if route.port.node_port
        }

    def claim(self, packet: Packet, *, here: bool) -> Claim | None:
        """The Service port that the packet is for. `here`: its destination is an address of this node."""
        found = self._claims.get((packet.dst, packet.proto, packet.dport))
        if found is not None or not here:
            return found
        route = self._node_ports.get((packet.family, packet.proto, packet.dport))
        return Claim(route, Entrance.NODE_PORT) if route and self.listens_on(packet.dst) else None

    def listens_on(self, address: IPAddress) -> bool:
        """Whether node ports answer on that address of the node."""
        family = Family.IPV4 if address.version == 4 else Family.IPV6
        chosen = nodeport_listeners(self.config, local_addresses=self._addresses, family=family)
        if chosen is None:
            return not address.is_loopback or self.config.localhost_nodeports(family)
        return address in chosen

    def services_at(self, address: IPAddress) -> tuple[Route, ...]:
        """Every Service port with that ClusterIP, external or load-balancer address."""
        return tuple(route for route in self.routes.values() if address in route.port.addresses)

    def cluster_ip_of(self, address: IPAddress) -> tuple[Route, ...]:
        """Every Service port with that ClusterIP."""
        return tuple(route for route in self.routes.values() if route.port.cluster_ip == address)

    def is_service_address(self, address: IPAddress) -> bool:
        """Whether it lies in the range of ClusterIPs."""
        return any(address in network for network in self.config.service_cidrs)

    @property
    def service_addresses(self) -> frozenset[IPAddress]:
        """Every virtual address."""
        return frozenset(address for route in self.routes.values() for address in route.port.addresses)


Address = tuple[IPAddress, str, int | None]


def _claims(routes: Iterable[Route]) -> Iterable[tuple[Address, Claim]]:
    """Later ones win: a ClusterIP is asked for before all other addresses."""
    found = list(routes)
    for route in found:
        for address in route.port.load_balancer_ips:
            yield _address(route, address), Claim(route, Entrance.LOAD_BALANCER)
    for route in found:
        for address in route.port.external_ips:
            yield _address(route, address), Claim(route, Entrance.EXTERNAL_IP)
    for route in found:
        yield _address(route, route.port.cluster_ip), Claim(route, Entrance.CLUSTER_IP)


def _address(route: Route, address: IPAddress) -> Address:
    return address, route.key.protocol.value, route.port.port
