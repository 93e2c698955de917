"""A table of nftables as the kernel makes it of changes, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netlab.model.nft_rules import ByMap, DnatByMap, Goto, InSet, Jump, Part, RememberSource, Rule
from netlab.model.nft_tables import (
    AddChain,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    Change,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    Element,
    FlushChain,
    Key,
    Set,
    Table,
)


def needs(part: Part) -> Iterator[str]:
    """The chain or the set that a part of a rule names."""
    if isinstance(part, Jump | Goto):
        yield part.chain
    elif isinstance(part, InSet | RememberSource):
        yield part.set
    elif isinstance(part, ByMap | DnatByMap):
        yield part.map


@dataclass
class Kernel:
    """What nf_tables makes of changes, and what it refuses. AssertionError: it would refuse this one."""

    sets: dict[str, Set] = field(default_factory=dict)
    elements: dict[str, dict[Key, Element]] = field(default_factory=dict)
    chains: dict[str, list[Rule]] = field(default_factory=dict)

    def load(self, table: Table) -> None:
        self.sets = {each.name: each for each in table.sets}
        self.chains = {chain.name: list(chain.rules) for chain in table.chains}
        self.elements = {name: {} for name in self.sets}
        for each in table.elements:
            assert self.elements[each.set].setdefault(each.key, each) == each

    def make(self, change: Change) -> None:
        match change:
            case AddTable():
                pass
            case AddSet(each):
                assert self.sets.setdefault(each.name, each) == each
                self.elements.setdefault(each.name, {})
            case DeleteSet(name):
                assert name not in self.named()
                del self.sets[name], self.elements[name]
            case AddChain(chain):
                self.chains.setdefault(chain.name, [])
            case FlushChain(name):
                self.chains[name].clear()
            case DeleteChain(name):
                assert self.chains.pop(name) == []
                assert name not in self.named()
            case AddRule(chain, rule):
                assert self.chains.keys() | self.sets.keys() >= {name for part in rule.parts for name in needs(part)}
                self.chains[chain].append(rule)
            case AddElements(name, elements):
                for each in elements:
                    assert not isinstance(each.leads_to, Goto) or each.leads_to.chain in self.chains
                    assert self.elements[name].setdefault(each.key, each) == each
            case DeleteElements(name, elements):
                for each in elements:
                    del self.elements[name][each.key]
            case _:
                raise AssertionError(change)

    def named(self) -> set[str]:
        """Chains and sets that may not go."""
        by_rules = {
            name for rules in self.chains.values() for rule in rules for part in rule.parts for name in needs(part)
        }
        verdicts = (each.leads_to for elements in self.elements.values() for each in elements.values())
        return by_rules | {verdict.chain for verdict in verdicts if isinstance(verdict, Goto)}
