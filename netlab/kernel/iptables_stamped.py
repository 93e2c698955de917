"""A table's rules as bytes, with the values that they came from, to compare and to complain with."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import RuleRefused
from netlab.kernel.iptables_held import HeldChain
from netlab.kernel.iptables_stamper import Stamper, stamper
from netlab.model.rules import Chain, Family, Hook, Rule, TablePatch

UNFIT = (ValueError, IndexError, struct.error)
"""What stamping raises for a value that does not fit its place."""


@dataclass(frozen=True, slots=True)
class Line:
    """A rule at its place, and its bytes."""

    chain: str
    rule: Rule
    entry: bytes


class StampedChain(NamedTuple):
    """A chain of ours, whole: as values and as bytes."""

    name: str
    rules: tuple[Rule, ...]
    stamped: HeldChain

    def lines(self) -> list[Line]:
        return [Line(self.name, rule, entry) for rule, entry in zip(self.rules, self.stamped.rules, strict=True)]


@dataclass(frozen=True, slots=True)
class StampedEdit:
    """A change inside a chain: bytes and mask of each rule that goes, and what is inserted at the top."""

    chain: str
    removed: list[tuple[bytes, bytes]]
    added: StampedChain


@dataclass(frozen=True, slots=True)
class Stamped:
    """All that is to be written into one table; whole chains become bytes only while they are written."""

    table: str
    stamper: Stamper
    whole: Sequence[Chain]
    hooked: Sequence[Chain] = ()
    """A chain of one rule for each hook."""
    edits: Sequence[StampedEdit] = ()

    @property
    def hooks(self) -> list[Line]:
        """The hooks: UnknownShape before `learn`, RuleRefused."""
        return [line for hook in self.hooked for line in _stamped_chain(self.stamper, self.table, hook).lines()]

    def chains(self) -> Iterator[StampedChain]:
        """The whole chains, one after the other: UnknownShape before `learn`, RuleRefused."""
        return map(self.stamp, self.whole)

    def stamp(self, chain: Chain) -> StampedChain:
        """One of the whole chains: UnknownShape before `learn`, RuleRefused."""
        return _stamped_chain(self.stamper, self.table, chain)

    def as_bytes(self, chain: Chain) -> HeldChain:
        """The bytes of one of the whole chains: UnknownShape before `learn`, RuleRefused."""
        return self.stamp(chain).stamped

    def lines(self) -> list[Line]:
        """Every rule, the hooks first: where a rule may stand depends on the hooks that lead to it."""
        parts = [*self.chains(), *(edit.added for edit in self.edits)]
        return [*self.hooks, *(line for part in parts for line in part.lines())]

    def learn(self) -> None:
        """Learn the shapes of hooks and whole chains, all together; RuleRefused for a rule that cannot be said."""
        _learn(self.stamper, self.table, (*self.hooked, *self.whole))


def stamp_table(family: Family, table: str, *, chains: Sequence[Chain] = (), hooks: Sequence[Hook] = ()) -> Stamped:
    """Whole chains and hooks, not looked at yet."""
    return Stamped(table, stamper(family), chains, [Chain(hook.chain, (hook.rule,)) for hook in hooks])


def stamp_patch(patch: TablePatch) -> Stamped:
    """A patch; RuleRefused for a rule that cannot be said."""
    ours = stamper(patch.family)
    removed = [Chain(edit.chain, edit.removed) for edit in patch.edits]
    added = [Chain(edit.chain, edit.added) for edit in patch.edits]
    _learn(ours, patch.name, [*patch.chains, *removed, *added])
    edits = [
        StampedEdit(
            old.name,
            [(line.entry, ours.shape(line.rule).mask) for line in _stamped_chain(ours, patch.name, old).lines()],
            _stamped_chain(ours, patch.name, new),
        )
        for old, new in zip(removed, added, strict=True)
    ]
    return Stamped(patch.name, ours, patch.chains, edits=edits)


def _stamped_chain(ours: Stamper, table: str, chain: Chain) -> StampedChain:
    try:
        return StampedChain(chain.name, chain.rules, ours.stamp(chain.rules))
    except UNFIT:
        for rule in chain.rules:
            _check(ours, table, chain.name, rule)
        raise


def _check(ours: Stamper, table: str, chain: str, rule: Rule) -> None:
    try:
        ours.stamp((rule,))
    except UNFIT as error:
        raise RuleRefused(table=table, chain=chain, rule=rule, number=errno.EINVAL, detail=str(error)) from error


def _learn(ours: Stamper, table: str, chains: Sequence[Chain]) -> None:
    """Compile all shapes at once; where that fails, one by one, to name the rule."""
    try:
        ours.learn(rule for chain in chains for rule in chain.rules)
    except KernelError:
        for chain in chains:
            for rule in chain.rules:
                _learn_one(ours, table, chain.name, rule)
        raise


def _learn_one(ours: Stamper, table: str, chain: str, rule: Rule) -> None:
    try:
        ours.learn((rule,))
    except KernelError as error:
        number, detail = error.number, str(error)
        raise RuleRefused(table=table, chain=chain, rule=rule, number=number, detail=detail) from error
