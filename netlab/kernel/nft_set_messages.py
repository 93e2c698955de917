"""Sets, maps and their elements as the attributes that the kernel takes.

With each set goes what only nft(8) reads (its userdata): comments, and in which byte order it prints a key.
Source: <linux/netfilter/nf_tables.h>, and nft's own sets as the kernel returns them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from operator import attrgetter
from typing import Any

from netlab.kernel.netlink import attribute, nested
from netlab.kernel.nft_attributes import (
    ADDRESS_BYTES,
    LIST_ELEMENT,
    NFT_GOTO,
    PLACE,
    PROTOCOL_NUMBERS,
    around,
    leading_frame,
    name,
    u32,
    user_data,
    user_text,
    value,
    verdict,
)
from netlab.model.nft_rules import AddressInAny, Goto, Side
from netlab.model.nft_tables import Client, Element, Key, KeyType, Set
from netlab.model.rules import Family, IPNetwork, Protocol

SET_NAME, SET_FLAGS, SET_KEY_TYPE, SET_KEY_BYTES, SET_DATA_TYPE, SET_DATA_BYTES = 2, 3, 4, 5, 6, 7
SET_DESCRIPTION, SET_IDENTITY, SET_TIMEOUT, SET_USERDATA, DESCRIPTION_SIZE = 9, 10, 11, 13, 1
ANONYMOUS, CONSTANT, INTERVAL, MAP, TIMEOUT, EVALUATED = 1, 2, 4, 8, 16, 32
VERDICT_TYPE, VERDICT_BYTES = 0xFFFFFF00, 16
TYPE_NUMBERS = {KeyType.PROTOCOL: 12, KeyType.PORT: 13}
ADDRESS_TYPES = {Family.IPV4: 7, Family.IPV6: 8}
TYPE_BITS = 6
"""The types of a key's parts stand side by side in one number, so many bits each."""
ELEMENT_KEY, ELEMENT_DATA, ELEMENT_FLAGS, ELEMENT_EXPIRATION, ELEMENT_USERDATA = 1, 2, 3, 5, 6
INTERVAL_END = 1
COMMENT_OF_ELEMENT, FLAGS_OF_ELEMENT, OPEN_END = 0, 1, 1
UDATA_KEY_ORDER, UDATA_DATA_ORDER, UDATA_MERGE, UDATA_KEY, UDATA_DATA_INTERVAL, UDATA_COMMENT = 0, 1, 2, 3, 6, 7
ORDER_MIXED, ORDER_NETWORK = 0, 2
PAYLOAD, CONCATENATION = 7, 13
"""nft's own numbers for what a key is made of."""
NATIVE = struct.Struct("=I")
MILLISECONDS = struct.Struct(">Q")
ANONYMOUS_NAME = "__set%d"
"""The kernel puts a number in."""
HEADER_DESCRIPTION = {Family.IPV4: 12, Family.IPV6: 13}
FIELD_NUMBERS = {
    Family.IPV4: {Side.SOURCE: 11, Side.DESTINATION: 12},
    Family.IPV6: {Side.SOURCE: 8, Side.DESTINATION: 9},
}


def set_attributes(each: Set, family: Family, *, identity: int) -> bytes:
    """What NFT_MSG_NEWSET says of a set beside its table."""
    flags = (MAP if each.verdicts else 0) | (TIMEOUT | EVALUATED if each.seconds is not None else 0)
    data = attribute(SET_DATA_TYPE, u32(VERDICT_TYPE)) + attribute(SET_DATA_BYTES, u32(VERDICT_BYTES))
    size = attribute(DESCRIPTION_SIZE, u32(each.size)) if each.size is not None else b""
    timeout = attribute(SET_TIMEOUT, MILLISECONDS.pack(1000 * each.seconds)) if each.seconds is not None else b""
    parts = (
        name(SET_NAME, each.name),
        attribute(SET_FLAGS, u32(flags)),
        attribute(SET_KEY_TYPE, u32(_key_type(each.keys, family))),
        attribute(SET_KEY_BYTES, u32(sum(_key_bytes(key, family) for key in each.keys))),
        data if each.verdicts else b"",
        attribute(SET_IDENTITY, u32(identity)),
        nested(SET_DESCRIPTION, size) if size else b"",
        timeout,
        attribute(SET_USERDATA, _set_userdata(each)),
    )
    return b"".join(parts)


def key_bytes(key: Key) -> bytes:
    """A key as it lies in registers: every part begins at a new four bytes."""
    return b"".join([_PART[type(part)](part) for part in key])


def element(found: Element) -> bytes:
    """One element, as a list of them has it."""
    key = key_bytes(found.key)
    if isinstance(found.verdict, Goto) and not found.comment:  # nearly all: one leads on from every Service's address
        chain = found.verdict.chain.encode()
        before, between, after = _goto_frame(len(key), len(chain))
        return before + key + between + chain + after
    if found.verdict is None and not found.comment:
        return _listed_key(key)
    parts = value(ELEMENT_KEY, key)
    if found.verdict is not None:
        parts += verdict(ELEMENT_DATA, found.verdict)
    if found.comment:
        parts += attribute(ELEMENT_USERDATA, user_text(COMMENT_OF_ELEMENT, found.comment))
    return nested(LIST_ELEMENT, parts)


def element_key(found: Element) -> bytes:
    """An element that is to go."""
    return _listed_key(key_bytes(found.key))


def _listed_key(key: bytes) -> bytes:
    before, after = _key_frame(len(key))
    return before + key + after


@cache
def _key_frame(size: int) -> tuple[bytes, bytes]:
    return around(PLACE * size, nested(LIST_ELEMENT, value(ELEMENT_KEY, PLACE * size)))


