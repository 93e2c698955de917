"""The tables of mode userspace: five chains that all Service ports share, and their hooks.

nat     PREROUTING ─> KUBE-PORTALS-CONTAINER, KUBE-NODEPORT-CONTAINER     REDIRECT to the socket
        OUTPUT ─────> KUBE-PORTALS-HOST, KUBE-NODEPORT-HOST               DNAT to the socket
filter  INPUT ──────> KUBE-NODEPORT-NON-LOCAL                             ACCEPT
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netlab.model.rules import (
    Chain,
    ChainEdit,
    Conntrack,
    ConntrackState,
    Family,
    Hook,
    IPAddress,
    Jump,
    Rule,
    Table,
    TablePatch,
)
from netlab.proxy.config import NodeFacts, ProxyConfig, nodeport_listeners
from netlab.proxy.ports import PortKey
from netlab.proxy.userspace import names
from netlab.proxy.userspace.port_rules import PortRules, ServedPort, spell_port

_FIRST = "handle ClusterIPs; NOTE: this must be before the NodePort rules"
_LAST = "handle service NodePorts; NOTE: this must be the last rule in the chain"
_LET_IN = "Ensure that non-local NodePort traffic can flow"
_NOTHING = PortRules()


def _node_ports(chain: str, target: str) -> Hook:
    return Hook(chain, Rule(comment=_LAST, destination_local=True, target=Jump(target)))


NAT_HOOKS = (
    _node_ports("OUTPUT", names.NODEPORT_HOST),
    _node_ports("PREROUTING", names.NODEPORT_CONTAINER),
    Hook("OUTPUT", Rule(comment=_FIRST, target=Jump(names.PORTALS_HOST))),
    Hook("PREROUTING", Rule(comment=_FIRST, target=Jump(names.PORTALS_CONTAINER))),
)
"""The first is inserted first and so ends lowest: ClusterIPs come before node ports."""
_NEW = Conntrack(frozenset({ConntrackState.NEW}))
FILTER_HOOKS = (Hook("INPUT", Rule(comment=_LET_IN, conntrack=_NEW, target=Jump(names.NODEPORT_NON_LOCAL))),)
"""The kernel tracks connections only where some rule asks for it, and translates back only what it tracks. This one
asks also when the last Service has gone with its rules: its clients are still to be told that their connections end."""


class Spelling:
    """The rules of one family on one node, kept up to date Service port by Service port.

    `local_addresses` are those that the machine has now: of them --nodeport-addresses chooses.
    """

    def __init__(
        self,
        *,
        config: ProxyConfig,
        node: NodeFacts,
        family: Family,
        local_addresses: tuple[IPAddress, ...] = (),
    ) -> None:
        self._family = family
        self._node_address = node.address(family)
        self._redirect = not config.userspace_on_node_address
        self.listeners = nodeport_listeners(config.on_node(node), local_addresses=local_addresses, family=family)
        """The addresses on which node ports answer; None: on every local one."""
        self._ports: dict[PortKey, PortRules] = {}  # the last one's lines come first

    def start(self, ports: Iterable[ServedPort]) -> None:
        """Forget everything and take in these Service ports, of which those of other families do not count."""
        ours = [served for served in ports if served.route.key.family is self._family]
        self._ports = {served.route.key: self._spelled(served) for served in reversed(ours)}

    def update(self, changed: Mapping[PortKey, ServedPort | None]) -> tuple[TablePatch, ...]:
        """Take in what changed (None: not served any more); the least that must change in the tables.

        Endpoints change no rule: who gets a connection is decided when it is there.
        """
        differences = []
        for key, served in changed.items():
            if key.family is not self._family:
                continue
            old, new = self._ports.get(key, _NOTHING), self._spelled(served)
            if old != new:
                differences.append((old, new))
                self._ports.pop(key, None)
                if served is not None:
                    self._ports[key] = new
        return _patches(differences, family=self._family)

    def tables(self) -> tuple[Table, ...]:
        """The tables nat and filter as they are after the last update, whole."""
        ports = [*reversed(self._ports.values())]
        nat, filter_ = _chains(ports)
        return (
            Table(self._family, "nat", chains=nat, hooks=NAT_HOOKS),
            Table(self._family, "filter", chains=filter_, hooks=FILTER_HOOKS),
        )

    def rule_counts(self) -> Mapping[str, int]:
        """How many rules there are in each table, hooks among them, after the last update."""
        lines = [sum(map(len, rules[:-1])) for rules in self._ports.values()]
        let_in = [len(rules.nodeport_non_local) for rules in self._ports.values()]
        return {"nat": len(NAT_HOOKS) + sum(lines), "filter": len(FILTER_HOOKS) + sum(let_in)}

    def _spelled(self, served: ServedPort | None) -> PortRules:
        if served is None:
            return _NOTHING
        return spell_port(served, node_address=self._node_address, redirect=self._redirect, listeners=self.listeners)


def _chains(ports: list[PortRules]) -> tuple[tuple[Chain, ...], tuple[Chain, ...]]:
    """The chains of nat and of filter, filled."""
    columns = [tuple([rule for lines in column for rule in lines]) for column in zip(*ports, strict=True)]
    filled = columns or [()] * len(_NOTHING)
    nat = tuple(Chain(name, rules) for name, rules in zip(names.NAT_CHAINS, filled, strict=False))
    return nat, (Chain(names.NODEPORT_NON_LOCAL, filled[-1]),)


def _patches(differences: list[tuple[PortRules, PortRules]], *, family: Family) -> tuple[TablePatch, ...]:
    edits = [
        ChainEdit(
            name,
            removed=tuple(rule for old, _ in differences for rule in old[column]),
            added=tuple(rule for _, new in reversed(differences) for rule in new[column]),
        )
        for column, name in enumerate((*names.NAT_CHAINS, names.NODEPORT_NON_LOCAL))
    ]
    useful = [edit for edit in edits if edit.removed or edit.added]
    nat = tuple(edit for edit in useful if edit.chain != names.NODEPORT_NON_LOCAL)
    filter_ = tuple(edit for edit in useful if edit.chain == names.NODEPORT_NON_LOCAL)
    patches = (TablePatch(family, "nat", edits=nat), TablePatch(family, "filter", edits=filter_))
    return tuple(patch for patch in patches if patch.edits)
