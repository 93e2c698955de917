"""Tables and patches in the words of nft(8): a list of commands that `nft -f` takes, in one transaction.

A command names what it needs to be there before it: chains before the rules that jump to them, all of these before the
elements that lead there. So a list that is too long for one transaction may be cut anywhere, and each piece holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from netlab.model.rules import Family
from netlab.proxy.nftables.names import TABLE
from netlab.proxy.nftables.spelling import Table, TablePatch
from netlab.proxy.nftables.values import AFFINITY_SIZE, WORDS, Chain, Element, Set

ELEMENTS_A_COMMAND = 200
Memory = dict[str, tuple[str, ...]]
"""What sets with a timeout hold, as nft spells elements, by the set's name."""


def table_text(table: Table) -> str:
    """The table as `nft list table` would print it, nearly: to read, and for `nft -f`."""
    lines = [f"table {_table(table.family)} {{", '\tcomment "rules for kube-proxy"']
    by_set: dict[str, list[Element]] = {each.name: [] for each in table.sets}
    for element in table.elements:
        by_set[element.set].append(element)
    for each in table.sets:
        elements = by_set[each.name]
        lines += ["", f"\t{each.kind} {each.name} {{", *(f"\t\t{line}" for line in _set_lines(each, elements)), "\t}"]
    for chain in table.chains:
        lines += ["", f"\tchain {chain.name} {{", *(f"\t\t{line}" for line in _chain_lines(chain)), "\t}"]
    return "\n".join((*lines, "}", ""))


def replace_commands(table: Table, memory: Memory) -> list[str]:
    """Put this table in the place of whatever has its name; `memory` goes back into the sets that are there again."""
    where = _table(table.family)
    return [f"add table {where}", f"delete table {where}", table_text(table), *_remember(table, memory)]


def replace_in_pieces(table: Table, memory: Memory) -> list[str]:
    """The same by one command after the other: twice as many words for nft."""
    where = _table(table.family)
    return [
        f"add table {where}",
        f"delete table {where}",
        f'add table {where} {{ comment "rules for kube-proxy" ; }}',
        *(_add_set(table.family, each) for each in table.sets),
        *(_add_chain(table.family, chain) for chain in table.chains),
        *_fill(table.family, table.chains),
        *_remember(table, memory),
        *_elements("add", table.family, table.elements),
    ]


def patch_commands(patch: TablePatch) -> list[str]:
    """Do a patch: packets in between meet all of it or nothing."""
    where, gone = _table(patch.family), [each.name for each in patch.sets_gone]
    anew = [each for each in patch.sets if each.name in gone]
    return [
        *(f"flush chain {where} {chain.name}" for chain in patch.chains if anew),
        *(f"delete set {where} {each.name}" for each in anew),
        *(_add_set(patch.family, each) for each in patch.sets),
        *(_add_chain(patch.family, chain) for chain in patch.chains),
        *(f"flush chain {where} {chain.name}" for chain in patch.chains if not anew),
        *_elements("delete", patch.family, patch.elements_gone),
        *_fill(patch.family, patch.chains),
        *_elements("add", patch.family, patch.elements),
        *(f"flush chain {where} {name}" for name in patch.chains_gone),
        *(f"delete chain {where} {name}" for name in patch.chains_gone),
        *(f"delete set {where} {name}" for name in gone if name not in {each.name for each in anew}),
    ]


def _remember(table: Table, memory: Memory) -> Iterator[str]:
    for each in table.sets:
        if clients := memory.get(each.name):
            yield f"add element {_table(table.family)} {each.name} {{ {', '.join(clients)} }}"


def _table(family: Family) -> str:
    return f"{WORDS[family].ip} {TABLE}"


def _fill(family: Family, chains: Iterable[Chain]) -> Iterator[str]:
    where = _table(family)
    return (f"add rule {where} {chain.name} {rule}" for chain in chains for rule in chain.rules)


def _add_set(family: Family, each: Set) -> str:
    return f"add {each.kind} {_table(family)} {each.name} {{ {' ; '.join(_set_lines(each, []))} ; }}"


def _add_chain(family: Family, chain: Chain) -> str:
    head = _head(chain)
    return f"add chain {_table(family)} {chain.name}" + (f" {{ {' ; '.join(head)} ; }}" if head else "")


def _elements(verb: str, family: Family, elements: Iterable[Element]) -> Iterator[str]:
    spell = _element if verb == "add" else _key
    for name, group in groupby(sorted(elements, key=_set_of), key=_set_of):
        spelled = [spell(element) for element in group]
        for at in range(0, len(spelled), ELEMENTS_A_COMMAND):
            yield f"{verb} element {_table(family)} {name} {{ {', '.join(spelled[at : at + ELEMENTS_A_COMMAND])} }}"


def _set_of(element: Element) -> str:
    return element.set


def _key(element: Element) -> str:
    return element.key


def _element(element: Element) -> str:
    comment = f' comment "{element.comment}"' if element.comment else ""
    verdict = f" : {element.verdict}" if element.verdict else ""
    return f"{element.key}{comment}{verdict}"


def _set_lines(each: Set, elements: list[Element]) -> list[str]:
    lines = [f"type {each.type}"]
    if each.seconds is not None:
        lines += [f"size {AFFINITY_SIZE}", "flags dynamic,timeout", f"timeout {each.seconds}s"]
    if each.comment:
        lines.append(f'comment "{each.comment}"')
    if elements:
        lines.append(f"elements = {{ {f',{chr(10)}{chr(9) * 3}     '.join(map(_element, elements))} }}")
    return lines


def _head(chain: Chain) -> list[str]:
    comment = [f'comment "{chain.comment}"'] if chain.comment else []
    return [*comment, *([f"{chain.hook} ; policy accept"] if chain.hook else [])]


def _chain_lines(chain: Chain) -> list[str]:
    comment = [f'comment "{chain.comment}"'] if chain.comment else []
    return [*comment, *([f"{chain.hook}; policy accept;"] if chain.hook else []), *chain.rules]