@cache
def _goto_frame(key: int, chain: int) -> tuple[bytes, bytes, bytes]:
    """What is before a key of so many bytes, between it and the name of a chain of so many, and after that."""
    leading = (PLACE * chain).join(leading_frame(ELEMENT_DATA, NFT_GOTO, chain))
    before, rest = around(PLACE * key, nested(LIST_ELEMENT, value(ELEMENT_KEY, PLACE * key), leading))
    return before, *around(PLACE * chain, rest)


def client_element(client: Client) -> bytes:
    """A client that a set remembered."""
    expiration = attribute(ELEMENT_EXPIRATION, MILLISECONDS.pack(client.milliseconds))
    return nested(LIST_ELEMENT, value(ELEMENT_KEY, client.address.packed), expiration)


# --- sets without a name


def networks_set(part: AddressInAny, family: Family, *, identity: int) -> bytes:
    """What NFT_MSG_NEWSET says of the set that belongs to the rule with these networks."""
    named = user_data(0, NATIVE.pack(HEADER_DESCRIPTION[family])) + user_data(
        1, NATIVE.pack(FIELD_NUMBERS[family][part.side])
    )
    key = user_data(0, NATIVE.pack(PAYLOAD)) + user_data(1, named)
    intervals = not _single(part.networks)
    userdata = user_data(UDATA_KEY_ORDER, NATIVE.pack(ORDER_NETWORK))
    if intervals:
        userdata += user_data(UDATA_MERGE, NATIVE.pack(1))
    return b"".join(
        (
            name(SET_NAME, ANONYMOUS_NAME),
            attribute(SET_FLAGS, u32(ANONYMOUS | CONSTANT | (INTERVAL if intervals else 0))),
            attribute(SET_KEY_TYPE, u32(ADDRESS_TYPES[family])),
            attribute(SET_KEY_BYTES, u32(ADDRESS_BYTES[family])),
            attribute(SET_IDENTITY, u32(identity)),
            nested(SET_DESCRIPTION, attribute(DESCRIPTION_SIZE, u32(_size(part.networks)))),
            attribute(SET_USERDATA, userdata + user_data(UDATA_KEY, key)),
        )
    )


def networks_elements(networks: tuple[IPNetwork, ...]) -> list[bytes]:
    """The ends of the networks, lowest first: where one begins, and the first address behind it."""
    if _single(networks):
        return [nested(LIST_ELEMENT, value(ELEMENT_KEY, each.network_address.packed)) for each in networks]
    return [nested(LIST_ELEMENT, *parts) for parts in _ends(networks)]


def _single(networks: tuple[IPNetwork, ...]) -> bool:
    """Whether each is one address: they need no intervals."""
    return all(each.prefixlen == each.max_prefixlen for each in networks)


def _size(networks: tuple[IPNetwork, ...]) -> int:
    """As nft counts: also the end of what goes up to the last address, which has none."""
    if _single(networks):
        return len(networks)
    return len(_ends(networks)) + any(_last(each) for each in networks)


def _last(network: IPNetwork) -> bool:
    """Whether there is no address behind it."""
    return int(network.broadcast_address) + 1 == 1 << network.max_prefixlen


def _ends(networks: Iterable[IPNetwork]) -> list[tuple[bytes, ...]]:
    ordered = sorted(networks, key=lambda each: each.network_address.packed)
    first = ordered[0].network_address
    ends = [_between(bytes(len(first.packed)))] if int(first) else []
    for each, following in zip(ordered, chain(ordered[1:], (None,)), strict=True):
        begin, behind = value(ELEMENT_KEY, each.network_address.packed), int(each.broadcast_address) + 1
        if _last(each):
            ends.append((begin, attribute(ELEMENT_USERDATA, user_data(FLAGS_OF_ELEMENT, NATIVE.pack(OPEN_END)))))
            continue
        ends.append((begin,))
        if following is None or int(following.network_address) != behind:
            ends.append(_between(behind.to_bytes(each.max_prefixlen // 8, "big")))
    return ends


def _between(address: bytes) -> tuple[bytes, ...]:
    """Nothing is in the set from this address on."""
    return value(ELEMENT_KEY, address), attribute(ELEMENT_FLAGS, u32(INTERVAL_END))


# --- parts


_PART: dict[type[Any], Callable[[Any], bytes]] = {
    Protocol: {each: bytes([number, 0, 0, 0]) for each, number in PROTOCOL_NUMBERS.items()}.__getitem__,
    int: struct.Struct(">Hxx").pack,
    IPv4Address: attrgetter("packed"),
    IPv6Address: attrgetter("packed"),
}


def _key_type(keys: tuple[KeyType, ...], family: Family) -> int:
    found = 0
    for key in keys:
        found = found << TYPE_BITS | (ADDRESS_TYPES[family] if key is KeyType.ADDRESS else TYPE_NUMBERS[key])
    return found


def _key_bytes(key: KeyType, family: Family) -> int:
    return ADDRESS_BYTES[family] if key is KeyType.ADDRESS else 4


def _set_userdata(each: Set) -> bytes:
    single = len(each.keys) == 1
    found = user_data(UDATA_KEY_ORDER, NATIVE.pack(ORDER_NETWORK if single else ORDER_MIXED))
    if each.verdicts:
        found += user_data(UDATA_DATA_ORDER, NATIVE.pack(ORDER_MIXED))
    if not single:
        found += user_data(UDATA_KEY, user_data(0, NATIVE.pack(CONCATENATION)) + user_data(1, b""))
    if each.verdicts:
        found += user_data(UDATA_DATA_INTERVAL, NATIVE.pack(0))
    return found + (user_text(UDATA_COMMENT, each.comment) if each.comment else b"")
