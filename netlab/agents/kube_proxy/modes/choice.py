"""Which class is which proxy mode."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.agents.kube_proxy.modes.iptables import IptablesMode
from netlab.agents.kube_proxy.modes.ipvs import IpvsMode
from netlab.agents.kube_proxy.modes.mode import Mode
from netlab.agents.kube_proxy.modes.nftables import NftablesMode
from netlab.agents.kube_proxy.modes.userspace import UserspaceMode
from netlab.model.modes import ProxyMode

MODES: Mapping[ProxyMode, type[Mode]] = {
    mode.name: mode for mode in (IptablesMode, NftablesMode, IpvsMode, UserspaceMode)
}


def mode_of(name: ProxyMode) -> Mode:
    """The mode of that name, with nothing taken in yet."""
    return MODES[name]()


def others(name: ProxyMode) -> tuple[Mode, ...]:
    """All other modes."""
    return tuple(mode() for other, mode in MODES.items() if other is not name)
