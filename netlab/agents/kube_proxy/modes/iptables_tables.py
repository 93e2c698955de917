"""One family's rules in the kernel, kept as they are spelled; what the kernel refuses is left out and said."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from netlab.kernel import iptables
from netlab.model.rules import Backend, Family, Rule, Table, TablePatch
from netlab.proxy.complaints import Complaint

LEFT_OUT_AT_MOST = 100
"""Rules that one table may lack before its writing is given up."""
log = logging.getLogger(__name__)


class KernelTables:
    """The tables of one family. `stale` means that what the kernel holds is not known to be what was last spelled."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.stale = True
        self._refused: set[tuple[str, str, Rule]] = set()

    @property
    def left_out(self) -> tuple[Complaint, ...]:
        """The rules that the kernel refused."""
        return tuple(
            Complaint("Rule", f"{self.family} {table}/{chain}", rule.comment or "", "the kernel refuses it")
            for table, chain, rule in self._refused
        )

    def write(self, tables: Iterable[Table]) -> int:
        """Make the kernel hold these tables; how many of them were different. KernelError: they are not all written."""
        self.stale = True
        wanted = tuple(tables)
        self._forget_unwanted(wanted)
        changed = sum(self._write(table) for table in wanted)
        self.stale = False
        return changed

    def patch(self, patches: Iterable[TablePatch]) -> bool:
        """Do the patches; False where only writing the whole tables will do. KernelError: the kernel is at a loss."""
        if self.stale or self._refused:
            return False
        self.stale = True
        try:
            for patch in patches:
                iptables.apply_patch(patch)
        except (iptables.OutOfStep, iptables.RuleRefused) as error:
            log.warning("%s; writing all rules", error)
            return False
        self.stale = False
        return True

    def remove(self, table: Table, *, backend: Backend) -> bool:
        """Take away what `write` has left in this table; whether there was anything."""
        done = iptables.remove(table, backend=backend)
        if done.kept:
            log.warning("%s: somebody else's rules still jump to %s", table.name, ", ".join(done.kept))
        return done.changed

    def _forget_unwanted(self, tables: tuple[Table, ...]) -> None:
        """Rules that were refused before and are not asked for any more, as their Service has gone."""
        if self._refused:
            self._refused &= {
                (table.name, chain.name, rule) for table in tables for chain in table.chains for rule in chain.rules
            }

    def _write(self, table: Table) -> bool:
        for _ in range(LEFT_OUT_AT_MOST):
            try:
                done = iptables.apply(self._acceptable(table))
            except iptables.RuleRefused as error:
                place = (error.table, error.chain, error.rule)
                if place in self._refused:
                    raise
                log.error("left out: %s", error)
                self._refused.add(place)
                continue
            if done.kept:
                log.warning("%s: somebody else's rules still jump to %s", table.name, ", ".join(done.kept))
            return done.changed
        iptables.apply(self._acceptable(table))
        return True

    def _acceptable(self, table: Table) -> Table:
        """The table without the rules that were refused before."""
        if not self._refused:
            return table
        chains = tuple(
            replace(
                chain,
                rules=tuple(rule for rule in chain.rules if (table.name, chain.name, rule) not in self._refused),
            )
            for chain in table.chains
        )
        return replace(table, chains=chains)
