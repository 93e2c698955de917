"""A rule's parts as the expressions that the kernel runs: one after the other, each on what is in its registers.

    ip saddr != 10.244.0.0/16    payload: 2 bytes of the IP header into register 1; cmp: they are not 10.244
    goto CHAIN                   immediate: that verdict into the verdict's register, which ends the rule

They are those that nft(8) makes of the same words, so that it reads them back as such. Register 1 has 16 bytes; where
several fields are looked up together each begins at the next of the registers of 4 bytes, of which 8 is the first.
The attributes of each expression are numbered in <linux/netfilter/nf_tables.h>; what nft makes of its words is shown by
`nft --debug=netlink`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from netlab.kernel.netlink import attribute
from netlab.kernel.nft_attributes import (
    ADDRESS_BYTES,
    NF_FAMILIES,
    PLACE,
    PROTOCOL_NUMBERS,
    around,
    expression,
    name,
    u32,
    value,
    verdict,
)
from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    ByMap,
    Dnat,
    DnatByMap,
    Drop,
    Field,
    FlipMark,
    Goto,
    IncomingInterface,
    InSet,
    Jump,
    LocalAddress,
    Marked,
    Masquerade,
    NewFlow,
    OfProtocol,
    OneIn,
    Part,
    Reject,
    RememberSource,
    SetMark,
    Side,
    Translated,
)
from netlab.model.rules import Family, Protocol

VERDICT_REGISTER, REGISTER, SECOND_REGISTER, SHORT_REGISTERS = 0, 1, 2, 8
EQUAL, UNEQUAL = 0, 1
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
META_MARK, META_INTERFACE, META_PROTOCOL = 3, 6, 16
CT_STATE, CT_STATUS = 0, 2
STATE_NEW, STATUS_DNAT = 8, 1 << 5
RTN_LOCAL, FIB_ADDRESS_TYPE = 2, 3
FIB_SIDE = {Side.SOURCE: 1, Side.DESTINATION: 2}
NUMGEN_RANDOM = 1
NAT_DNAT, NAT_MAPPED, NAT_PROTOCOL_SPECIFIED, RANDOM_FULLY = 1, 1, 2, 16
UPDATE = 1
INTERFACE_NAME = 16
PORT_UNREACHABLE = {Family.IPV4: 3, Family.IPV6: 4}
OFFSETS = {
    Family.IPV4: {Side.SOURCE: 12, Side.DESTINATION: 16},
    Family.IPV6: {Side.SOURCE: 8, Side.DESTINATION: 24},
}
NATIVE, PORT = struct.Struct("=I"), struct.Struct(">H")


class Expressions:
    """One family's: what a part of a rule is in bytes. Of several networks `nft_messages` makes a set first."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._protocols = {each: _protocol(each) for each in Protocol}
        self._dnat = cache(partial(_dnat, family))
        self._of: dict[type[Any], Callable[[Any], bytes]] = {
            AddressIn: self._address_in,
            AddressInAny: lambda part: self._address_in(AddressIn(part.side, part.networks[0], part.negated)),
            LocalAddress: _local_address,
            InSet: lambda part: self.load(part.fields) + lookup(part.set),
            IncomingInterface: _interface,
            OfProtocol: lambda part: self._protocols[part.protocol],
            NewFlow: lambda _: _ct(CT_STATE, STATE_NEW),
            Translated: lambda _: _ct(CT_STATUS, STATUS_DNAT),
            Marked: lambda part: _load_mark() + _bitwise(NATIVE.pack(part.mark)) + _compare(UNEQUAL, bytes(4)),
            OneIn: lambda part: _one_in(part.count),
            ByMap: lambda part: self.load(part.fields) + lookup(part.map, into=VERDICT_REGISTER),
            SetMark: lambda part: _change_mark(keep=~part.mark, flip=part.mark),
            FlipMark: lambda part: _change_mark(keep=~0, flip=part.mark),
            RememberSource: self._remember,
            Dnat: self._translate,
            DnatByMap: self._translate_by_map,
            Masquerade: _masquerade,
            Jump: _verdict,
            Goto: _verdict,
            Drop: _verdict,
            Reject: self._reject,
        }

    def of(self, part: Part) -> bytes:
        """The expressions of a part, one after the other."""
        return self._of[type(part)](part)

    def of_all(self, parts: tuple[Part, ...]) -> bytes:
        """The expressions of a rule."""
        known = self._of
        return b"".join([known[type(part)](part) for part in parts])

    def load(self, fields: tuple[Field, ...]) -> bytes:
        """Put the fields into registers, side by side."""
        return self._load(fields)[0]

    def _load(self, fields: tuple[Field, ...]) -> tuple[bytes, int]:
        """And the register behind them."""
        found, register = b"", REGISTER
        at = SHORT_REGISTERS
        for field in fields:
            expressions, size = self._field(field, register)
            found += expressions
            at += (size + 3) // 4
            register = at
        return found, register

    def _field(self, field: Field, register: int) -> tuple[bytes, int]:
        """One field into a register, and how many bytes it is."""
        match field:
            case Field.PROTOCOL:
                return _meta(META_PROTOCOL, register), 1
            case Field.PORT:
                return _payload(TRANSPORT_HEADER, offset=2, size=2, register=register), 2
            case Field.SOURCE | Field.DESTINATION:
                size = ADDRESS_BYTES[self._family]
                return self._address(Side(field.value), size=size, register=register), size

    def _address(self, side: Side, *, size: int, register: int = REGISTER) -> bytes:
        return _payload(NETWORK_HEADER, offset=OFFSETS[self._family][side], size=size, register=register)

    def _address_in(self, part: AddressIn) -> bytes:
        """Whole bytes of an address are compared as they are; a network that ends within one needs a mask."""
        network, operator = part.network, UNEQUAL if part.negated else EQUAL
        size, rest = divmod(network.prefixlen, 8)
        if rest == 0 and size:
            return self._address(part.side, size=size) + _compare(operator, network.network_address.packed[:size])
        mask, full = network.netmask.packed, len(network.netmask.packed)
        return self._address(part.side, size=full) + _bitwise(mask) + _compare(operator, network.network_address.packed)

    def _remember(self, part: RememberSource) -> bytes:
        return self.load((Field.SOURCE,)) + expression(
            "dynset",
            attribute(4, u32(REGISTER)),
            attribute(3, u32(UPDATE)),
            name(1, part.set),
        )

    def _translate(self, part: Dnat) -> bytes:
        before, after = self._dnat(part.port)
        return before + part.address.packed + after

    def _translate_by_map(self, part: DnatByMap) -> bytes:
        """What the map holds, an address and the port behind it, comes into the registers that its key was in."""
        loaded, behind = self._load(part.fields)
        port = SHORT_REGISTERS + ADDRESS_BYTES[self._family] // 4
        return loaded + _draw(part.one_of, behind) + lookup(part.map, into=REGISTER) + _nat(self._family, port)

    def _reject(self, _: Reject) -> bytes:
        return expression("reject", attribute(1, u32(0)), attribute(2, bytes([PORT_UNREACHABLE[self._family]])))


