"""What a node's kube-proxy does to the first packet of a flow: choose, masquerade, refuse, drop. One class a mode.

Only Routes and the few rules that Services share are asked; the modes differ in where a decision is made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from netlab.model.journey import PacketVerdict
from netlab.model.modes import ProxyMode
from netlab.proxy.config import FromNetwork
from netlab.proxy.decide import Fate, MasqueradeClients, Route
from netlab.proxy.slices import Endpoint
from netlab.trace.causes import Cause, Reason
from netlab.trace.claims import Claim, Entrance, NodeProxy
from netlab.trace.packet import Packet


class Stage(StrEnum):
    """A place in the kernel that a packet passes, in netfilter's words."""

    PREROUTING = "PREROUTING"
    INPUT = "INPUT"
    FORWARD = "FORWARD"
    OUTPUT = "OUTPUT"
    POSTROUTING = "POSTROUTING"


class Worker(StrEnum):
    """Who rewrites the packet."""

    NAT = "nat"
    IPVS = "ipvs"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The packet goes on to one of these endpoints; `masquerade`: in the node's name."""

    claim: Claim
    endpoints: tuple[Endpoint, ...]
    masquerade: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The packet ends here; `early`: before anything was translated; `packet`: as what, where it was translated."""

    verdict: PacketVerdict
    cause: Cause
    early: bool = False
    packet: Packet | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a packet is when it is asked about: `own`, the node itself sent it; `here`, it is addressed to the node."""

    own: bool
    here: bool


class Policy(ABC):
    """The decisions of one node's kube-proxy. `at` is the node as a place."""

    worker = Worker.NAT
    hairpin_of_remote = False
    """Whether an endpoint of another node that reaches itself through this one is masqueraded too."""

    def __init__(self, proxy: NodeProxy, *, at: str) -> None:
        self.proxy, self.at = proxy, at

    def hook(self, table: str, stage: Stage) -> str:
        """The name of a netfilter hook of kube-proxy's, as journeys write it."""
        return f"{table}/{stage}"

    def blocking_hook(self, block: Block, stage: Stage) -> str:
        """The name of the hook where a block is met."""
        return self.hook("filter", stage)

    def early(self, packet: Packet, standing: Standing) -> Block | None:
        """Whether it ends before anything is translated."""
        return None

    @abstractmethod
    def choice(self, packet: Packet, standing: Standing) -> Choice | None:
        """Whether it is sent on to an endpoint."""

    @abstractmethod
    def block(self, packet: Packet, standing: Standing, stage: Stage) -> Block | None:
        """Whether what nobody translated ends at that stage."""

    # --- what modes have in common

    def is_pod(self, packet: Packet, route: Route) -> bool:
        """Whether it counts as local traffic, a Pod's of this cluster."""
        local = route.local_traffic
        return isinstance(local, FromNetwork) and packet.src in local.network

    def masquerades_inside(self, packet: Packet, route: Route) -> bool:
        """Whether a client of the ClusterIP is masqueraded."""
        if route.masquerade_internal is MasqueradeClients.OUTSIDERS:
            return not self.is_pod(packet, route)
        return route.masquerade_internal is MasqueradeClients.ALL

    def returns_to(self, endpoint: Endpoint, packet: Packet) -> bool:
        """Whether the packet comes back to its own sender and so is masqueraded."""
        return endpoint.address == packet.src and (endpoint.local or self.hairpin_of_remote)

    def cause(self, reason: Reason, packet: Packet, route: Route | None = None) -> Cause:
        return Cause(
            reason=reason,
            at=self.at,
            address=packet.dst,
            port=packet.dport,
            protocol=packet.proto,
            source=packet.src,
            route=route,
            service=route.port if route else None,
            allowed=(route.allowed_sources or ()) if route else (),
        )

    def _chosen(self, packet: Packet, claim: Claim, standing: Standing) -> Choice | None:
        route, fate = claim.route, claim.fate
        if fate is Fate.REFUSED:
            return None
        if claim.inside:
            return self._by_fate(claim, fate, masquerade=self.masquerades_inside(packet, route))
        if not route.external_stays_on_node:
            return self._by_fate(claim, fate, masquerade=True)
        if standing.own or self.is_pod(packet, route):
            return Choice(claim=claim, endpoints=route.cluster, masquerade=standing.own) if route.cluster else None
        return self._by_fate(claim, fate, masquerade=False)

    def _by_fate(self, claim: Claim, fate: Fate, *, masquerade: bool) -> Choice | None:
        endpoints = {Fate.CLUSTER: claim.route.cluster, Fate.LOCAL: claim.route.local}.get(fate, ())
        return Choice(claim=claim, endpoints=endpoints, masquerade=masquerade) if endpoints else None

    def _kept_out(self, packet: Packet, claim: Claim) -> bool:
        """Whether the source ranges of the load balancer keep the packet out."""
        allowed = claim.route.allowed_sources
        balanced = claim.entrance is Entrance.LOAD_BALANCER
        return balanced and allowed is not None and not any(packet.src in network for network in allowed)

    def _by_endpoints(self, packet: Packet, claim: Claim) -> Block | None:
        """The end of what no endpoint can have."""
        match claim.fate:
            case Fate.REFUSED:
                return Block(PacketVerdict.REFUSED, self.cause(Reason.NO_ENDPOINT, packet, claim.route))
            case Fate.DROPPED:
                return Block(PacketVerdict.DROPPED, self.cause(Reason.NO_LOCAL_ENDPOINT, packet, claim.route))
        return None


