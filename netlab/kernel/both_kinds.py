"""Whether a network namespace has rules of iptables in both places that a kernel can keep them."""

from __future__ import annotations

from contextlib import suppress

from netlab.errors import KernelError, MissingCapability
from netlab.kernel import iptables
from netlab.kernel.iptables_read import read
from netlab.model.machine import Check
from netlab.model.rules import Backend, Family

REMEDY = "labs are not concerned; on this machine keep to one: `update-alternatives --config iptables` says which"


def rules_in_both_kinds() -> Check | None:
    """A check that fails where the current namespace has rules in legacy tables and in those of iptables-nft.

    Both are asked for every packet, each by a program that shows one of them. None where all rules are in one place, or
    where this process may not look. Nothing is changed, and no table is brought in.
    """
    counts = dict.fromkeys(Backend, 0)
    for family in Family:
        for backend, name in iptables.present(family):
            with suppress(KernelError, MissingCapability):
                counts[backend] += read(family, name, backend=backend).rule_count
    if not all(counts.values()):
        return None
    found = f"{counts[Backend.LEGACY]} rules of iptables-legacy, {counts[Backend.NFT]} of iptables-nft"
    return Check(name="iptables of the host in one place", ok=False, required=False, detail=found, remedy=REMEDY)
