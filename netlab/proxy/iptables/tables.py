"""Whole tables: what Services share, and every Service's part in it.

`Spelling` spells each Service port's part by itself, so that a change of one costs the same among ten or ten thousand.
It keeps Routes, not rules: those of five thousand Services take 20 MB, and are spelled again in a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

from netlab.model.rules import (
    Chain,
    ChainEdit,
    Conntrack,
    ConntrackState,
    Family,
    Hook,
    IPAddress,
    Jump,
    Mark,
    Masquerade,
    Rule,
    SetMark,
    Table,
    TablePatch,
    Verdict,
)
from netlab.proxy.addresses import host_network
from netlab.proxy.collector import collector_resting
from netlab.proxy.config import NodeFacts, ProxyConfig, nodeport_listeners
from netlab.proxy.decide import Route
from netlab.proxy.iptables import names
from netlab.proxy.iptables.service import ServiceRules, spell_service
from netlab.proxy.ports import PortKey

COMMENTS_UP_TO = 1000
"""Endpoints in one family: with more, lines about single endpoints carry no comment."""
_NEW = Conntrack(frozenset({ConntrackState.NEW}))
_LOOPBACK = IPv4Network("127.0.0.0/8")
_LOOPBACK_6 = IPv6Network("::1/128")
_LAST = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
_NOTHING = ServiceRules()


def spell(
    routes: Iterable[Route],
    *,
    config: ProxyConfig,
    node: NodeFacts,
    family: Family,
    endpoint_total: int,
    local_addresses: tuple[IPAddress, ...] = (),
) -> tuple[Table, ...]:
    """The tables mangle, nat and filter of one family, whole. See `Spelling` for the arguments."""
    spelling = Spelling(config=config, node=node, family=family, local_addresses=local_addresses)
    spelling.start({route.key: route for route in routes}, endpoint_total=endpoint_total)
    return spelling.tables()


class Spelling:
    """The rules of one family on one node, kept up to date Service port by Service port.

    `local_addresses` are those that the machine has now: of them --nodeport-addresses chooses. A new set of them, or
    new facts of the node, need a new Spelling.
    """

    def __init__(
        self,
        *,
        config: ProxyConfig,
        node: NodeFacts,
        family: Family,
        local_addresses: tuple[IPAddress, ...] = (),
    ) -> None:
        self._config = config = config.on_node(node)
        self._family = family
        self._listeners = nodeport_listeners(config, local_addresses=local_addresses, family=family)
        self._comments = True
        self._routes: dict[PortKey, Route] = {}  # the last one's lines come first in shared chains
        self._counts: dict[str, int] = {}

    @property
    def listeners(self) -> tuple[IPAddress, ...] | None:
        """The addresses on which node ports answer; None: on every local one."""
        return self._listeners

    def start(self, routes: Mapping[PortKey, Route], *, endpoint_total: int) -> None:
        """Forget everything and take in these Routes, as `update` does, for who goes on to ask for whole tables."""
        self._comments = endpoint_total <= COMMENTS_UP_TO
        self._counts = {}
        ours = [(key, route) for key, route in routes.items() if key.family is self._family]
        self._routes = dict(reversed(ours))

    def update(self, changed: Mapping[PortKey, Route | None], *, endpoint_total: int) -> tuple[TablePatch, ...]:
        """Take in the Routes that changed (None: the port is gone); the least that must change in the tables.

        `endpoint_total` counts the endpoints of all ports of the family, in any state. Where it crosses 1000 every
        Service is spelled anew, with comments or without.
        """
        ours = {key: route for key, route in changed.items() if key.family is self._family}
        respell = (endpoint_total <= COMMENTS_UP_TO) != self._comments
        keys = {*self._routes, *ours} if respell else ours.keys()
        before = [self._spelled(key) for key in keys]
        self._comments = endpoint_total <= COMMENTS_UP_TO
        self._routes.update({key: route for key, route in ours.items() if route is not None})
        for key in [key for key, route in ours.items() if route is None]:
            self._routes.pop(key, None)
        differences = []
        for key, old in zip(keys, before, strict=True):
            if (new := self._spelled(key)) != old:
                differences.append((old, new))
            if old.shared != new.shared and key in self._routes:
                self._routes[key] = self._routes.pop(key)  # as the patch moves its lines to the top
        if self._counts:
            self._counts["nat"] += sum(_nat_rules(new) - _nat_rules(old) for old, new in differences)
            self._counts["filter"] += sum(_filter_rules(new) - _filter_rules(old) for old, new in differences)
        return _patches(differences, family=self._family)

    def _spelled(self, key: PortKey) -> ServiceRules:
        route = self._routes.get(key)
        return spell_service(route, comments=self._comments) if route is not None else _NOTHING

    def tables(self) -> tuple[Table, ...]:
        """The tables as they are after the last update, whole: spelled anew."""
        with collector_resting():
            services = [spell_service(route, comments=self._comments) for route in reversed(self._routes.values())]
            mangle = Table(self._family, "mangle", chains=(Chain(names.CANARY),))
            tables = (mangle, self._nat(services), self._filter(services))
        self._counts = {table.name: len(table.hooks) + sum(len(c.rules) for c in table.chains) for table in tables}
        return tables

    def rule_counts(self) -> Mapping[str, int]:
        """How many rules there are in each table, hooks among them, after the last update."""
        if not self._counts:
            self.tables()
        return self._counts

    def _nat(self, services: Sequence[ServiceRules]) -> Table:
        shared = (
            Chain(names.CANARY),
            Chain(names.SERVICES, (*(r for s in services for r in s.nat_services), *self._to_nodeports())),
            Chain(names.NODEPORTS, tuple([r for s in services for r in s.nat_nodeports])),
            Chain(names.POSTROUTING, _postrouting(self._config)),
            Chain(names.MARK_MASQ, (Rule(target=_set_mark(self._config)),)),
        )
        own = tuple([chain for service in services for chain in service.chains])
        return Table(self._family, "nat", chains=shared + own, hooks=NAT_HOOKS, owned=names.PER_SERVICE)

    def _filter(self, services: Sequence[ServiceRules]) -> Table:
        firewall = _firewall(self._config, family=self._family)
        chains = (
            Chain(names.CANARY),
            Chain(names.SERVICES, tuple([r for s in services for r in s.filter_services])),
            Chain(names.EXTERNAL_SERVICES, tuple([r for s in services for r in s.filter_external])),
            Chain(names.NODEPORTS, tuple([r for s in services for r in s.filter_nodeports])),
            Chain(names.PROXY_FIREWALL, tuple([r for s in services for r in s.filter_firewall])),
            Chain(names.FORWARD, _forward(self._config)),
            Chain(names.FIREWALL, firewall),
        )
        shared = () if firewall else (names.FIREWALL,)  # a kubelet may have filled it
        return Table(self._family, "filter", chains=chains, hooks=FILTER_HOOKS, shared=shared)

    def _to_nodeports(self) -> tuple[Rule, ...]:
        """The end of KUBE-SERVICES: whatever is addressed to the node itself may be for a node port."""
        target = Jump(names.NODEPORTS)
        if self._listeners is not None:
            return tuple(Rule(destination=host_network(a), comment=_LAST, target=target) for a in self._listeners)
        if self._config.localhost_nodeports(self._family):
            return (Rule(comment=_LAST, destination_local=True, target=target),)
        loopback = _LOOPBACK if self._family is Family.IPV4 else _LOOPBACK_6
        return (
            Rule(destination=loopback, destination_inverted=True, comment=_LAST, destination_local=True, target=target),
        )


def _nat_rules(rules: ServiceRules) -> int:
    return sum(len(chain.rules) for chain in rules.chains) + len(rules.nat_services) + len(rules.nat_nodeports)


def _filter_rules(rules: ServiceRules) -> int:
    parts = (rules.filter_services, rules.filter_external, rules.filter_nodeports, rules.filter_firewall)
    return sum(map(len, parts))


def _patches(differences: list[tuple[ServiceRules, ServiceRules]], *, family: Family) -> tuple[TablePatch, ...]:
    moved = [(old, new) for old, new in differences if old.shared != new.shared]
    nat = TablePatch(
        family,
        "nat",
        chains=tuple(chain for old, new in differences for chain in _different(old.chains, new.chains)),
        edits=_edits(
            (names.SERVICES, [(old.nat_services, new.nat_services) for old, new in moved]),
            (names.NODEPORTS, [(old.nat_nodeports, new.nat_nodeports) for old, new in moved]),
        ),
        removed=tuple(name for old, new in differences for name in _gone(old.chains, new.chains)),
    )
    filter_ = TablePatch(
        family,
        "filter",
        edits=_edits(
            (names.SERVICES, [(old.filter_services, new.filter_services) for old, new in moved]),
            (names.EXTERNAL_SERVICES, [(old.filter_external, new.filter_external) for old, new in moved]),
            (names.NODEPORTS, [(old.filter_nodeports, new.filter_nodeports) for old, new in moved]),
            (names.PROXY_FIREWALL, [(old.filter_firewall, new.filter_firewall) for old, new in moved]),
        ),
    )
    return tuple(patch for patch in (nat, filter_) if patch.chains or patch.edits or patch.removed)


def _edits(*chains: tuple[str, list[tuple[tuple[Rule, ...], tuple[Rule, ...]]]]) -> tuple[ChainEdit, ...]:
    """The last Service's lines come first, as in whole tables: else those would find the chain out of order."""
    edits = (
        ChainEdit(
            name,
            removed=tuple(rule for old, _ in pairs for rule in old),
            added=tuple(rule for _, new in reversed(pairs) for rule in new),
        )
        for name, pairs in chains
    )
    return tuple(edit for edit in edits if edit.removed or edit.added)


