"""What this process knows of the tables that it wrote, as long as nobody changes anything: reading takes seconds.

nftables counts its transactions. As long as the count is the one after our own last, all is as we left it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from netlab.kernel.nft_chains import generation
from netlab.model.rules import ChainEdit, Family, Hook, Rule, TablePatch

UNKNOWN = -1
"""Instead of the hash of a chain's rules: they are not known, only that the chain is there. No hash is -1."""


Lines = tuple[int, ...]
"""The hash of each rule of a chain."""


def lines_of(rules: Iterable[Rule]) -> Lines:
    """What tells these rules from others, one by one."""
    return tuple(map(hash, rules))


def mark_of(rules: Iterable[Rule]) -> int:
    """What tells a chain of these rules from others."""
    return hash(lines_of(rules))


@dataclass(frozen=True, slots=True)
class Held:
    """What a table holds of ours: chains, by the mark of their rules, and hooks.

    `lines` are those of chains that patches edit: the ones that Services share.
    """

    chains: Mapping[str, int]
    hooks: frozenset[Hook] = frozenset()
    lines: Mapping[str, Lines] = field(default_factory=dict)

    def after(self, patch: TablePatch) -> Held:
        """The same after a patch; a chain that was edited is not known any more where its lines were not."""
        chains, lines = dict(self.chains), dict(self.lines)
        chains.update((chain.name, mark_of(chain.rules)) for chain in patch.chains)
        lines.update((chain.name, lines_of(chain.rules)) for chain in patch.chains if chain.name in lines)
        for edit in patch.edits:
            edited = _edited(lines.pop(edit.chain, None), edit)
            chains[edit.chain] = UNKNOWN if edited is None else hash(edited)
            if edited is not None:
                lines[edit.chain] = edited
        for name in patch.removed:
            chains.pop(name, None)
            lines.pop(name, None)
        return replace(self, chains=chains, lines=lines)


def _edited(lines: Lines | None, edit: ChainEdit) -> Lines | None:
    """The lines after an edit, which takes away the first of those that are alike and adds at the top."""
    if lines is None:
        return None
    left = list(lines)
    for line in lines_of(edit.removed):
        if line not in left:
            return None
        left.remove(line)
    return (*lines_of(edit.added), *left)


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
