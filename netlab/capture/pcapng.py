"""Captures of several interfaces in one file, as Wireshark and tcpdump read it (pcapng), and that form read again.

Written by hand: python-pcapng builds an object a packet, which at 50,000 packets a second takes a processor and more,
and Scapy's writer has neither directions nor names beside those of Linux. Sources: draft-ietf-opsawg-pcapng
(sections 4.1 to 4.3, 4.6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

SECTION, INTERFACE, PACKET, STATISTICS = 0x0A0D0D0A, 1, 6, 5
BYTE_ORDER = 0x1A2B3C4D
VERSION = (1, 0)
UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF
ETHERNET = 1
"""LINKTYPE_ETHERNET."""
END, COMMENT = 0, 1
APPLICATION = 4
NAME, DESCRIPTION, RESOLUTION, FILTER = 2, 3, 9, 11
NANOSECONDS = 9
"""if_tsresol: times are in units of 10 to the minus 9 seconds."""
FLAGS = 2
START_TIME, END_TIME, RECEIVED, DROPPED = 2, 3, 4, 5
IN, OUT = 1, 2
"""Bits 0 and 1 of epb_flags: which way the packet passed the interface."""
WORD = 4

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_OPTION = struct.Struct("<HH")
_PACKET_HEAD = struct.Struct("<7I")
_PACKET_TAIL = struct.Struct("<HHIHHI")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
"""By the length that is over a whole number of words."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Where packets were captured: `name` is the hop (`pod/web-1 eth0`), `description` what the interface is for."""

    name: str
    description: str = ""


class Packet(NamedTuple):
    """One packet of a file. `interface` counts from 0, in the order of the file; `flags` are epb_flags."""

    interface: int
    nanoseconds: int
    data: bytes
    length: int
    flags: int


def section(*, comment: str) -> bytes:
    """The beginning of a file."""
    fixed = struct.pack("<IHHQ", BYTE_ORDER, *VERSION, UNKNOWN_LENGTH)
    return _block(SECTION, fixed, ((COMMENT, comment.encode()), (APPLICATION, b"netlab")))


def interface_block(interface: Interface, *, snap_length: int, expression: str = "") -> bytes:
    """The announcement of an interface; packets name it by its place among those before it."""
    options = [(NAME, interface.name.encode()), (RESOLUTION, bytes((NANOSECONDS,)))]
    if interface.description:
        options.append((DESCRIPTION, interface.description.encode()))
    if expression:
        options.append((FILTER, b"\0" + expression.encode()))  # 0: the text is a filter expression of libpcap
    return _block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, snap_length), options)


def packet_block(packet: Packet) -> bytes:
    """One packet, with its direction."""
    interface, nanoseconds, data, length, flags = packet
    kept = len(data)
    padding = _PADDING[kept & 3]
    total = _PACKET_HEAD.size + kept + len(padding) + _PACKET_TAIL.size
    head = _PACKET_HEAD.pack(
        PACKET, total, interface, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, kept, length
    )  # fmt: skip
    return b"".join((head, data, padding, _PACKET_TAIL.pack(FLAGS, 4, flags, END, 0, total)))


def statistics_block(interface: int, *, nanoseconds: int, received: int, dropped: int) -> bytes:
    """What the kernel counted at an interface by that time."""
    high, low = nanoseconds >> 32, nanoseconds & 0xFFFFFFFF
    options = (
        (END_TIME, struct.pack("<II", high, low)),
        (RECEIVED, struct.pack("<Q", received)),
        (DROPPED, struct.pack("<Q", dropped)),
    )
    return _block(STATISTICS, struct.pack("<III", interface, high, low), options)


def direction(*, outgoing: bool, kind: int) -> int:
    """epb_flags of a packet: its direction and, of one that came in, how it was addressed (`kind` as sll_pkttype)."""
    unicast, multicast, broadcast, another = 1, 2, 3, 4
    reception = {0: unicast, 1: broadcast, 2: multicast, 3: another}.get(kind, 0)
    return OUT if outgoing else IN | reception << 2


def read(stream: BinaryIO) -> Iterator[Interface | Packet]:
    """The interfaces and packets of a file that this module wrote, in their order, as they come.

    ValueError: it is cut off, or another program's.
    """
    while head := stream.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise ValueError("the capture is cut off")
        kind, total = _HEAD.unpack(head)
        body = stream.read(total - _HEAD.size)
        if len(body) != total - _HEAD.size or _LENGTH.unpack(body[-_LENGTH.size :])[0] != total:
            raise ValueError("the capture is cut off, or of another byte order")
        if kind == INTERFACE:
            yield _read_interface(body)
        elif kind == PACKET:
            yield _read_packet(body)


def _block(kind: int, fixed: bytes, options: tuple[tuple[int, bytes], ...] | list[tuple[int, bytes]]) -> bytes:
    body = fixed + b"".join(_option(code, value) for code, value in options) + _OPTION.pack(END, 0)
    total = _HEAD.size + len(body) + _LENGTH.size
    return _HEAD.pack(kind, total) + body + _LENGTH.pack(total)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value + _PADDING[len(value) & 3]


def _read_interface(body: bytes) -> Interface:
    found, position = {}, 8
    while position < len(body) - _LENGTH.size:
        code, length = _OPTION.unpack_from(body, position)
        found[code] = body[position + _OPTION.size : position + _OPTION.size + length]
        position += _OPTION.size + length + -length % WORD
    return Interface(found[NAME].decode(), found.get(DESCRIPTION, b"").decode())


def _read_packet(body: bytes) -> Packet:
    interface, high, low, kept, length = struct.unpack_from("<5I", body)
    (flags,) = struct.unpack_from("<I", body, 20 + kept + -kept % WORD + _OPTION.size)
    return Packet(interface, high << 32 | low, body[20 : 20 + kept], length, flags)
