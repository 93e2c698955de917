"""What the tables of the current network namespace hold, everybody's rules, with their counters.

Read as iptables-save prints it, which has a word for every extension there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netlab.kernel.iptables import in_use
from netlab.kernel.programs import output_of
from netlab.model.rules import Backend, Family, Rule
from netlab.proxy.rule_reader import read_rule
from netlab.proxy.save_reader import words_of

PROGRAMS = {
    Backend.LEGACY: {Family.IPV4: "iptables-legacy-save", Family.IPV6: "ip6tables-legacy-save"},
    Backend.NFT: {Family.IPV4: "iptables-nft-save", Family.IPV6: "ip6tables-nft-save"},
}
_COUNTED = re.compile(r"\[(\d+):(\d+)\] -A (\S+) ?(.*)")
_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):(\d+)\]")


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule, and the packets and bytes that matched it."""

    rule: Rule
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class SeenChain:
    """A chain as it is. `policy` is what a built-in chain does at its end, None for others."""

    name: str
    policy: str | None
    rules: tuple[CountedRule, ...]


@dataclass(frozen=True, slots=True)
class SeenTable:
    """A table as it is, the chains in the order of iptables-save."""

    family: Family
    name: str
    chains: tuple[SeenChain, ...]

    @property
    def rule_count(self) -> int:
        return sum(len(chain.rules) for chain in self.chains)


def read(family: Family, name: str, *, backend: Backend | None = None) -> SeenTable:
    """The table `name`; options that `Rule` cannot say are in `Rule.extra`. Some 25 us a rule.

    Without `backend` from where this kernel keeps rules. MissingCapability: iptables-legacy-save (or -nft-save) is not
    installed. KernelError: it failed.
    """
    policies: dict[str, str | None] = {}
    lines: dict[str, list[tuple[int, int, str]]] = {}
    saved = output_of([PROGRAMS[backend or in_use(family, name)][family], "-c", "-t", name])
    for line in saved.splitlines():
        if chain := _CHAIN.fullmatch(line):
            policies[chain[1]] = None if chain[2] == "-" else chain[2]
            lines[chain[1]] = []
        elif rule := _COUNTED.fullmatch(line):
            lines[rule[3]].append((int(rule[1]), int(rule[2]), rule[4]))
    names = policies.keys()
    return SeenTable(
        family,
        name,
        tuple(SeenChain(chain, policies[chain], _rules(found, set(names))) for chain, found in lines.items()),
    )


def _rules(lines: list[tuple[int, int, str]], chains: set[str]) -> tuple[CountedRule, ...]:
    return tuple(
        CountedRule(read_rule(words_of(text), chains=chains), packets, octets) for packets, octets, text in lines
    )