def _different(old: tuple[Chain, ...], new: tuple[Chain, ...]) -> list[Chain]:
    before = {chain.name: chain.rules for chain in old}
    return [chain for chain in new if before.get(chain.name) != chain.rules]


def _gone(old: tuple[Chain, ...], new: tuple[Chain, ...]) -> list[str]:
    kept = {chain.name for chain in new}
    return [chain.name for chain in old if chain.name not in kept]


# --- what does not depend on any Service


def _hook(chain: str, comment: str, target: str, *, conntrack: Conntrack | None = None) -> Hook:
    return Hook(chain, Rule(comment=comment or None, conntrack=conntrack, target=Jump(target)))


_VISIBLE = "kubernetes externally-visible service portals"
_PORTALS = "kubernetes service portals"
_BALANCER = "kubernetes load balancer firewall"
NAT_HOOKS = (
    _hook("OUTPUT", _PORTALS, names.SERVICES),
    _hook("PREROUTING", _PORTALS, names.SERVICES),
    _hook("POSTROUTING", "kubernetes postrouting rules", names.POSTROUTING),
)
FILTER_HOOKS = (
    _hook("INPUT", _VISIBLE, names.EXTERNAL_SERVICES, conntrack=_NEW),
    _hook("FORWARD", _VISIBLE, names.EXTERNAL_SERVICES, conntrack=_NEW),
    _hook("INPUT", "kubernetes health check service ports", names.NODEPORTS),
    _hook("FORWARD", _PORTALS, names.SERVICES, conntrack=_NEW),
    _hook("OUTPUT", _PORTALS, names.SERVICES, conntrack=_NEW),
    _hook("FORWARD", "kubernetes forwarding rules", names.FORWARD),
    _hook("INPUT", _BALANCER, names.PROXY_FIREWALL, conntrack=_NEW),
    _hook("OUTPUT", _BALANCER, names.PROXY_FIREWALL, conntrack=_NEW),
    _hook("FORWARD", _BALANCER, names.PROXY_FIREWALL, conntrack=_NEW),
    _hook("INPUT", "", names.FIREWALL),
    _hook("OUTPUT", "", names.FIREWALL),
)


