"""What a kube-proxy of another mode has left here would go on translating packets: it goes first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from netlab.agents.kube_proxy.modes import mode_of, others
from netlab.agents.kube_proxy.modes.choice import MODES
from netlab.errors import KernelError
from netlab.kernel import iptables
from netlab.kernel.ipvs_leftovers import ipvs_was_here, remove_device_and_sets
from netlab.model.modes import ProxyMode
from netlab.model.rules import Chain, Family, Hook, Jump, Rule, Table

IPVS_CHAINS = {
    "nat": ("KUBE-LOAD-BALANCER", "KUBE-NODE-PORT"),
    "filter": ("KUBE-NODE-PORT", "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"),
}
"""Those that no other mode has."""
IPVS_HOOKS = (
    ("INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
    ("INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
    ("OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
)
log = logging.getLogger(__name__)


def remove_other_modes(mode: ProxyMode) -> None:
    """Take away what kube-proxies of other modes than that have left here. What cannot be is said in the log."""
    for other in others(mode):
        _remove(other.name, partial(other.remove, tuple(Family)))
    _remove(ProxyMode.IPVS, _remove_ipvs)


def remove_every_mode() -> None:
    """Take away what kube-proxies of any mode have left here. KernelError: something is still there."""
    for name in MODES:
        mode_of(name).remove(tuple(Family))
    _remove_ipvs()


def _remove(mode: ProxyMode, remove: Callable[[], bool]) -> None:
    try:
        if remove():
            log.info("deleted what mode %s had left", mode)
    except KernelError as error:
        log.warning("what mode %s left is still here: %s", mode, error)


def _remove_ipvs() -> bool:
    if not ipvs_was_here():
        return False
    for family in Family:
        hooks = tuple(Hook(chain, Rule(comment=comment, target=Jump(target))) for chain, comment, target in IPVS_HOOKS)
        for backend, name in iptables.present(family):
            chains = tuple(map(Chain, IPVS_CHAINS.get(name, ())))
            iptables.remove(
                Table(family, name, chains=chains, hooks=hooks if name == "filter" else ()), backend=backend
            )
    remove_device_and_sets()
    return True