class Iptables(Policy):
    """Rules of nat translate; rules of filter end what they left alone."""

    hairpin_of_remote = True

    def choice(self, packet: Packet, standing: Standing) -> Choice | None:
        claim = self.proxy.claim(packet, here=standing.here)
        if claim is None or self._kept_out(packet, claim):
            return None
        return self._chosen(packet, claim, standing)

    def block(self, packet: Packet, standing: Standing, stage: Stage) -> Block | None:
        """ClusterIPs are looked for in FORWARD and OUTPUT, all other addresses in INPUT and FORWARD."""
        claim = self.proxy.claim(packet, here=standing.here)
        if claim is None:
            return None
        if self._kept_out(packet, claim):
            return Block(PacketVerdict.DROPPED, self.cause(Reason.SOURCE_RANGE, packet, claim.route))
        elsewhere = Stage.INPUT if claim.inside else Stage.OUTPUT
        return None if stage is elsewhere else self._by_endpoints(packet, claim)


class Nftables(Policy):
    """Maps instead of lists; source ranges count first, and the range of ClusterIPs is closed."""

    def hook(self, table: str, stage: Stage) -> str:
        return f"kube-proxy/{table}-{stage.lower()}"

    def blocking_hook(self, block: Block, stage: Stage) -> str:
        return self.hook("filter", stage) + ("-pre-dnat" if block.early else "")

    def early(self, packet: Packet, standing: Standing) -> Block | None:
        claim = self.proxy.claim(packet, here=standing.here)
        if claim is None or not self._kept_out(packet, claim):
            return None
        return Block(PacketVerdict.DROPPED, self.cause(Reason.SOURCE_RANGE, packet, claim.route))

    def choice(self, packet: Packet, standing: Standing) -> Choice | None:
        claim = self.proxy.claim(packet, here=standing.here)
        return None if claim is None else self._chosen(packet, claim, standing)

    def block(self, packet: Packet, standing: Standing, stage: Stage) -> Block | None:
        claim = self.proxy.claim(packet, here=standing.here)
        if claim is not None:
            at_node_port = claim.entrance is Entrance.NODE_PORT
            return None if at_node_port and stage is not Stage.INPUT else self._by_endpoints(packet, claim)
        if stage is Stage.INPUT:
            return None
        if known := self.proxy.cluster_ip_of(packet.dst):
            return Block(PacketVerdict.REFUSED, self.cause(Reason.PORT_NOT_SERVED, packet, known[0]))
        if self.proxy.is_service_address(packet.dst):
            return Block(PacketVerdict.DROPPED, self.cause(Reason.NO_SUCH_SERVICE, packet))
        return None


class Ipvs(Policy):
    """Every Service address is the node's own; the balancer comes after the table filter on the way in, else before."""

    worker = Worker.IPVS

    def blocking_hook(self, block: Block, stage: Stage) -> str:
        """Without a real server the balancer itself refuses."""
        return "ipvs" if block.cause.reason is Reason.NO_ENDPOINT else self.hook("filter", stage)

    def choice(self, packet: Packet, standing: Standing) -> Choice | None:
        claim = self._claim(packet, standing)
        if claim is None:
            return None
        if self._kept_out(packet, claim) and not standing.own:
            return None
        route, port = claim.route, claim.route.port
        stays = port.internal_local if claim.inside else port.external_local
        endpoints = route.local if stays and route.local else route.cluster
        return (
            Choice(claim=claim, endpoints=endpoints, masquerade=self._masquerades(packet, claim)) if endpoints else None
        )

    def _claim(self, packet: Packet, standing: Standing) -> Claim | None:
        """There are no virtual servers on loopback."""
        return None if packet.dst.is_loopback else self.proxy.claim(packet, here=standing.here)

    def _kept_out(self, packet: Packet, claim: Claim) -> bool:
        """The node speaks to an address that it has from that address: it is judged by its own."""
        if packet.src != packet.dst:
            return super()._kept_out(packet, claim)
        route = claim.route
        barred = route.allowed_sources is not None and route.allowed_sources == route.port.source_ranges
        return claim.entrance is Entrance.LOAD_BALANCER and barred

    def _masquerades(self, packet: Packet, claim: Claim) -> bool:
        if claim.inside:
            return self.masquerades_inside(packet, claim.route)
        return not claim.route.external_stays_on_node

    def block(self, packet: Packet, standing: Standing, stage: Stage) -> Block | None:
        claim = self._claim(packet, standing)
        if claim is None:
            known = self.proxy.services_at(packet.dst) if stage is Stage.INPUT else ()
            return Block(PacketVerdict.REFUSED, self.cause(Reason.PORT_NOT_SERVED, packet, known[0])) if known else None
        judged = stage is not Stage.OUTPUT or packet.src == packet.dst
        if judged and self._kept_out(packet, claim):
            return Block(PacketVerdict.DROPPED, self.cause(Reason.SOURCE_RANGE, packet, claim.route))
        if self.choice(packet, standing) is None:
            return Block(PacketVerdict.REFUSED, self.cause(Reason.NO_ENDPOINT, packet, claim.route))
        return None


class Userspace(Policy):
    """Rules lead to a socket of kube-proxy, which asks an endpoint itself."""

    worker = Worker.PROXY

    def choice(self, packet: Packet, standing: Standing) -> Choice | None:
        claim = self.proxy.claim(packet, here=standing.here)
        if claim is None:
            return None
        if claim.entrance is Entrance.LOAD_BALANCER and claim.route.allowed_sources is not None:
            return None
        return Choice(claim=claim, endpoints=claim.route.reachable, masquerade=False)

    def block(self, packet: Packet, standing: Standing, stage: Stage) -> Block | None:
        return None


POLICIES: dict[ProxyMode, type[Policy]] = {
    ProxyMode.IPTABLES: Iptables,
    ProxyMode.NFTABLES: Nftables,
    ProxyMode.IPVS: Ipvs,
    ProxyMode.USERSPACE: Userspace,
}
