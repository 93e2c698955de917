"""What a kube-proxy of another mode has left here would go on translating packets: it goes first."""

from __future__ import annotations

import logging

from netlab.errors import KernelError
from netlab.kernel import iptables
from netlab.kernel.ipvs_leftovers import ipvs_was_here, remove_device_and_sets
from netlab.kernel.nft_table import delete_table
from netlab.model.rules import Chain, Family, Hook, Jump, Rule, Table

NFTABLES_TABLE = "kube-proxy"
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


def remove_other_modes(families: tuple[Family, ...]) -> None:
    """Take away what nftables mode and ipvs mode leave here. What cannot be taken away is said in the log."""
    try:
        for family in Family:
            if delete_table(family, NFTABLES_TABLE):
                log.info("deleted what nftables mode had left for %s", family)
        if ipvs_was_here():
            _remove_ipvs(families)
    except KernelError as error:
        log.warning("another mode's rules are still here: %s", error)


def _remove_ipvs(families: tuple[Family, ...]) -> None:
    for family in families:
        hooks = tuple(Hook(chain, Rule(comment=comment, target=Jump(target))) for chain, comment, target in IPVS_HOOKS)
        for name, chains in IPVS_CHAINS.items():
            iptables.remove(
                Table(family, name, chains=tuple(map(Chain, chains)), hooks=hooks if name == "filter" else ())
            )
    remove_device_and_sets()
    log.info("deleted what ipvs mode had left")
