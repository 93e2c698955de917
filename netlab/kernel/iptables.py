"""Make the tables of the current network namespace hold the wanted rules; decide nothing.

Legacy tables where this kernel has them, else iptables-nft: the same rules, the same answers. Use it from one thread,
in the namespace meant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from netlab.errors import MissingCapability
from netlab.kernel import iptables_legacy, iptables_nft
from netlab.kernel.iptables_answers import Applied, OutOfStep, RuleRefused
from netlab.kernel.iptables_stamper import stamper
from netlab.model.rules import Backend, Family, Table, TablePatch

__all__ = [
    "Applied",
    "OutOfStep",
    "RuleRefused",
    "apply",
    "apply_patch",
    "forget_sets",
    "in_use",
    "present",
    "remove",
    "require_tables",
]

TABLES = ("nat", "filter", "mangle")


class _Ways(NamedTuple):
    require_table: Callable[[Family, str], None]
    apply: Callable[[Table], Applied]
    apply_patch: Callable[[TablePatch], Applied]
    remove: Callable[[Table], Applied]


_WAYS = {
    Backend.LEGACY: _Ways(
        iptables_legacy.require_table, iptables_legacy.apply, iptables_legacy.apply_patch, iptables_legacy.remove
    ),
    Backend.NFT: _Ways(iptables_nft.require_table, iptables_nft.apply, iptables_nft.apply_patch, iptables_nft.remove),
}


def require_tables(family: Family, *, backend: Backend | None = None) -> Backend:
    """Which tables of that family are in use here, `backend` or whichever can be; MissingCapability with the remedy."""
    if backend is None:
        return [in_use(family, name) for name in TABLES][-1]
    for name in TABLES:
        _WAYS[backend].require_table(family, name)
    return backend


@cache
def in_use(family: Family, name: str) -> Backend:
    """Where this kernel keeps that table's rules, the same in every namespace; MissingCapability with the remedy.

    To look for a table the first time brings it into the current namespace.
    """
    try:
        iptables_legacy.require_table(family, name)
    except MissingCapability as missing:
        try:
            iptables_nft.require_table(family, name)
        except MissingCapability:
            raise missing from None
        return Backend.NFT
    return Backend.LEGACY


def apply(table: Table, *, backend: Backend | None = None) -> Applied:
    """Make the kernel's table hold `table`: its chains whole, its hooks at the top where they are missing, none else.

    Chains that are known to hold the wanted rules are left alone, with their counters. Other people's rules and chains
    stay. Raises RuleRefused, or KernelError with EAGAIN where somebody else changes the table all the time.
    """
    return _WAYS[backend or in_use(table.family, table.name)].apply(table)


def apply_patch(patch: TablePatch, *, backend: Backend | None = None) -> Applied:
    """Do the changes of a patch and nothing else: the work in this process is the patch's, however large the table.

    Raises OutOfStep where the kernel's table is not what the patch starts from, and what `apply` raises.
    """
    return _WAYS[backend or in_use(patch.family, patch.name)].apply_patch(patch)


def forget_sets(family: Family) -> None:
    """To be called before rules that name address sets are applied, as the kernel may have others of that name now."""
    stamper(family).forget_sets()


def remove(table: Table, *, backend: Backend | None = None) -> Applied:
    """Take away what `apply` of such a table leaves: hooks, chains, and all chains whose names begin with `owned`."""
    return _WAYS[backend or in_use(table.family, table.name)].remove(table)


def present(family: Family) -> tuple[tuple[Backend, str], ...]:
    """Which of the tables this network namespace has already, without bringing any into it."""
    kinds = {Backend.LEGACY: iptables_legacy.table_names(family), Backend.NFT: iptables_nft.table_names(family)}
    return tuple((backend, name) for backend, names in kinds.items() for name in TABLES if name in names)
