"""What this process knows of the tables that it wrote, as long as nobody changes anything: reading takes seconds.

nftables counts its transactions. As long as the count is the one after our own last, all is as we left it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netlab.kernel.nft_chains import generation
from netlab.model.rules import Family, Hook, TablePatch

UNKNOWN = -1
"""Instead of the hash of a chain's rules: they are not known, only that the chain is there. No hash is -1."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds of ours: chains, by the hash of their rules, and hooks."""

    chains: Mapping[str, int]
    hooks: frozenset[Hook] = frozenset()

    def after(self, patch: TablePatch) -> Held:
        """The same after a patch; a chain that was edited is not known any more."""
        chains = dict(self.chains)
        chains.update((chain.name, hash(chain.rules)) for chain in patch.chains)
        chains.update((edit.chain, UNKNOWN) for edit in patch.edits)
        for name in patch.removed:
            chains.pop(name, None)
        return replace(self, chains=chains)


@dataclass(slots=True)
class _Namespace:
    generation: int = 0
    tables: dict[tuple[Family, str], Held] = field(default_factory=dict)


_namespaces: dict[int, _Namespace] = {}


def remembered(family: Family, table: str) -> Held | None:
    """What the table is known to hold; None where it must be read."""
    here = _here()
    if here.generation != generation():
        here.tables.clear()
    return here.tables.get((family, table))


def remember(family: Family, table: str, held: Held, *, before: int, transactions: int) -> None:
    """The table holds this after so many of ours on a generation `before`; forget all if there was another."""
    here, now = _here(), generation()
    if now != before + transactions:
        here.tables.clear()
        return
    if here.generation != before:
        here.tables.clear()
    here.generation = now
    here.tables[family, table] = held


def _here() -> _Namespace:
    return _namespaces.setdefault(os.stat("/proc/thread-self/ns/net").st_ino, _Namespace())
