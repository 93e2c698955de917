"""The counters of this namespace's rules, read before a flow and after it: which of them it may have met.

A counter does not say whose packet it was. The rules of a hook come in the order of the packet's way: from the built-in
chain on through the jumps that grew. Rules of nftables without `counter` show nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from netlab.errors import MissingCapability
from netlab.kernel.iptables_read import PROGRAMS
from netlab.kernel.nft_chains import base_chain_hooks
from netlab.kernel.programs import output_of
from netlab.kernel.tracing.events import HOOKS, Kind, TraceEvent, legacy_priority
from netlab.kernel.tracing.legacy_rules import has_tables
from netlab.kernel.tracing.nft_rules import COMPATIBLE
from netlab.model.rules import Backend, Family

NFT_FAMILIES = {Family.IPV4: ("inet", "ip"), Family.IPV6: ("inet", "ip6")}
_POLICY = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_RULE = re.compile(r"\[(\d+):\d+\] (-A (\S+).*)")
_TARGET = re.compile(r" -[jg] (\S+)")
_NFT_TABLE = re.compile(r"table (\S+) (\S+) \{")
_NFT_CHAIN = re.compile(r"\tchain (\S+) \{")
_NFT_COUNTER = re.compile(r"\bcounter packets (\d+) bytes \d+ ?")
_NFT_TARGET = re.compile(r"\b(?:jump|goto) ([\w.-]+)")


class Chain(NamedTuple):
    """A chain's name and where it is: `family` is "" for legacy tables, else in nftables' words."""

    family: str
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A rule, or a chain's policy, with the packets that matched; None where nobody counts them."""

    text: str
    packets: int | None
    targets: tuple[str, ...] = ()
    kind: Kind = Kind.RULE


Counts = Mapping[Chain, list[Counted]]
"""The rules of each chain in their order."""


def read_counts(family: Family) -> Counts:
    """What this namespace's rules have counted until now. MissingCapability: a program is missing. KernelError."""
    counts: dict[Chain, list[Counted]] = {}
    if has_tables(family):
        counts |= saved(output_of([PROGRAMS[Backend.LEGACY][family], "-c"]), family="")
    hooks = base_chain_hooks(family)
    if any(COMPATIBLE.fullmatch(name) for _, name in hooks):
        counts |= saved(output_of([PROGRAMS[Backend.NFT][family], "-c"]), family=NFT_FAMILIES[family][-1])
    if not all(COMPATIBLE.fullmatch(name) for _, name in hooks):
        with suppress(MissingCapability):
            counts |= listed(output_of(["nft", "list", "ruleset"]), NFT_FAMILIES[family])
    return counts


def saved(text: str, *, family: str) -> dict[Chain, list[Counted]]:
    """What `iptables-save -c` printed; a chain's policy comes last, as a packet meets it."""
    found: dict[Chain, list[Counted]] = {}
    policies: dict[Chain, Counted] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif policy := _POLICY.fullmatch(line):
            chain = Chain(family, table, policy[1])
            found[chain] = []
            policies[chain] = Counted(f"-P {policy[1]} {policy[2]}", int(policy[3]), kind=Kind.POLICY)
        elif rule := _RULE.fullmatch(line):
            targets = tuple(_TARGET.findall(rule[2])[-1:])
            found[Chain(family, table, rule[3])].append(Counted(rule[2], int(rule[1]), targets))
    return {chain: [*rules, policies[chain]] for chain, rules in found.items()}


def listed(text: str, families: tuple[str, ...]) -> dict[Chain, list[Counted]]:
    """What `nft list ruleset` printed, without the tables that iptables-nft makes."""
    found: dict[Chain, list[Counted]] = {}
    table, chain = ("", ""), None
    for line in text.splitlines():
        if begins := _NFT_TABLE.fullmatch(line):
            table = (begins[1], begins[2])
        elif begins := _NFT_CHAIN.fullmatch(line):
            chain = Chain(*table, begins[1])
        elif line.startswith("\t}"):
            chain = None
        elif chain is not None and chain.family in families and not line.startswith("\t\ttype "):
            found.setdefault(chain, []).append(_nft_rule(line.strip()))
    made = {(chain.family, chain.table) for chain in found if COMPATIBLE.fullmatch(chain.name)}
    return {chain: rules for chain, rules in found.items() if (chain.family, chain.table) not in made}


def _nft_rule(text: str) -> Counted:
    counter = _NFT_COUNTER.search(text)
    return Counted(
        _NFT_COUNTER.sub("counter ", text).strip(),
        int(counter[1]) if counter else None,
        tuple(_NFT_TARGET.findall(text)),
    )


def grown(before: Counts, after: Counts, hooks: Mapping[tuple[str, str], tuple[int, int]]) -> list[TraceEvent]:
    """The rules that counted more after than before, hook by hook in the order in which a packet meets them.

    `hooks`: of each base chain of nftables its hook and priority, as base_chain_hooks() has them.
    """
    growth = _growth(before, after)
    found: list[TraceEvent] = []
    for start, (hook, priority) in sorted(_starts(growth, hooks).items(), key=lambda pair: pair[1]):
        met = _walk(growth, start, {start.name})
        found += (_event(start, chain, each, hook=HOOKS[hook], priority=priority) for chain, each in met)
    return found


def _growth(before: Counts, after: Counts) -> dict[Chain, list[Counted]]:
    """The rules with what came to their counters; all of it where a rule was not there, or was put there anew."""
    return {chain: list(_grown_in(before.get(chain, []), rules)) for chain, rules in after.items()}


def _grown_in(before: list[Counted], after: list[Counted]) -> Iterator[Counted]:
    known: dict[str, list[int]] = {}
    for each in before:
        known.setdefault(each.text, []).append(each.packets or 0)
    for each in after:
        had = known[each.text].pop(0) if known.get(each.text) else 0
        more = None if each.packets is None else each.packets - had if each.packets >= had else each.packets
        yield Counted(each.text, more, each.targets, each.kind)


def _starts(
    growth: Mapping[Chain, list[Counted]], hooks: Mapping[tuple[str, str], tuple[int, int]]
) -> dict[Chain, tuple[int, int]]:
    """The chains that the kernel itself asks, with hook (by its number) and priority."""
    starts = {}
    for chain in growth:
        if COMPATIBLE.fullmatch(chain.name):
            starts[chain] = HOOKS.index(chain.name), legacy_priority(chain.table, chain.name)
        elif chain.family and (chain.table, chain.name) in hooks:
            starts[chain] = hooks[chain.table, chain.name]
    return starts


def _walk(growth: Mapping[Chain, list[Counted]], chain: Chain, passed: set[str]) -> Iterator[tuple[Chain, Counted]]:
    """What grew in a chain and where it jumps to, each chain once; a jump that nobody counts may have been taken."""
    for each in growth[chain]:
        if each.packets and (each.kind is Kind.RULE or each.text.endswith(" DROP")):
            yield chain, each
        for target in each.targets if each.packets != 0 else ():
            following = chain._replace(name=target)
            if following in growth and target not in passed:
                passed.add(target)
                yield from _walk(growth, following, passed)


def _event(start: Chain, chain: Chain, each: Counted, *, hook: str, priority: int) -> TraceEvent:
    return TraceEvent(
        table=chain.table,
        chain=chain.name,
        kind=each.kind,
        number=0,
        packet=b"",
        mark=0,
        place=f"{start.table}/{start.name}",
        hook=hook,
        priority=priority,
        family=chain.family,
        rule=each.text,
        counted=each.packets or 0,
    )
