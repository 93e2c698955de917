"""Mode userspace: rules lead every Service port to a socket of this process, which copies the bytes to an endpoint.

Where the process ends the rules stay, as in every mode; but nobody answers where they lead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import ClassVar

from netlab.agents.kube_proxy.modes.by_iptables import ByIptables
from netlab.agents.kube_proxy.modes.iptables_tables import KernelTables
from netlab.agents.kube_proxy.modes.mode import ChangedRoutes, Networks, Routes, Situation
from netlab.agents.kube_proxy.userspace import Portals
from netlab.errors import KernelError
from netlab.kernel import iptables
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import NodeFacts, ProxyConfig
from netlab.proxy.decide import Route
from netlab.proxy.ports import PortKey
from netlab.proxy.userspace import ServedPort, Spelling, complaints, is_served

log = logging.getLogger(__name__)


class UserspaceMode(ByIptables[Spelling]):
    """The rules of `netlab.proxy.userspace`, and the sockets of `netlab.agents.kube_proxy.userspace`.

    Sockets are opened before there are rules to them, and closed after these are gone.
    """

    name: ClassVar[ProxyMode] = ProxyMode.USERSPACE

    def __init__(self) -> None:
        super().__init__()
        self._portals = Portals()
        self._tables: dict[Family, KernelTables] = {}
        self._complaints: dict[PortKey, tuple[Complaint, ...]] = {}
        self._without_socket: dict[PortKey, Route] = {}

    def require(self, family: Family) -> None:
        iptables.require_tables(family)

    def start(self, situation: Situation, routes: Routes) -> None:
        """Sockets of Service ports that are still there stay, with their connections."""
        self._spellings = {
            family: Spelling(
                config=situation.config,
                node=situation.node,
                family=family,
                local_addresses=situation.local_addresses,
            )
            for family in situation.families
        }
        gone = [key for key in (*self._portals.keys(), *self._complaints) if key not in routes]
        served = self._serve({**routes, **dict.fromkeys(gone)})
        for family, spelling in self._spellings.items():
            spelling.start([port for port in served.values() if port is not None])
            self._tables.setdefault(family, KernelTables(family)).stale = True

    def write(self) -> bool:
        self._take_in(dict(self._without_socket))
        written = [self._tables[family].write(spelling.tables()) > 0 for family, spelling in self._spellings.items()]
        self._portals.close_retired()
        return any(written)

    def follow(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> bool:
        served = self._serve(changed)
        followed = [self._follow(family, served) for family in self._spellings]
        self._portals.close_retired()
        return any(followed)

    def take_in(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> None:
        self._take_in(changed)

    async def work(self) -> None:
        """Copy bytes for ever; at the end all sockets are closed."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._portals.close()

    def remove(self, families: tuple[Family, ...], *, spared: Networks = ()) -> bool:
        del spared
        removed = [self._remove(family) for family in families]
        return any(removed)

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        refused = [complaint for tables in self._tables.values() for complaint in tables.left_out]
        return (*dict.fromkeys(each for found in self._complaints.values() for each in found), *refused)

    def _serve(self, changed: ChangedRoutes) -> dict[PortKey, ServedPort | None]:
        """Have sockets for what is there now; None for what is served no more."""
        return {key: self._served(key, route) for key, route in changed.items() if self._is_ours(key, route)}

    def _is_ours(self, key: PortKey, route: Route | None) -> bool:
        """What is gone is ours, whatever family there are rules for now."""
        return route is None or key.family in self._spellings

    def _served(self, key: PortKey, route: Route | None) -> ServedPort | None:
        self._without_socket.pop(key, None)
        self._complain(key, complaints(route) if route else ())
        if route is None or not is_served(route):
            self._portals.retire(key)
            return None
        try:
            return ServedPort(route, self._portals.serve(route))
        except KernelError as error:
            self._without_socket[key] = route
            self._complain(key, [Complaint("Service", str(key.service), "spec.ports", f"not served: {error}")])
            return None

    def _complain(self, key: PortKey, found: Iterable[Complaint]) -> None:
        self._complaints.pop(key, None)
        if given := tuple(found):
            self._complaints[key] = given

    def _take_in(self, changed: ChangedRoutes) -> None:
        served = self._serve(changed)
        for spelling in self._spellings.values():
            spelling.update(served)

    def _follow(self, family: Family, served: Mapping[PortKey, ServedPort | None]) -> bool:
        tables, spelling = self._tables[family], self._spellings[family]
        patches = spelling.update(served)
        if not tables.patch(patches):
            return tables.write(spelling.tables()) > 0
        return bool(patches)

    def _remove(self, family: Family) -> bool:
        spelling = Spelling(config=ProxyConfig(node_name=""), node=NodeFacts(""), family=family)
        ours = {table.name: table for table in spelling.tables()}
        present = [(backend, name) for backend, name in iptables.present(family) if name in ours]
        changed = [KernelTables(family).remove(ours[name], backend=backend) for backend, name in present]
        return any(changed)
