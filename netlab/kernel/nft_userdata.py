"""What only nft(8) reads of what is in the kernel: comments, and what the keys of a set are made of, to print them.

The numbers are nft's own (enum nftnl_udata_set_types of libnftnl, and nft's expressions and headers), found in what it
writes itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from netlab.model.nft_rules import Side
from netlab.model.nft_tables import ENDPOINT, KeyType, Set
from netlab.model.rules import Family

KEY_ORDER, DATA_ORDER, MERGE, KEY, DATA, DATA_INTERVAL, COMMENT = 0, 1, 2, 3, 4, 6, 7
"""What there is to say of a set."""
ORDER_MIXED, ORDER_NETWORK = 0, 2
PAYLOAD, META, CONCATENATION, NUMBER_GENERATOR = 7, 9, 13, 23
"""What a key may be made of, and of what of those:"""
META_PROTOCOL, RANDOM = 16, 1
HEADERS = {Family.IPV4: 12, Family.IPV6: 13}
ADDRESSES = {
    Family.IPV4: {Side.SOURCE: 11, Side.DESTINATION: 12},
    Family.IPV6: {Side.SOURCE: 8, Side.DESTINATION: 9},
}
TRANSPORT_HEADER, DESTINATION_PORT = 11, 2
NATIVE = struct.Struct("=I")


def user_data(kind: int, data: bytes) -> bytes:
    """One item among what only nft(8) reads: its kind and its length are one byte each."""
    return bytes([kind, len(data)]) + data


def user_text(kind: int, text: str) -> bytes:
    """The same for a text."""
    return user_data(kind, text.encode() + b"\0")


def set_userdata(each: Set, family: Family) -> bytes:
    """How nft prints the keys of a set and what they lead to, and its comment."""
    single = len(each.keys) == 1
    found = user_data(KEY_ORDER, NATIVE.pack(ORDER_NETWORK if single else ORDER_MIXED))
    if each.verdicts or each.one_of:
        found += user_data(DATA_ORDER, NATIVE.pack(ORDER_MIXED))
    if each.one_of:
        found += user_data(KEY, _joined(*_made_of(each.keys, family), _drawn(each.one_of)))
        found += user_data(DATA, _joined(*_made_of(ENDPOINT, family)))
    elif not single:
        found += user_data(KEY, _joined())
    if each.verdicts or each.one_of:
        found += user_data(DATA_INTERVAL, NATIVE.pack(0))
    return found + (user_text(COMMENT, each.comment) if each.comment else b"")


def networks_userdata(side: Side, family: Family, *, intervals: bool) -> bytes:
    """The same for networks of one side."""
    merge = user_data(MERGE, NATIVE.pack(1)) if intervals else b""
    return user_data(KEY_ORDER, NATIVE.pack(ORDER_NETWORK)) + merge + user_data(KEY, _address(side, family))


def _joined(*parts: bytes) -> bytes:
    """The parts of a key, one after the other."""
    return _expression(CONCATENATION, b"".join(user_data(number, part) for number, part in enumerate(parts)))


def _made_of(keys: Iterable[KeyType], family: Family) -> Iterator[bytes]:
    of = {
        KeyType.ADDRESS: _address(Side.DESTINATION, family),
        KeyType.PROTOCOL: _expression(META, user_data(0, NATIVE.pack(META_PROTOCOL))),
        KeyType.PORT: _field(TRANSPORT_HEADER, DESTINATION_PORT),
    }
    return map(of.__getitem__, keys)


def _address(side: Side, family: Family) -> bytes:
    return _field(HEADERS[family], ADDRESSES[family][side])


def _field(header: int, number: int) -> bytes:
    return _expression(PAYLOAD, _numbers(header, number))


def _drawn(one_of: int) -> bytes:
    return _expression(NUMBER_GENERATOR, _numbers(RANDOM, one_of, 0))


def _expression(kind: int, data: bytes) -> bytes:
    return user_data(0, NATIVE.pack(kind)) + user_data(1, data)


def _numbers(*numbers: int) -> bytes:
    return b"".join(user_data(at, NATIVE.pack(number)) for at, number in enumerate(numbers))
