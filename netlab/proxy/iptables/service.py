"""One Route as iptables rules: the chains of its own, and its lines in the chains that Services share.

nat KUBE-SERVICES ──────> KUBE-SVC or KUBE-SVL ──> KUBE-SEP (one an endpoint): DNAT
      │    KUBE-NODEPORTS ──> KUBE-EXT ──┘
      └─> KUBE-FW (source ranges) ──┘
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from netlab.model.rules import (
    Chain,
    Dnat,
    IPNetwork,
    Jump,
    Protocol,
    Recent,
    Reject,
    Rule,
    Target,
    Verdict,
    held_probability,
)
from netlab.proxy.addresses import host_network
from netlab.proxy.config import FromNetwork, LocalTraffic
from netlab.proxy.decide import Fate, MasqueradeClients, Route
from netlab.proxy.iptables.names import MARK_MASQ, ChainNames, endpoint_chain
from netlab.proxy.slices import Endpoint

_MASQUERADE = Jump(MARK_MASQ)
_REJECT = Reject()


class ServiceRules(NamedTuple):
    """What one Service port needs. `chains` are its own, in the table nat; the rest are lines in shared chains."""

    chains: tuple[Chain, ...] = ()
    nat_services: tuple[Rule, ...] = ()
    nat_nodeports: tuple[Rule, ...] = ()
    filter_services: tuple[Rule, ...] = ()
    filter_external: tuple[Rule, ...] = ()
    filter_nodeports: tuple[Rule, ...] = ()
    filter_firewall: tuple[Rule, ...] = ()

    @property
    def shared(self) -> tuple[tuple[Rule, ...], ...]:
        """The lines in shared chains."""
        return (
            self.nat_services,
            self.nat_nodeports,
            self.filter_services,
            self.filter_external,
            self.filter_nodeports,
            self.filter_firewall,
        )


def spell_service(route: Route, *, comments: bool) -> ServiceRules:
    """Spell one Route. Without `comments` (over 1000 endpoints) the lines about single endpoints carry none."""
    return _Speller(route, comments=comments).rules()


class _Speller:
    """The words that the rules of one Route share, and a method a chain."""

    __slots__ = ("chain", "cluster_ip", "comments", "jumps", "port", "protocol", "route", "text")

    def __init__(self, route: Route, *, comments: bool) -> None:
        self.route = route
        self.port = route.port
        self.protocol: Protocol = route.key.protocol
        self.text = str(route.key)
        self.chain = ChainNames(self.text, self.protocol)
        self.comments = comments
        self.cluster_ip = host_network(self.port.cluster_ip)
        self.jumps: dict[str, Jump] = {
            endpoint.name: Jump(endpoint_chain(self.text, self.protocol, endpoint.name)) for endpoint in route.reachable
        }

    def rules(self) -> ServiceRules:
        health = tuple(self._health_check()) if self.port.health_check_port else ()
        if self.route.refused:
            return ServiceRules(
                filter_services=(self._blocked(self.cluster_ip, self.route.internal),),
                filter_external=tuple(self._blocked_outside()) if self.port.externally_accessible else (),
                filter_nodeports=health,
            )
        internal = self.route.internal
        blocked = () if self._leads_on(internal) else (self._blocked(self.cluster_ip, internal),)
        if not self.port.externally_accessible:
            return ServiceRules(
                chains=tuple(self._chains()),
                nat_services=self._cluster_ip(),
                filter_services=blocked,
                filter_nodeports=health,
            )
        return ServiceRules(
            chains=tuple(self._chains()),
            nat_services=(*self._cluster_ip(), *self._external_addresses()),
            nat_nodeports=tuple(self._node_port()),
            filter_services=blocked,
            filter_external=() if self._leads_on(self.route.external) else tuple(self._blocked_outside()),
            filter_nodeports=health,
            filter_firewall=tuple(self._behind_firewall()),
        )

    @staticmethod
    def _leads_on(fate: Fate) -> bool:
        return fate is Fate.CLUSTER or fate is Fate.LOCAL

    def _policy_chain(self, fate: Fate) -> str:
        return self.chain.cluster if fate is Fate.CLUSTER else self.chain.local

    # --- lines in shared chains

    def _to(self, address: IPNetwork, what: str, target: Target) -> Rule:
        return Rule(
            destination=address,
            protocol=self.protocol,
            destination_port=self.port.port,
            comment=f"{self.text} {what}",
            target=target,
        )

    def _cluster_ip(self) -> tuple[Rule, ...]:
        if not self._leads_on(self.route.internal):
            return ()
        return (self._to(self.cluster_ip, "cluster IP", Jump(self._policy_chain(self.route.internal))),)

    def _external_addresses(self) -> Iterator[Rule]:
        external = Jump(self.chain.external)
        for address in self.port.external_ips:
            yield self._to(host_network(address), "external IP", external)
        balanced = external if self.route.allowed_sources is None else Jump(self.chain.firewall)
        for address in self.port.load_balancer_ips:
            yield self._to(host_network(address), "loadbalancer IP", balanced)

    def _node_port(self) -> Iterator[Rule]:
        if self.port.node_port:
            yield Rule(
                protocol=self.protocol,
                destination_port=self.port.node_port,
                comment=self.text,
                target=Jump(self.chain.external),
            )

    def _why_blocked(self, fate: Fate) -> tuple[str, Target]:
        if fate is Fate.REFUSED:
            return "has no endpoints", _REJECT
        return "has no local endpoints", Verdict.DROP

    def _blocked(self, address: IPNetwork, fate: Fate) -> Rule:
        why, target = self._why_blocked(fate)
        return self._to(address, why, target)

    def _blocked_outside(self) -> Iterator[Rule]:
        for address in (*self.port.external_ips, *self.port.load_balancer_ips):
            yield self._blocked(host_network(address), self.route.external)
        if self.port.node_port:
            why, target = self._why_blocked(self.route.external)
            yield Rule(
                protocol=self.protocol,
                destination_port=self.port.node_port,
                comment=f"{self.text} {why}",
                destination_local=True,
                target=target,
            )

    def _behind_firewall(self) -> Iterator[Rule]:
        if self.route.allowed_sources is not None:
            for address in self.port.load_balancer_ips:
                yield self._to(host_network(address), f"traffic not accepted by {self.chain.firewall}", Verdict.DROP)

    def _health_check(self) -> Iterator[Rule]:
        yield Rule(
            protocol=Protocol.TCP,
            destination_port=self.port.health_check_port,
            comment=f"{self.text} health check node port",
            target=Verdict.ACCEPT,
        )

    # --- chains of its own

    def _chains(self) -> list[Chain]:
        route, chains = self.route, []
        if self.port.externally_accessible:
            chains.append(Chain(self.chain.external, tuple(self._external_chain())))
            if route.allowed_sources is not None:
                chains.append(Chain(self.chain.firewall, tuple(self._firewall_chain())))
        if route.cluster:
            chains.append(Chain(self.chain.cluster, tuple(self._policy_rules(Fate.CLUSTER, route.cluster))))
        if route.local:
            chains.append(Chain(self.chain.local, tuple(self._policy_rules(Fate.LOCAL, route.local))))
        chains += [
            Chain(self.jumps[endpoint.name].chain, self._endpoint_rules(endpoint)) for endpoint in route.reachable
        ]
        return chains

    def _external_chain(self) -> Iterator[Rule]:
        what, external = f"{self.text} external destinations", self.route.external
        if not self.route.external_stays_on_node:
            yield Rule(comment=f"masquerade traffic for {what}", target=_MASQUERADE)
        else:
            yield from self._short_cuts(what)
        if self._leads_on(external):
            yield Rule(target=Jump(self._policy_chain(external)))

    def _short_cuts(self, what: str) -> Iterator[Rule]:
        """Pods and the node go to any endpoint, as if they had gone out to a load balancer and come back in."""
        everywhere = Jump(self.chain.cluster)
        if self.route.local_traffic:
            network, interface = _origin(self.route.local_traffic)
            comment = f"pod traffic for {what}"
            yield Rule(source=network, in_interface=interface, comment=comment, target=everywhere)
        yield Rule(comment=f"masquerade LOCAL traffic for {what}", source_local=True, target=_MASQUERADE)
        yield Rule(comment=f"route LOCAL traffic for {what}", source_local=True, target=everywhere)

    def _firewall_chain(self) -> Iterator[Rule]:
        """Who gets to its end stays untranslated, and meets the drop in the table filter."""
        comment, external = f"{self.text} loadbalancer IP", Jump(self.chain.external)
        for network in self.route.allowed_sources or ():
            yield Rule(source=network, comment=comment, target=external)
        yield Rule(comment=f"other traffic to {self.text} will be dropped by KUBE-PROXY-FIREWALL")

    def _policy_rules(self, fate: Fate, endpoints: tuple[Endpoint, ...]) -> list[Rule]:
        rules = []
        if self.route.internal is fate and self.route.masquerade_internal is not MasqueradeClients.NONE:
            rules.append(self._masquerade_clients())
        if self.port.affinity_seconds is not None:
            rules += self._returning_clients(endpoints, seconds=self.port.affinity_seconds)
        left = len(endpoints)
        for endpoint in endpoints:
            comment = f"{self.text} -> {endpoint.name}" if self.comments else None
            statistic = one_in(left) if left > 1 else None
            rules.append(Rule(comment=comment, statistic=statistic, target=self.jumps[endpoint.name]))
            left -= 1
        return rules

    def _masquerade_clients(self) -> Rule:
        """Masquerade clients of the ClusterIP, all or those that are no Pods of the cluster."""
        network, interface = None, None
        if self.route.masquerade_internal is MasqueradeClients.OUTSIDERS and self.route.local_traffic:
            network, interface = _origin(self.route.local_traffic)
        return Rule(
            source=network,
            source_inverted=network is not None,
            destination=self.cluster_ip,
            protocol=self.protocol,
            in_interface=interface,
            in_interface_inverted=interface is not None,
            destination_port=self.port.port,
            comment=f"{self.text} cluster IP",
            target=_MASQUERADE,
        )

    def _returning_clients(self, endpoints: tuple[Endpoint, ...], *, seconds: int) -> Iterator[Rule]:
        for endpoint in endpoints:
            jump = self.jumps[endpoint.name]
            yield Rule(
                comment=f"{self.text} -> {endpoint.name}" if self.comments else None,
                recent=Recent(jump.chain, check_seconds=seconds),
                target=jump,
            )

    def _endpoint_rules(self, endpoint: Endpoint) -> tuple[Rule, Rule]:
        """A packet that comes back to its own sender is masqueraded, else the answer would go past this node's NAT."""
        comment = self.text if self.comments else None
        hairpin = Rule(source=host_network(endpoint.address), comment=comment, target=_MASQUERADE)
        sticky = self.port.affinity_seconds is not None
        translate = Rule(
            protocol=self.protocol,
            comment=comment,
            recent=Recent(self.jumps[endpoint.name].chain) if sticky else None,
            target=Dnat(endpoint.address, endpoint.port),
        )
        return hairpin, translate


def _origin(local: LocalTraffic) -> tuple[IPNetwork | None, str | None]:
    """The network or the interface that local traffic comes from."""
    if isinstance(local, FromNetwork):
        return local.network, None
    return None, f"{local.name}+" if local.prefix else local.name


@lru_cache(maxsize=4096)
def one_in(count: int) -> float:
    """One of `count` as kube-proxy writes it, with ten digits, and the kernel holds it."""
    return held_probability(float(f"{1 / count:.10f}"))
