"""Tables and patches as lists of changes, each of which finds what it needs made by those before it.

Chains come before the rules that jump to them, and all of these before the elements that lead there. So a list that is
too long for one transaction may be cut anywhere, and each piece holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from netlab.model.nft_tables import (
    AddChain,
    AddClients,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    Chain,
    Change,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    Element,
    FlushChain,
    Memory,
    Table,
    TablePatch,
)
from netlab.proxy.nftables.choosing import CHAINS
from netlab.proxy.nftables.spelling import Spelling

ELEMENTS_A_CHANGE = 100
"""So many fit into one netlink attribute, which takes 64 KB, with the longest names."""
COMMENT = "rules for kube-proxy"


def replacing(table: Table, memory: Memory) -> list[Change]:
    """Put this table in the place of whatever has its name; `memory` goes back into the sets that are there again."""
    return [
        AddTable(),  # that there is one to delete
        DeleteTable(),
        AddTable(COMMENT),
        *map(AddSet, table.sets),
        *map(AddChain, table.chains),
        *_fill(table.chains),
        *_remember(table, memory),
        *_elements(AddElements, table.elements),
    ]


def growing(spelling: Spelling) -> Iterator[Change]:
    """Make a table that is not there, but for the chains that packets come to by hooks: those make it count.

    So it need not be one transaction, and may be made while its Services are still being spelled.
    """
    base = spelling.base()
    inner = [chain for chain in base.chains if not chain.hook]
    yield AddTable(COMMENT)
    yield from map(AddSet, base.sets)
    yield from map(AddChain, (*inner, *map(Chain, CHAINS)))
    yield from _fill(inner)
    for service in spelling.services():
        yield from map(AddSet, service.sets)
        for chain in service.chains:  # each leads only to those before it
            yield AddChain(chain)
            for rule in chain.rules:
                yield AddRule(chain.name, rule)
    shared = spelling.choosing()
    yield from map(AddSet, shared.sets)
    yield from _fill(shared.chains)
    yield from _elements(AddElements, spelling.elements())


def hooking(base: Table) -> list[Change]:
    """Lead packets to a table that has grown: all of them, from one moment on."""
    hooked = [chain for chain in base.chains if chain.hook]
    return [*map(AddChain, hooked), *_fill(hooked)]


def patching(patch: TablePatch) -> list[Change]:
    """Do a patch: packets in between meet all of it or nothing."""
    gone = [each.name for each in patch.sets_gone]
    anew = [each.name for each in patch.sets if each.name in gone]
    return [
        *map(AddChain, patch.chains),
        *(FlushChain(chain.name) for chain in patch.chains),
        *map(FlushChain, patch.chains_gone),
        *map(DeleteSet, anew),
        *map(AddSet, patch.sets),
        *_elements(DeleteElements, patch.elements_gone),
        *_fill(patch.chains),
        *_elements(AddElements, patch.elements),
        *map(DeleteChain, patch.chains_gone),
        *(DeleteSet(name) for name in gone if name not in anew),
    ]


def _fill(chains: Iterable[Chain]) -> Iterator[AddRule]:
    return (AddRule(chain.name, rule) for chain in chains for rule in chain.rules)


def _remember(table: Table, memory: Memory) -> Iterator[AddClients]:
    for each in table.sets:
        clients = memory.get(each.name, ())
        for at in range(0, len(clients), ELEMENTS_A_CHANGE):
            yield AddClients(each.name, clients[at : at + ELEMENTS_A_CHANGE])


def _elements(
    change: type[AddElements] | type[DeleteElements], elements: Iterable[Element]
) -> Iterator[AddElements | DeleteElements]:
    for name, group in groupby(sorted(elements, key=_set_of), key=_set_of):
        found = tuple(group)
        for at in range(0, len(found), ELEMENTS_A_CHANGE):
            yield change(name, found[at : at + ELEMENTS_A_CHANGE])


def _set_of(element: Element) -> str:
    return element.set