def _set_mark(config: ProxyConfig) -> SetMark:
    return SetMark(config.masquerade_mark, config.masquerade_mark)


def _postrouting(config: ProxyConfig) -> tuple[Rule, ...]:
    """Masquerade what is marked; the mark goes first, lest the packet be masqueraded again on a later way through."""
    mark = config.masquerade_mark
    return (
        Rule(mark=Mark(mark, mark, inverted=True), target=Verdict.RETURN),
        Rule(target=SetMark(mark, 0)),
        Rule(comment="kubernetes service traffic requiring SNAT", target=Masquerade(random_fully=config.random_fully)),
    )


def _forward(config: ProxyConfig) -> tuple[Rule, ...]:
    """Accept Service traffic where the policy of FORWARD is DROP.

    A packet that conntrack calls INVALID would go untranslated to the endpoint, whose reset then breaks the client's
    connection: it is dropped.
    """
    invalid = Conntrack(frozenset({ConntrackState.INVALID}))
    accept = (
        Rule(
            comment="kubernetes forwarding rules",
            mark=Mark(config.masquerade_mark, config.masquerade_mark),
            target=Verdict.ACCEPT,
        ),
        Rule(
            comment="kubernetes forwarding conntrack rule",
            conntrack=Conntrack(frozenset({ConntrackState.RELATED, ConntrackState.ESTABLISHED})),
            target=Verdict.ACCEPT,
        ),
    )
    return accept if config.conntrack_tcp_liberal else (Rule(conntrack=invalid, target=Verdict.DROP), *accept)


def _firewall(config: ProxyConfig, *, family: Family) -> tuple[Rule, ...]:
    """route_localnet opens loopback addresses to the node's neighbours: close them again for all but translations."""
    if not config.localhost_nodeports(family):
        return ()
    known = frozenset({ConntrackState.RELATED, ConntrackState.ESTABLISHED, ConntrackState.DNAT})
    return (
        Rule(
            source=_LOOPBACK,
            source_inverted=True,
            destination=_LOOPBACK,
            comment="block incoming localnet connections",
            conntrack=Conntrack(known, inverted=True),
            target=Verdict.DROP,
        ),
    )
