"""The rules of ipvs mode: they masquerade and filter, by address sets; however many Services there are, they are few.

As kube-proxy writes them: a rule about an empty set is left out, but in KUBE-IPVS-FILTER.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network

from netlab.model.rules import (
    Chain,
    Conntrack,
    ConntrackState,
    Family,
    Hook,
    IPNetwork,
    Jump,
    Mark,
    Masquerade,
    Protocol,
    Reject,
    Rule,
    SetMark,
    SetMatch,
    Table,
    Target,
    Verdict,
    VirtualMatch,
)
from netlab.proxy.addresses import host_network
from netlab.proxy.config import FromNetwork, LocalTraffic, ProxyConfig
from netlab.proxy.ipvs import names

LOOPBACKS: dict[Family, IPNetwork] = {Family.IPV4: IPv4Network("127.0.0.0/8"), Family.IPV6: IPv6Network("::1/128")}
TO, TO_PORT, TO_FROM = ("dst", "dst"), ("dst",), ("dst", "dst", "src")
_MASQUERADE = Jump(names.MARK_MASQ)
_NEW = Conntrack(frozenset({ConntrackState.NEW}))
_KNOWN = Conntrack(frozenset({ConntrackState.RELATED, ConntrackState.ESTABLISHED}))


def tables(
    *,
    config: ProxyConfig,
    family: Family,
    local_traffic: LocalTraffic | None,
    filled: Collection[str],
    barred: Iterable[VirtualMatch],
) -> tuple[Table, ...]:
    """The tables nat and filter of one family. `filled` are the sets that are not empty, by their IPv4 names."""
    speller = _Speller(config, family, local_traffic, filled)
    return speller.nat(), speller.filter(barred)


def hooks(table: str) -> tuple[Hook, ...]:
    """Where the kernel's own chains lead to ours."""
    return tuple(Hook(chain, Rule(comment=comment, target=Jump(target))) for chain, comment, target in HOOKS[table])


_PORTALS, _FIREWALL, _ACCESS = (
    "kubernetes service portals",
    "kube-proxy firewall rules",
    "kubernetes ipvs access filter",
)
HOOKS = {
    "nat": (
        ("OUTPUT", _PORTALS, names.SERVICES),
        ("PREROUTING", _PORTALS, names.SERVICES),
        ("POSTROUTING", "kubernetes postrouting rules", names.POSTROUTING),
    ),
    "filter": (
        ("FORWARD", "kubernetes forwarding rules", names.FORWARD),
        ("INPUT", "kubernetes health check rules", names.NODE_PORT),
        ("INPUT", _FIREWALL, names.PROXY_FIREWALL),
        ("FORWARD", _FIREWALL, names.PROXY_FIREWALL),
        ("INPUT", _ACCESS, names.IPVS_FILTER),
        ("OUTPUT", _ACCESS, names.IPVS_OUT_FILTER),
    ),
}
CHAINS = {
    "nat": (names.SERVICES, names.POSTROUTING, names.NODE_PORT, names.LOAD_BALANCER_CHAIN, names.MARK_MASQ),
    "filter": (
        names.FORWARD,
        names.NODE_PORT,
        names.PROXY_FIREWALL,
        names.SOURCE_RANGES_FIREWALL,
        names.IPVS_FILTER,
        names.IPVS_OUT_FILTER,
    ),
}


