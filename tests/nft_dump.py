"""What the kernel holds of nftables in the current namespace, byte for byte, but for numbers and nft's own notes."""

from __future__ import annotations

import re
import subprocess
from typing import NamedTuple

from netlab.kernel.netlink import NLM_F_DUMP, attribute, each_attribute
from netlab.kernel.nft_chains import FAMILIES, ask
from netlab.model.rules import Family

NFTABLES = 10 << 8
GET_TABLE, GET_CHAIN, GET_RULE, GET_SET, GET_ELEMENTS = (NFTABLES | number for number in (1, 4, 7, 10, 13))
LEFT_OUT = {GET_TABLE: {4}, GET_CHAIN: {2}, GET_RULE: {3, 6}, GET_SET: {9, 13, 16, 19}}
"""The attributes by which the kernel numbers what it holds; of a rule also which one is before it.

Of a set, too, what each version of nft writes otherwise, for itself: how it prints keys (1.1 says it of every set), and
the size of a set without a name, by which the kernel chooses its kind. Whether nft reads ours as it reads its own is to
be seen in `listing`.
"""
SET_TABLE, SET_NAME, LIST_ELEMENTS, ELEMENT_EXPIRATION = 1, 2, 3, 5
Record = tuple[tuple[int, bytes], ...]


class Held(NamedTuple):
    """All tables of one family."""

    tables: list[Record]
    chains: list[Record]
    rules: list[Record]
    sets: list[Record]
    elements: dict[bytes, list[Record]]
    """By set; how long what a set forgets by itself still stays is left out."""


def held(family: Family) -> Held:
    number = FAMILIES[family]
    tables, chains, rules, sets = (
        [_without(LEFT_OUT[kind], found) for found in ask(kind, NLM_F_DUMP, family=number)]
        for kind in (GET_TABLE, GET_CHAIN, GET_RULE, GET_SET)
    )
    elements = {}
    for found in map(dict, sets):
        where = attribute(SET_TABLE, found[SET_TABLE]) + attribute(SET_NAME, found[SET_NAME])
        answers = ask(GET_ELEMENTS, NLM_F_DUMP, family=number, body=where)
        each = [one for answer in answers for _, one in each_attribute(answer.get(LIST_ELEMENTS, b""))]
        elements[found[SET_NAME]] = sorted(_without({ELEMENT_EXPIRATION}, dict(each_attribute(one))) for one in each)
    return Held(sorted(tables), sorted(chains), rules, sorted(sets), elements)


def listing() -> str:
    """What nft(8) makes of it, with elements in any order."""
    text = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return re.sub(r"elements = \{ (.*?) \}", _in_order, re.sub(r" expires \w+", "", text), flags=re.DOTALL)


def _in_order(found: re.Match[str]) -> str:
    return "elements: " + " | ".join(sorted(re.split(r",\s+", found[1])))


def _without(numbers: set[int], found: dict[int, bytes]) -> Record:
    return tuple((number, data) for number, data in sorted(found.items()) if number not in numbers)