def lookup(found: str, *, into: int | None = None, unless: bool = False, identity: int | None = None) -> bytes:
    """Look up the first register in a set, or in a map, and put what that holds into a register.

    A set without a name is told by the number that it has in its batch.
    """
    return expression(
        "lookup",
        name(1, found),
        attribute(2, u32(REGISTER)),
        attribute(3, u32(into)) if into is not None else b"",
        attribute(4, u32(identity)) if identity is not None else b"",
        attribute(5, u32(1)) if unless else b"",
    )


def _meta(key: int, register: int = REGISTER) -> bytes:
    return expression("meta", attribute(2, u32(key)), attribute(1, u32(register)))


def _payload(header: int, *, offset: int, size: int, register: int) -> bytes:
    numbers = (register, header, offset, size)
    return expression("payload", *(attribute(kind, u32(number)) for kind, number in enumerate(numbers, start=1)))


def _compare(operator: int, data: bytes) -> bytes:
    return expression("cmp", attribute(1, u32(REGISTER)), attribute(2, u32(operator)), value(3, data))


def _bitwise(mask: bytes, flip: bytes | None = None) -> bytes:
    """Keep the bits of the mask, then flip some."""
    return expression(
        "bitwise",
        attribute(1, u32(REGISTER)),
        attribute(2, u32(REGISTER)),
        attribute(3, u32(len(mask))),
        attribute(6, u32(0)),
        value(4, mask),
        value(5, flip or bytes(len(mask))),
    )


