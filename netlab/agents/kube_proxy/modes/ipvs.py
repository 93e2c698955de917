"""Mode ipvs: Routes as virtual servers of the kernel's load balancer, and the same few rules however many they are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import ClassVar

from netlab.agents.kube_proxy.modes.by_iptables import ByIptables
from netlab.agents.kube_proxy.modes.ipvs_departures import LOOK_EVERY_SECONDS, Departures
from netlab.agents.kube_proxy.modes.ipvs_kernel import KernelIpvs
from netlab.agents.kube_proxy.modes.mode import ChangedRoutes, Networks, Routes, Situation
from netlab.errors import KernelError, MissingCapability
from netlab.kernel import dummy, iptables
from netlab.kernel.ipsets import SetSocket, require_sets
from netlab.kernel.ipvs import IpvsSocket, require_ipvs
from netlab.model.ipvs import DEVICE, SetKind
from netlab.model.modes import ProxyMode
from netlab.model.rules import Chain, Family, Table
from netlab.model.state import Sysctl
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig
from netlab.proxy.ipvs import Spelling, rules
from netlab.proxy.ipvs.names import PREFIX
from netlab.proxy.ipvs.settings import settings

log = logging.getLogger(__name__)


class IpvsMode(ByIptables[Spelling]):
    """Virtual servers, address sets and rules as kube-proxy makes them, and the interface kube-ipvs0."""

    name: ClassVar[ProxyMode] = ProxyMode.IPVS

    def __init__(self) -> None:
        super().__init__()
        self._departures = Departures(time.monotonic)
        self._kernels: dict[Family, KernelIpvs] = {}

    def require(self, family: Family) -> None:
        iptables.require_tables(family)
        require_ipvs()
        require_sets(SetKind, family)
        if not dummy.is_there(DEVICE):
            dummy.require_dummy()

    def sysctls(self, config: ProxyConfig, families: tuple[Family, ...]) -> tuple[Sysctl, ...]:
        del families
        return settings(config)

    def start(self, situation: Situation, routes: Routes) -> None:
        addresses = dummy.addresses_but_of(DEVICE)
        for family in situation.families:
            spelling = Spelling(config=situation.config, node=situation.node, family=family, node_addresses=addresses)
            spelling.start(routes)
            self._spellings[family] = spelling
            self._kernels.setdefault(family, KernelIpvs(family, self._departures))

    def write(self) -> bool:
        addresses = dummy.addresses_but_of(DEVICE)
        for spelling in self._spellings.values():
            spelling.move_to(addresses)
        written = [self._kernels[family].write(spelling) for family, spelling in self._spellings.items()]
        return any(written)

    def follow(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> bool:
        del endpoint_totals
        followed = [self._kernels[family].follow(each.update(changed)) for family, each in self._spellings.items()]
        return any(followed)

    def take_in(self, changed: ChangedRoutes, endpoint_totals: Mapping[Family, int]) -> None:
        del endpoint_totals
        for spelling in self._spellings.values():
            spelling.update(changed)

    async def work(self) -> None:
        """Delete real servers that went, once nobody is connected to them any more."""
        while True:
            await self._departures.some.wait()
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                self.delete_idle()
            except (KernelError, MissingCapability) as error:
                log.error("%s; looking again in a minute", error)

    def delete_idle(self) -> int:
        """Delete the real servers that went and have no connection left; how many. KernelError."""
        return self._departures.delete_idle()

    def remove(self, families: tuple[Family, ...], *, spared: Networks = ()) -> bool:
        """Where this network namespace has kube-ipvs0 its virtual servers are taken for kube-proxy's, but those spared.

        The real kube-proxy heeds --ipvs-exclude-cidrs while it runs, and deletes all at --cleanup.
        """
        with SetSocket() as sets:
            names = [name for name in sets.sets() if name.startswith(PREFIX)]
            was_here = dummy.is_there(DEVICE)
            if not was_here and not names:
                return False
            for family in families:
                _remove_rules(family)
            if was_here:
                _clear_servers(spared)
                dummy.delete(DEVICE)
            sets.destroy(names)
        return True

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        return tuple(complaint for kernel in self._kernels.values() for complaint in kernel.left_out)


def _remove_rules(family: Family) -> None:
    for backend, name in iptables.present(family):
        if name in rules.CHAINS:
            chains = tuple(map(Chain, rules.CHAINS[name]))
            iptables.remove(Table(family, name, chains=chains, hooks=rules.hooks(name)), backend=backend)


def _clear_servers(spared: Networks) -> None:
    try:
        with IpvsSocket() as kernel:
            kernel.clear(spared)
    except MissingCapability:
        log.debug("no IPVS in this kernel, so no virtual servers")
