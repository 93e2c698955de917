"""Attributes that nf_tables' messages have in common: names, numbers, what registers hold, verdicts.

Most bytes of them are the same each time, so they are made once, around a place that is filled in later.
Source: <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

from functools import cache

from netlab.kernel.netlink import attribute, nested
from netlab.model.nft_rules import Drop, Goto, Jump
from netlab.model.rules import Family, Protocol

LIST_ELEMENT, EXPRESSION_NAME, EXPRESSION_DATA = 1, 1, 2
DATA_VALUE, DATA_VERDICT, VERDICT_CODE, VERDICT_CHAIN = 1, 2, 1, 2
NF_DROP, NFT_JUMP, NFT_GOTO = 0, -3 & 0xFFFFFFFF, -4 & 0xFFFFFFFF
NF_FAMILIES = {Family.IPV4: 2, Family.IPV6: 10}
ADDRESS_BYTES = {Family.IPV4: 4, Family.IPV6: 16}
PROTOCOL_NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
PLACE = b"\xaa"
"""Stands for what is filled in later, and is no byte of a header."""


def u32(number: int) -> bytes:
    """Numbers are in network order, but for those that stand for what is in a register."""
    return number.to_bytes(4, "big")


def expression(name: str, *parts: bytes) -> bytes:
    """One expression, as a list of them has it."""
    data = nested(EXPRESSION_DATA, *parts)
    return nested(LIST_ELEMENT, attribute(EXPRESSION_NAME, name.encode() + b"\0"), data)


def value(kind: int, data: bytes) -> bytes:
    """An attribute that holds the content of a register."""
    before, after = _value_frame(kind, len(data))
    return before + data + after


@cache
def _value_frame(kind: int, size: int) -> tuple[bytes, bytes]:
    return around(PLACE * size, nested(kind, attribute(DATA_VALUE, PLACE * size)))


def verdict(kind: int, found: Jump | Goto | Drop) -> bytes:
    """An attribute that holds a verdict."""
    if isinstance(found, Drop):
        return nested(kind, nested(DATA_VERDICT, attribute(VERDICT_CODE, u32(NF_DROP))))
    chain = found.chain.encode()
    before, after = leading_frame(kind, NFT_JUMP if isinstance(found, Jump) else NFT_GOTO, len(chain))
    return before + chain + after


@cache
def leading_frame(kind: int, code: int, size: int) -> tuple[bytes, bytes]:
    """What is before and after the name, of so many bytes, of the chain that a verdict leads to."""
    chain = attribute(VERDICT_CHAIN, PLACE * size + b"\0")
    whole = nested(kind, nested(DATA_VERDICT, attribute(VERDICT_CODE, u32(code)), chain))
    return around(PLACE * size, whole)


def around(place: bytes, whole: bytes) -> tuple[bytes, bytes]:
    """What is before and after a place that will be filled: most bytes differ only in such a place."""
    before, _, after = whole.partition(place)
    return before, after


def name(kind: int, text: str) -> bytes:
    """An attribute that holds a name."""
    return attribute(kind, text.encode() + b"\0")