def _immediate(register: int, data: bytes) -> bytes:
    return expression("immediate", attribute(1, u32(register)), data)


@cache
def _verdict(part: Jump | Goto | Drop) -> bytes:
    return _immediate(VERDICT_REGISTER, verdict(2, part))


def _local_address(part: LocalAddress) -> bytes:
    fib = (REGISTER, FIB_ADDRESS_TYPE, FIB_SIDE[part.side])
    found = expression("fib", *(attribute(kind, u32(number)) for kind, number in enumerate(fib, start=1)))
    return found + _compare(EQUAL, NATIVE.pack(RTN_LOCAL))


def _interface(part: IncomingInterface) -> bytes:
    """A name is compared with the zeros behind it, the beginning of one without."""
    name = part.name.encode()
    data = name if part.prefix else name.ljust(INTERFACE_NAME, b"\0")
    return _meta(META_INTERFACE) + _compare(UNEQUAL if part.negated else EQUAL, data)


def _protocol(protocol: Protocol) -> bytes:
    return _meta(META_PROTOCOL) + _compare(EQUAL, bytes([PROTOCOL_NUMBERS[protocol]]))


def _ct(key: int, bits: int) -> bytes:
    loaded = expression("ct", attribute(1, u32(REGISTER)), attribute(2, u32(key)))
    return loaded + _bitwise(NATIVE.pack(bits)) + _compare(UNEQUAL, bytes(4))


@cache
def _one_in(count: int) -> bytes:
    return _draw(count, REGISTER) + _compare(EQUAL, bytes(4))


def _draw(one_of: int, register: int) -> bytes:
    numbers = (register, one_of, NUMGEN_RANDOM, 0)
    return expression("numgen", *(attribute(kind, u32(number)) for kind, number in enumerate(numbers, start=1)))


def _load_mark() -> bytes:
    return _meta(META_MARK)


def _change_mark(*, keep: int, flip: int) -> bytes:
    changed = _bitwise(NATIVE.pack(keep & 0xFFFFFFFF), NATIVE.pack(flip))
    return _load_mark() + changed + expression("meta", attribute(2, u32(META_MARK)), attribute(3, u32(REGISTER)))


def _masquerade(part: Masquerade) -> bytes:
    return expression("masq", attribute(1, u32(RANDOM_FULLY)) if part.fully_random else b"")


def _dnat(family: Family, port: int) -> tuple[bytes, bytes]:
    """What is before the address, and after it: there are more of these than of all others, and few ports."""
    address = PLACE * ADDRESS_BYTES[family]
    loaded = _immediate(REGISTER, value(2, address)) + _immediate(SECOND_REGISTER, value(2, PORT.pack(port)))
    return around(address, loaded + _nat(family, SECOND_REGISTER))


def _nat(family: Family, port: int) -> bytes:
    """Translate the destination to what the first register has, and the port to what that one has."""
    flags = NAT_MAPPED | NAT_PROTOCOL_SPECIFIED
    numbers = (NAT_DNAT, NF_FAMILIES[family], REGISTER, REGISTER, port, port, flags)
    return expression("nat", *(attribute(kind, u32(number)) for kind, number in enumerate(numbers, start=1)))
