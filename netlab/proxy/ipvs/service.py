"""One Route in ipvs mode: its virtual servers, its entries in address sets, the addresses that the node takes for it.

packet to ClusterIP, external or load-balancer address ─> the node's own (kube-ipvs0) ─> virtual server ─> real server
packet to NODE:nodePort ───────────────────────────────────────────────────────────────────^
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netlab.model.ipvs import RealServer, Scheduler, ServerKey, SetEntry, VirtualServer
from netlab.model.rules import IPAddress, Protocol, VirtualMatch
from netlab.proxy.addresses import host_network
from netlab.proxy.decide import Route
from netlab.proxy.ipvs import names
from netlab.proxy.slices import Endpoint


class ServiceParts(NamedTuple):
    """What one Service port needs.

    `entries` name their set by its IPv4 name. `bound` are the addresses that kube-ipvs0 must have. `barred` are the
    load-balancer addresses that this node itself may not use.
    """

    servers: tuple[VirtualServer, ...] = ()
    entries: tuple[tuple[str, SetEntry], ...] = ()
    bound: tuple[IPAddress, ...] = ()
    barred: tuple[VirtualMatch, ...] = ()


def spell_service(
    route: Route, *, scheduler: Scheduler, node_addresses: frozenset[IPAddress], listeners: tuple[IPAddress, ...]
) -> ServiceParts:
    """Spell one Route.

    `node_addresses` are those of all interfaces but kube-ipvs0: none of them is bound a second time. `listeners` are
    the addresses on which node ports answer.
    """
    speller = _Speller(route, scheduler, listeners)
    bound = tuple(address for address in route.port.addresses if address not in node_addresses)
    return ServiceParts(tuple(speller.servers()), tuple(speller.entries()), bound, tuple(speller.barred()))


class _Speller:
    __slots__ = ("listeners", "port", "protocol", "route", "scheduler")

    def __init__(self, route: Route, scheduler: Scheduler, listeners: tuple[IPAddress, ...]) -> None:
        self.route = route
        self.port = route.port
        self.protocol: Protocol = route.key.protocol
        self.scheduler = scheduler
        self.listeners = listeners

    # --- virtual servers

    def servers(self) -> Iterator[VirtualServer]:
        port, outside = self.port, self._real_servers(stays=self.port.external_local)
        yield self._server(port.cluster_ip, port.port, self._real_servers(stays=port.internal_local))
        for address in (*port.external_ips, *port.load_balancer_ips):
            yield self._server(address, port.port, outside)
        if port.node_port:
            for address in self.listeners:
                yield self._server(address, port.node_port, outside)

    def _server(self, address: IPAddress, port: int, real_servers: tuple[RealServer, ...]) -> VirtualServer:
        key = ServerKey(self.protocol, address, port)
        return VirtualServer(key, self.scheduler, self.port.affinity_seconds, real_servers)

    def _real_servers(self, *, stays: bool) -> tuple[RealServer, ...]:
        """Of a policy that stays on the node: its endpoints, or all where it has none.

        A virtual server has one list for everybody. With this one Pods reach the Service from every node, and an
        outsider's packet is answered from an address that it has not asked: to the outsider that is silence.
        """
        chosen = self.route.local if stays and self.route.local else self.route.cluster
        return tuple(RealServer(endpoint.address, endpoint.port) for endpoint in chosen)

    # --- entries of address sets

    def entries(self) -> Iterator[tuple[str, SetEntry]]:
        yield names.CLUSTER_IP, self._at(self.port.cluster_ip)
        yield from self._loop_backs(self.route.reachable)
        external = names.EXTERNAL_IP_LOCAL if self.port.external_local else names.EXTERNAL_IP
        for address in self.port.external_ips:
            yield external, self._at(address)
        for address in self.port.load_balancer_ips:
            yield from self._load_balancer(address)
        if self.port.node_port and self.listeners:
            yield from self._node_port(self.port.node_port)
        if self.port.health_check_port:
            yield names.HEALTH_CHECK, SetEntry(port=self.port.health_check_port)

    def _at(self, address: IPAddress) -> SetEntry:
        return SetEntry(address, self.protocol, self.port.port)

    def _loop_backs(self, endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, SetEntry]]:
        """A Pod of this node that comes back to itself."""
        for endpoint in endpoints:
            if endpoint.local:
                source = host_network(endpoint.address)
                yield names.LOOP_BACK, SetEntry(endpoint.address, self.protocol, endpoint.port, source)

    def _load_balancer(self, address: IPAddress) -> Iterator[tuple[str, SetEntry]]:
        entry = self._at(address)
        yield names.LOAD_BALANCER, entry
        if self.port.external_local:
            yield names.LOAD_BALANCER_LOCAL, entry
        if self.route.allowed_sources is None:
            return
        yield names.LOAD_BALANCER_FW, entry
        for network in self.port.source_ranges:
            yield names.SOURCE_CIDR, entry._replace(source=network)
        if self._node_is_allowed:
            yield names.SOURCE_IP, entry._replace(source=host_network(address))

    def _node_port(self, port: int) -> Iterator[tuple[str, SetEntry]]:
        """A set of ports alone knows no SCTP: there it is addresses with ports."""
        if self.protocol is Protocol.SCTP:
            entries = [SetEntry(address, self.protocol, port) for address in self.listeners]
        else:
            entries = [SetEntry(port=port)]
        for entry in entries:
            yield names.NODE_PORTS[self.protocol], entry
            if self.port.external_local:
                yield names.LOCAL_NODE_PORTS[self.protocol], entry

    # --- what the node itself may not use

    @property
    def _node_is_allowed(self) -> bool:
        return self.route.allowed_sources != self.port.source_ranges

    def barred(self) -> Iterator[VirtualMatch]:
        if self.route.allowed_sources is not None and not self._node_is_allowed:
            for address in self.port.load_balancer_ips:
                yield VirtualMatch(self.protocol, address, self.port.port)
