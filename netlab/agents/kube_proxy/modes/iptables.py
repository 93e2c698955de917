"""Mode iptables: Routes as rules of the tables mangle, nat and filter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

from netlab.agents.kube_proxy.modes.by_iptables import ByIptables
from netlab.agents.kube_proxy.modes.iptables_tables import KernelTables
from netlab.agents.kube_proxy.modes.mode import ChangedRoutes, Networks, Routes, Situation
from netlab.kernel import dummy, iptables
from netlab.model.ipvs import DEVICE
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family, Jump, Table
from netlab.model.state import Sysctl
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import NodeFacts, ProxyConfig
from netlab.proxy.iptables import Spelling, names
from netlab.proxy.ipvs import rules as ipvs_rules

ROUTE_LOCALNET = Sysctl("net/ipv4/conf/all/route_localnet", "1")


class IptablesMode(ByIptables[Spelling]):
    """The rules of `netlab.proxy.iptables`, by whichever iptables this kernel has."""

    name: ClassVar[ProxyMode] = ProxyMode.IPTABLES

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[Family, KernelTables] = {}

    def require(self, family: Family) -> None:
        iptables.require_tables(family)

    def sysctls(self, config: ProxyConfig, families: tuple[Family, ...]) -> tuple[Sysctl, ...]:
        return (ROUTE_LOCALNET,) if Family.IPV4 in families and config.localhost_nodeports(Family.IPV4) else ()

    def start(self, situation: Situation, routes: Routes) -> None:
        for family in situation.families:
            spelling = Spelling(
                config=situation.config,
                node=situation.node,
                family=family,
                local_addresses=situation.local_addresses,
            )
            spelling.start(routes, endpoint_total=situation.endpoint_totals[family])
            self._spellings[family] = spelling
            self._tables.setdefault(family, KernelTables(family)).stale = True

    def write(self) -> bool:
        written = [self._tables[family].write(spelling.tables()) > 0 for family, spelling in self._spellings.items()]
        return any(written)

    def follow(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> bool:
        followed = [self._follow(family, changed, endpoint_totals[family]) for family in self._spellings]
        return any(followed)

    def take_in(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> None:
        for family, spelling in self._spellings.items():
            spelling.update(changed, endpoint_total=endpoint_totals[family])

    def remove(self, families: tuple[Family, ...], *, spared: Networks = ()) -> bool:
        """KUBE-FIREWALL stays, as kube-proxy leaves it: the kubelet of a node counts it as its own too.

        So does what mode ipvs has as well, where that mode is at work: when a kube-proxy of it starts again, nothing is
        taken away from under its packets.
        """
        del spared
        removed = [self._remove(family) for family in families]
        return any(removed)

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        return tuple(complaint for tables in self._tables.values() for complaint in tables.left_out)

    def _remove(self, family: Family) -> bool:
        present = iptables.present(family)
        if not present:
            return False
        spelling = Spelling(config=ProxyConfig(node_name=""), node=NodeFacts(""), family=family)
        kept = ipvs_rules.CHAINS if dummy.is_there(DEVICE) else {}
        ours = {table.name: _without(table, (names.FIREWALL, *kept.get(table.name, ()))) for table in spelling.tables()}
        changed = [KernelTables(family).remove(ours[name], backend=backend) for backend, name in present]
        return any(changed)

    def _follow(self, family: Family, changed: ChangedRoutes, endpoint_total: int) -> bool:
        tables, spelling = self._tables[family], self._spellings[family]
        patches = spelling.update(changed, endpoint_total=endpoint_total)
        if not tables.patch(patches):
            return tables.write(spelling.tables()) > 0
        return bool(patches)


def _without(table: Table, kept: Collection[str]) -> Table:
    hooks_kept = ipvs_rules.hooks(table.name) if names.POSTROUTING in kept or names.FORWARD in kept else ()
    return replace(
        table,
        chains=tuple(chain for chain in table.chains if chain.name not in kept),
        hooks=tuple(
            hook for hook in table.hooks if hook.rule.target != Jump(names.FIREWALL) and hook not in hooks_kept
        ),
    )
