"""Decide, once for every mode, what becomes of a packet that a client sends to a Service port.

Who sends             to the ClusterIP          to a node port, external or load-balancer address
                                                  externalTrafficPolicy Cluster    Local
a Pod                 `internal`                `external`, masqueraded          `cluster`
the node itself       `internal`, masqueraded   `external`, masqueraded          `cluster`, masqueraded
anybody else          `internal`, masqueraded   `external`, masqueraded          `external`
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, IPNetwork
from netlab.proxy.addresses import host_network
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import LOOPBACK, LocalTraffic, NodeFacts, ProxyConfig, local_traffic
from netlab.proxy.endpoints import Usable, alike, usable_endpoints
from netlab.proxy.ports import PortKey, ServicePort
from netlab.proxy.slices import Endpoint


class Fate(StrEnum):
    """What becomes of a packet to one of the Service's addresses."""

    CLUSTER = "cluster"
    """One of the endpoints `Route.cluster`."""
    LOCAL = "local"
    """One of the endpoints `Route.local`."""
    REFUSED = "refused"
    """ICMP port unreachable: no node has an endpoint."""
    DROPPED = "dropped"
    """Silence: the policy is Local and this node has no endpoint, another has. (Mode ipvs takes `Route.cluster`.)"""


class MasqueradeClients(StrEnum):
    """Which clients of the ClusterIP come to the endpoint under the node's address."""

    NONE = "none"
    OUTSIDERS = "outsiders"
    """All that `Route.local_traffic` does not recognize."""
    ALL = "all"


class Route(NamedTuple):
    """The decision for one Service port in one family on one node; modes only spell it.

    A client that is itself the endpoint it reaches is masqueraded always (hairpin). `allowed_sources` are who may use
    the load balancer's addresses, everybody where it is None; all others are dropped there.
    """

    port: ServicePort
    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    reachable: tuple[Endpoint, ...]
    internal: Fate
    external: Fate
    masquerade_internal: MasqueradeClients
    local_traffic: LocalTraffic | None
    allowed_sources: tuple[IPNetwork, ...] | None = None

    @property
    def key(self) -> PortKey:
        return self.port.key

    @property
    def refused(self) -> bool:
        """Whether no node has an endpoint: every address of the port answers with port unreachable."""
        return self.internal is Fate.REFUSED

    @property
    def external_stays_on_node(self) -> bool:
        """Whether outsiders reach only endpoints of this node, their addresses kept; insiders reach all."""
        return self.port.external_local


def decide(port: ServicePort, endpoints: tuple[Endpoint, ...], *, node: NodeFacts, config: ProxyConfig) -> Route:
    """The Route of one Service port: `endpoints` are all that it has, in any state."""
    return _decide(port, endpoints, node=node, clients=_clients(config, node, family=port.key.family))


def decide_all(tracker: ChangeTracker, config: ProxyConfig) -> dict[PortKey, Route]:
    """The Routes of every Service port that the tracker has collected."""
    node = tracker.node
    clients = {family: _clients(config, node, family=family) for family in Family}
    return {
        key: _decide(port, tracker.endpoints(key), node=node, clients=clients[key.family])
        for key, port in tracker.ports.items()
    }


class _Clients(NamedTuple):
    """How the rules of one family tell clients of the ClusterIP apart, and which of them they masquerade."""

    local_traffic: LocalTraffic | None
    masquerade: MasqueradeClients
    local_falls_back: bool
    """Whether traffic that is bound to its node uses all endpoints where the node has none: so it is in mode ipvs."""
    are_alike: bool
    """Whether neither traffic policies nor hints matter: mode userspace is older than both."""


def _clients(config: ProxyConfig, node: NodeFacts, *, family: Family) -> _Clients:
    local = local_traffic(config, node, family=family)
    outsiders = MasqueradeClients.OUTSIDERS if local else MasqueradeClients.NONE
    masquerade = MasqueradeClients.ALL if config.masquerade_all else outsiders
    return _Clients(
        local,
        masquerade,
        local_falls_back=config.mode is ProxyMode.IPVS,
        are_alike=config.mode is ProxyMode.USERSPACE,
    )


def _decide(port: ServicePort, endpoints: tuple[Endpoint, ...], *, node: NodeFacts, clients: _Clients) -> Route:
    usable = _usable(port, endpoints, node=node, clients=clients)
    return Route(
        port=port,
        cluster=usable.cluster,
        local=usable.local,
        reachable=usable.reachable,
        internal=_fate(usable, bound_to_node=port.internal_local and not clients.are_alike),
        external=_fate(usable, bound_to_node=port.external_local and not clients.are_alike),
        masquerade_internal=clients.masquerade,
        local_traffic=clients.local_traffic,
        allowed_sources=_allowed_sources(port, node=node),
    )


def _usable(port: ServicePort, endpoints: tuple[Endpoint, ...], *, node: NodeFacts, clients: _Clients) -> Usable:
    if clients.are_alike:
        return alike(endpoints)
    return usable_endpoints(port, endpoints, node=node, local_falls_back=clients.local_falls_back)


def _fate(usable: Usable, *, bound_to_node: bool) -> Fate:
    if not usable.anywhere:
        return Fate.REFUSED
    if not bound_to_node:
        return Fate.CLUSTER
    return Fate.LOCAL if usable.local else Fate.DROPPED


def _allowed_sources(port: ServicePort, *, node: NodeFacts) -> tuple[IPNetwork, ...] | None:
    """With the node allowed, the load balancer's own addresses are too.

    A load balancer often leaves its address on the node; the node's own packets to it then come from that address.
    A node that has no address of the family counts as loopback.
    """
    if not port.source_ranges or not port.load_balancer_ips:
        return None
    node_address = node.address(port.key.family) or LOOPBACK[port.key.family]
    if not any(node_address in network for network in port.source_ranges):
        return port.source_ranges
    return port.source_ranges + tuple(host_network(address) for address in port.load_balancer_ips)
