"""A node's rules as a person reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from netlab.model.rule_listing import ChainDifference, ListedChain, ListedRule, ListedTable, RuleDifferences, RuleSet


class Spot(NamedTuple):
    """A rule by where it is; `which` tells apart rules of the same words."""

    family: str
    table: str
    chain: str
    rule: str
    which: int


class Count(NamedTuple):
    packets: int
    octets: int


def listing(found: RuleSet, *, explained: bool) -> str:
    """Tables, chains, rules with what they counted; chains without rules are left out."""
    head = f"node {found.node}, mode {found.mode}" + (f", service {found.service}" if found.service else "")
    tables = [_table(table, explained=explained) for table in found.tables if any(each.rules for each in table.chains)]
    return "\n".join([f"{head}\n", *tables]) if tables else f"{head}: no rules\n"


def _table(table: ListedTable, *, explained: bool) -> str:
    lines = [f"{table.family} {table.tool} {table.name}"]
    for chain in table.chains:
        if chain.rules:
            lines += ["", f"  {_headline(chain)}", *_rules(chain, explained=explained)]
    return "\n".join([*lines, ""])


def _headline(chain: ListedChain) -> str:
    beside = [text for text in (chain.hook, f"policy {chain.policy}" if chain.policy else None) if text]
    return f"{chain.name} ({', '.join(beside)})" if beside else chain.name


def _rules(chain: ListedChain, *, explained: bool) -> Iterator[str]:
    width = max(len(_packets(rule)) for rule in chain.rules)
    for rule in chain.rules:
        yield f"    {_packets(rule).rjust(width)}  {rule.rule.removeprefix(f'-A {chain.name} ')}"
        if explained:
            yield f"    {'':{width}}    = {rule.explanation}"


def _packets(rule: ListedRule) -> str:
    return "-" if rule.packets is None else str(rule.packets)


def differing(found: RuleDifferences) -> str:
    """What is missing and what is unwanted, chain by chain."""
    if not found.differences:
        return f"node {found.node}: the rules are as they should be (mode {found.mode})\n"
    return "\n".join(
        [f"node {found.node}: not as it should be (mode {found.mode})", *map(_difference, found.differences)]
    )


def _difference(chain: ChainDifference) -> str:
    lines = [f"{chain.family} {chain.table} {chain.chain}"]
    if not chain.missing and not chain.unwanted:
        lines.append("  the chain is missing")
    lines += [f"  missing   {rule}" for rule in chain.missing]
    lines += [f"  unwanted  {rule}" for rule in chain.unwanted]
    return "\n".join([*lines, ""])


def counted(found: RuleSet) -> dict[Spot, Count]:
    """Every rule that the kernel counts."""
    counts: dict[Spot, Count] = {}
    before: Counter[tuple[str, str, str, str]] = Counter()
    for table in found.tables:
        for chain in table.chains:
            for rule in chain.rules:
                place = (table.family.value, table.name, chain.name, rule.rule)
                if rule.packets is not None:
                    counts[Spot(*place, before[place])] = Count(rule.packets, rule.octets or 0)
                    before[place] += 1
    return counts


def progress(before: Mapping[Spot, Count], now: Mapping[Spot, Count]) -> str:
    """The rules that have counted more since, or are new with what they counted; nothing where none has."""
    lines = []
    for spot, count in now.items():
        since = before.get(spot, Count(0, 0))
        if count.packets > since.packets:
            more = f"+{count.packets - since.packets} packets"
            lines.append(f"{more:>14}  {spot.table} {spot.rule}\n")
    return "".join(lines)
