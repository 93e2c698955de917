"""The way back from iptables-save(8) text to rules: for tests, and for reading what the kernel holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netlab.model.rules import Chain, Family, Hook, Rule, Table
from netlab.proxy.rule_reader import read_rule

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_ESCAPE = re.compile(r"\\(.)")
_COUNTERS = re.compile(r"\[\d+:\d+\] ")


def read_save(text: str, *, family: Family) -> tuple[Table, ...]:
    """The tables that a text of iptables-save (with or without -c) describes.

    Rules in the kernel's own chains become hooks, the last line first. Options that `Rule` has no field for are kept in
    `Rule.extra`. ValueError names a line that is none of iptables-save's.
    """
    tables: list[Table] = []
    reader: _TableReader | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("*"):
            reader = _TableReader(family, line[1:])
        elif reader is None:
            raise ValueError(f"line {number} is outside of any table: {line[:80]!r}")
        elif line == "COMMIT":
            tables.append(reader.table())
            reader = None
        else:
            reader.read(line, number=number)
    return tuple(tables)


def words_of(line: str) -> list[str]:
    """A line's words as iptables-restore sees them: quotes removed, escapes resolved."""
    return [_ESCAPE.sub(r"\1", found[1]) if found[1] is not None else found[2] for found in _WORD.finditer(line)]


@dataclass(slots=True)
class _TableReader:
    family: Family
    name: str
    chains: dict[str, list[Rule]] = field(default_factory=dict)
    built_in: set[str] = field(default_factory=set)
    hooks: list[Hook] = field(default_factory=list)

    def read(self, line: str, *, number: int) -> None:
        if line.startswith(":"):
            name, policy = line[1:].split()[:2]
            if policy == "-":
                self.chains[name] = []
            else:
                self.built_in.add(name)
            return
        words = words_of(_COUNTERS.sub("", line, count=1) if line.startswith("[") else line)
        if len(words) < 2 or words[0] != "-A":
            raise ValueError(f"line {number} is neither a chain nor a rule: {line[:80]!r}")
        rule = read_rule(words[2:], chains=self.chains.keys())
        if words[1] in self.chains:
            self.chains[words[1]].append(rule)
        elif words[1] in self.built_in:
            self.hooks.insert(0, Hook(words[1], rule))
        else:
            raise ValueError(f"line {number}: no chain {words[1]!r} was declared")

    def table(self) -> Table:
        chains = tuple(Chain(name, tuple(rules)) for name, rules in self.chains.items())
        return Table(self.family, self.name, chains=chains, hooks=tuple(self.hooks))