class _Speller:
    def __init__(
        self, config: ProxyConfig, family: Family, local_traffic: LocalTraffic | None, filled: Collection[str]
    ) -> None:
        self._config = config
        self._family = family
        self._local_traffic = local_traffic
        self._filled = filled

    def nat(self) -> Table:
        chains = (
            Chain(names.SERVICES, tuple(self._services())),
            Chain(names.POSTROUTING, tuple(self._postrouting())),
            Chain(names.NODE_PORT, tuple(self._node_port())),
            Chain(names.LOAD_BALANCER_CHAIN, tuple(self._load_balancer())),
            Chain(names.MARK_MASQ, (Rule(target=SetMark(self._config.masquerade_mark, self._config.masquerade_mark)),)),
        )
        return Table(self._family, "nat", chains=chains, hooks=hooks("nat"))

    def filter(self, barred: Iterable[VirtualMatch]) -> Table:
        chains = (
            Chain(names.FORWARD, tuple(self._forward())),
            Chain(names.NODE_PORT, tuple(self._health_checks())),
            Chain(names.PROXY_FIREWALL, tuple(self._proxy_firewall())),
            Chain(names.SOURCE_RANGES_FIREWALL, tuple(self._source_ranges())),
            Chain(names.IPVS_FILTER, tuple(self._ipvs_filter())),
            Chain(names.IPVS_OUT_FILTER, tuple(map(_bar, barred))),
        )
        return Table(self._family, "filter", chains=chains, hooks=hooks("filter"))

    def _match(self, name: str, parts: tuple[str, ...]) -> SetMatch:
        return SetMatch(names.set_name(name, self._family), parts)

    def _about(
        self, name: str, parts: tuple[str, ...], target: Target, *, protocol: Protocol | None = None
    ) -> Iterator[Rule]:
        """The rule about a set, where there is anything in it."""
        if name in self._filled:
            match, comment = self._match(name, parts), names.USES[name].comment
            yield Rule(comment=comment, address_set=match, target=target, protocol=protocol)

    # --- nat

    def _services(self) -> Iterator[Rule]:
        yield Rule(source=LOOPBACKS[self._family], target=Verdict.RETURN)
        yield from self._about(names.LOAD_BALANCER, TO, Jump(names.LOAD_BALANCER_CHAIN))
        yield from self._cluster_ips()
        yield from self._about(names.EXTERNAL_IP, TO, _MASQUERADE)
        for name in (names.EXTERNAL_IP, names.EXTERNAL_IP_LOCAL):
            yield from self._external_ips(name)
        yield Rule(destination_local=True, target=Jump(names.NODE_PORT))
        for name in (names.CLUSTER_IP, names.LOAD_BALANCER):
            if name in self._filled:
                yield Rule(address_set=self._match(name, TO), target=Verdict.ACCEPT)

    def _cluster_ips(self) -> Iterator[Rule]:
        """Without anything that tells Pods apart only the node's own packets are masqueraded.

        kube-ipvs0 has every ClusterIP, and the node sends to one of its own addresses from that address.
        """
        if self._config.masquerade_all:
            yield from self._about(names.CLUSTER_IP, TO, _MASQUERADE)
        elif self._local_traffic is None:
            yield from self._about(names.CLUSTER_IP, ("src", "dst"), _MASQUERADE)
        else:
            for rule in self._about(names.CLUSTER_IP, TO, _MASQUERADE):
                yield _not_local(rule, self._local_traffic)

    def _external_ips(self, name: str) -> Iterator[Rule]:
        """From another machine, or the address is one of this machine's: nothing more is to be done in this table."""
        for rule in self._about(name, TO, Verdict.ACCEPT):
            yield rule._replace(bridged_in=False, source_local=False)
            yield rule._replace(destination_local=True)

    def _postrouting(self) -> Iterator[Rule]:
        mark = self._config.masquerade_mark
        yield from self._about(names.LOOP_BACK, TO_FROM, Masquerade(random_fully=False))
        yield Rule(mark=Mark(mark, mark, inverted=True), target=Verdict.RETURN)
        yield Rule(target=SetMark(mark, 0))
        random_fully = self._config.random_fully
        yield Rule(comment="kubernetes service traffic requiring SNAT", target=Masquerade(random_fully=random_fully))

    def _node_port(self) -> Iterator[Rule]:
        """What stays on its node keeps its source; all else is masqueraded."""
        for protocol in Protocol:
            parts = TO if protocol is Protocol.SCTP else TO_PORT
            yield from self._about(names.LOCAL_NODE_PORTS[protocol], parts, Verdict.RETURN, protocol=protocol)
            yield from self._about(names.NODE_PORTS[protocol], parts, _MASQUERADE, protocol=protocol)

    def _load_balancer(self) -> Iterator[Rule]:
        yield from self._about(names.LOAD_BALANCER_LOCAL, TO, Verdict.RETURN)
        yield Rule(target=_MASQUERADE)

    # --- filter

    def _forward(self) -> Iterator[Rule]:
        mark = self._config.masquerade_mark
        yield Rule(comment="kubernetes forwarding rules", mark=Mark(mark, mark), target=Verdict.ACCEPT)
        yield Rule(comment="kubernetes forwarding conntrack rule", conntrack=_KNOWN, target=Verdict.ACCEPT)

    def _health_checks(self) -> Iterator[Rule]:
        comment = names.USES[names.HEALTH_CHECK].comment
        yield Rule(comment=comment, address_set=self._match(names.HEALTH_CHECK, TO_PORT), target=Verdict.ACCEPT)

    def _proxy_firewall(self) -> Iterator[Rule]:
        yield from self._about(names.LOAD_BALANCER_FW, TO, Jump(names.SOURCE_RANGES_FIREWALL))

    def _source_ranges(self) -> Iterator[Rule]:
        yield from self._about(names.SOURCE_CIDR, TO_FROM, Verdict.RETURN)
        yield from self._about(names.SOURCE_IP, TO_FROM, Verdict.RETURN)
        yield Rule(target=Verdict.DROP)

    def _ipvs_filter(self) -> Iterator[Rule]:
        """The node has the Services' addresses, and must not answer there itself on any other port."""
        for name in (names.LOAD_BALANCER, names.CLUSTER_IP, names.EXTERNAL_IP, names.EXTERNAL_IP_LOCAL):
            yield Rule(address_set=self._match(name, TO), target=Verdict.RETURN)
        yield Rule(address_set=self._match(names.HEALTH_CHECK, TO_PORT), target=Verdict.RETURN)
        yield Rule(conntrack=_NEW, address_set=self._match(names.IPVS_IPS, TO_PORT), target=Reject())


def _not_local(rule: Rule, local: LocalTraffic) -> Rule:
    if isinstance(local, FromNetwork):
        return rule._replace(source=local.network, source_inverted=True)
    return rule._replace(in_interface=f"{local.name}+" if local.prefix else local.name, in_interface_inverted=True)


def _bar(match: VirtualMatch) -> Rule:
    """The node's own packet to an address that it has comes from that address, whatever its source ranges say."""
    return Rule(source=host_network(match.address), virtual=match, target=Verdict.DROP)
