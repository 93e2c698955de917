"""Changes of a table, as input of iptables-nft-restore.

That program is slow in a way of its own: with --noflush its time grows with the square of the chains it is told of,
without it (the whole table anew, other people's rules too) in proportion. So up to two thousand chains are written
beside what is there, which touches nothing else; more are written as the whole table, sorted, with other people's rules
read first: what somebody else changes in the second between is lost. An ordinary user's whole table may be too large
for one transaction: then it is several, all of them beside what is there (`netlab.kernel.iptables_nft_pieces`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from netlab.kernel.iptables_nft_text import Script, TooLong
from netlab.model.rules import Chain, Hook, Rule, Table
from netlab.proxy.save_text import BUILT_IN

FEW_CHAINS = 2000
"""Writing as many beside what is there takes as long as writing the whole table."""


@dataclass(frozen=True, slots=True)
class TheirLine:
    """A line of somebody else's chain: the policy, the name, or a rule; `text` with its counters."""

    rule: Rule
    text: str


Theirs = Mapping[str, Sequence[TheirLine]]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a table: all of ours that it is to hold, and how that differs from what is there."""

    table: Table
    chains: Sequence[Chain] = ()
    """To be filled anew."""
    gone: Sequence[str] = ()
    kept: Collection[str] = ()
    """Of those that are gone: other people's rules jump there, so that they are emptied and not deleted."""
    hooks: Sequence[Hook] = ()
    """That are missing."""
    unhooked: Sequence[Hook] = ()

    @property
    def many(self) -> bool:
        return len(self.chains) + len(self.gone) > FEW_CHAINS


def write(change: Change, theirs: Theirs) -> int:
    """Carry it out; how many transactions it took. `theirs` are all other chains, asked for where `change.many`.

    RuleRefused, KernelError: nothing was changed, or where one transaction was too small only some of it.
    """
    if not change.many:
        return _beside(change).run_beside()
    try:
        _whole(change, theirs).run_whole()
    except TooLong:
        return _beside(change).run_in_pieces()
    return 1


def _beside(change: Change) -> Script:
    """Fill these chains anew, delete those that are gone but not kept, change hooks; all else stays."""
    script = Script(change.table.family, change.table.name)
    for name in sorted((*(chain.name for chain in change.chains), *change.gone)):
        script.declare(name)
    for chain in sorted(change.chains, key=_name):
        script.append(chain)
    for hook in change.hooks:
        script.insert(hook.chain, hook.rule, 1)
    for hook in change.unhooked:
        script.delete(hook.chain, hook.rule)
    for name in change.gone:
        if name not in change.kept:
            script.remove(name)
    return script


def _whole(change: Change, theirs: Theirs) -> Script:
    """The table from nothing: the built-in chains, our chains and theirs, in the order of their names."""
    table, ours = change.table, sorted(change.table.chains, key=_name)
    script, built_in = Script(table.family, table.name), BUILT_IN[table.name]
    for name in built_in:
        script.declare(name, policy=_policy(theirs.get(name)))
    for name in sorted({*(chain.name for chain in ours), *change.kept, *theirs} - set(built_in)):
        script.declare(name)
    for name in built_in:
        for hook in reversed([hook for hook in change.hooks if hook.chain == name]):
            script.append(Chain(name, (hook.rule,)))
    for name, lines in theirs.items():
        for line in lines:
            if line.text.startswith("-A "):
                script.repeat(name, line.text)
    for chain in ours:
        script.append(chain)
    return script


def _policy(lines: Sequence[TheirLine] | None) -> str:
    """`DROP [packets:bytes]` out of `-P INPUT DROP -c packets bytes`."""
    if not lines:
        return "ACCEPT [0:0]"
    _, _, policy, _, packets, octets = lines[0].text.split()
    return f"{policy} [{packets}:{octets}]"


def _name(chain: Chain) -> str:
    return chain.name
