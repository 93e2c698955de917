"""Sets, maps and their elements as the attributes that the kernel takes.

Source: <linux/netfilter/nf_tables.h>, and nft's own sets as the kernel returns them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
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
    value,
    verdict,
)
from netlab.kernel.nft_userdata import networks_userdata, set_userdata, user_data, user_text
from netlab.model.nft_rules import AddressInAny, Dnat, Goto
from netlab.model.nft_tables import ENDPOINT, Client, Drawn, Element, Key, KeyType, Set
from netlab.model.rules import Family, IPNetwork, Protocol

SET_NAME, SET_FLAGS, SET_KEY_TYPE, SET_KEY_BYTES, SET_DATA_TYPE, SET_DATA_BYTES = 2, 3, 4, 5, 6, 7
SET_DESCRIPTION, SET_IDENTITY, SET_TIMEOUT, SET_USERDATA, DESCRIPTION_SIZE = 9, 10, 11, 13, 1
ANONYMOUS, CONSTANT, INTERVAL, MAP, TIMEOUT, EVALUATED = 1, 2, 4, 8, 16, 32
VERDICT_TYPE, VERDICT_BYTES = 0xFFFFFF00, 16
TYPE_NUMBERS = {KeyType.PROTOCOL: 12, KeyType.PORT: 13}
ADDRESS_TYPES = {Family.IPV4: 7, Family.IPV6: 8}
TYPE_BITS = 6
"""The types of a key's parts stand side by side in one number, so many bits each."""
DRAWN_TYPE = 4
ELEMENT_KEY, ELEMENT_DATA, ELEMENT_FLAGS, ELEMENT_EXPIRATION, ELEMENT_USERDATA = 1, 2, 3, 5, 6
INTERVAL_END = 1
COMMENT_OF_ELEMENT, FLAGS_OF_ELEMENT, OPEN_END = 0, 1, 1
NATIVE = struct.Struct("=I")
MILLISECONDS = struct.Struct(">Q")
PORT = struct.Struct(">Hxx")
ANONYMOUS_NAME = "__set%d"
"""The kernel puts a number in."""


def set_attributes(each: Set, family: Family, *, identity: int) -> bytes:
    """What NFT_MSG_NEWSET says of a set beside its table."""
    data = _data(each, family)
    flags = (MAP if data else 0) | (TIMEOUT | EVALUATED if each.seconds is not None else 0)
    size = attribute(DESCRIPTION_SIZE, u32(each.size)) if each.size is not None else b""
    timeout = attribute(SET_TIMEOUT, MILLISECONDS.pack(1000 * each.seconds)) if each.seconds is not None else b""
    parts = (
        name(SET_NAME, each.name),
        attribute(SET_FLAGS, u32(flags)),
        _typed(SET_KEY_TYPE, (*_types(each.keys, family), *((DRAWN_TYPE,) if each.one_of else ()))),
        attribute(SET_KEY_BYTES, u32(_bytes(each.keys, family) + (4 if each.one_of else 0))),
        data,
        attribute(SET_IDENTITY, u32(identity)),
        nested(SET_DESCRIPTION, size) if size else b"",
        timeout,
        attribute(SET_USERDATA, set_userdata(each, family)),
    )
    return b"".join(parts)


def key_bytes(key: Key) -> bytes:
    """A key as it lies in registers: every part begins at a new four bytes."""
    return b"".join([_PART[type(part)](part) for part in key])


def element(found: Element) -> bytes:
    """One element, as a list of them has it."""
    key, target = key_bytes(found.key), found.leads_to
    if isinstance(target, Dnat):
        address = target.address.packed
        before, between, after = _endpoint_frame(len(key), len(address))
        return before + key + between + address + PORT.pack(target.port) + after
    if isinstance(target, Goto) and not found.comment:  # one leads on from every Service's address
        chain = target.chain.encode()
        before, between, after = _goto_frame(len(key), len(chain))
        return before + key + between + chain + after
    if target is None and not found.comment:
        return _listed_key(key)
    parts = value(ELEMENT_KEY, key)
    if target is not None:
        parts += verdict(ELEMENT_DATA, target)
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
    return _pair_frame(key, leading, place=chain)


@cache
def _endpoint_frame(key: int, address: int) -> tuple[bytes, bytes, bytes]:
    """The same for an address of so many bytes, with a port behind it."""
    place = address + PORT.size
    return _pair_frame(key, value(ELEMENT_DATA, PLACE * place), place=place)


def _pair_frame(key: int, data: bytes, *, place: int) -> tuple[bytes, bytes, bytes]:
    before, rest = around(PLACE * key, nested(LIST_ELEMENT, value(ELEMENT_KEY, PLACE * key), data))
    return before, *around(PLACE * place, rest)


def client_element(client: Client) -> bytes:
    """A client that a set remembered."""
    expiration = attribute(ELEMENT_EXPIRATION, MILLISECONDS.pack(client.milliseconds))
    return nested(LIST_ELEMENT, value(ELEMENT_KEY, client.address.packed), expiration)


# --- sets without a name


def networks_set(part: AddressInAny, family: Family, *, identity: int) -> bytes:
    """What NFT_MSG_NEWSET says of the set that belongs to the rule with these networks."""
    intervals = not _single(part.networks)
    return b"".join(
        (
            name(SET_NAME, ANONYMOUS_NAME),
            attribute(SET_FLAGS, u32(ANONYMOUS | CONSTANT | (INTERVAL if intervals else 0))),
            attribute(SET_KEY_TYPE, u32(ADDRESS_TYPES[family])),
            attribute(SET_KEY_BYTES, u32(ADDRESS_BYTES[family])),
            attribute(SET_IDENTITY, u32(identity)),
            nested(SET_DESCRIPTION, attribute(DESCRIPTION_SIZE, u32(_size(part.networks)))),
            attribute(SET_USERDATA, networks_userdata(part.side, family, intervals=intervals)),
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
    int: PORT.pack,
    Drawn: NATIVE.pack,
    IPv4Address: attrgetter("packed"),
    IPv6Address: attrgetter("packed"),
}


def _data(each: Set, family: Family) -> bytes:
    """What a map holds; nothing for a set."""
    if each.verdicts:
        return attribute(SET_DATA_TYPE, u32(VERDICT_TYPE)) + attribute(SET_DATA_BYTES, u32(VERDICT_BYTES))
    if each.one_of:
        types, size = _types(ENDPOINT, family), _bytes(ENDPOINT, family)
        return _typed(SET_DATA_TYPE, types) + attribute(SET_DATA_BYTES, u32(size))
    return b""


def _typed(kind: int, types: Iterable[int]) -> bytes:
    found = 0
    for each in types:
        found = found << TYPE_BITS | each
    return attribute(kind, u32(found))


def _types(keys: Iterable[KeyType], family: Family) -> Iterator[int]:
    return (ADDRESS_TYPES[family] if key is KeyType.ADDRESS else TYPE_NUMBERS[key] for key in keys)


def _bytes(keys: Iterable[KeyType], family: Family) -> int:
    return sum(ADDRESS_BYTES[family] if key is KeyType.ADDRESS else 4 for key in keys)
