"""The packets of a probe, built and read with Scapy: what is sent, what arrives at a Pod, what comes back.

Scapy takes 200 us to build a packet, so it builds one of each probe; the others are copies with another port, another
token and the checksum corrected (RFC 1624). Every packet that comes back is read by Scapy.
"""

from __future__ import annotations

import functools
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from netlab.errors import NetlabError
from netlab.model.cluster import Destination, family_of
from netlab.model.journey import PacketVerdict
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import TargetProtocol

# Scapy warns of routes and interfaces that it misses; it is not asked about either here.
logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, TCPerror, UDPerror  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPerror6,
    IPv6,
)
from scapy.packet import Packet, Raw  # noqa: E402

OPENING = b"nlab"
"""How the payload of UDP and ICMP probes begins; eight hexadecimal digits of the token follow.

Both are within 20 bytes from the start of UDP or ICMP: so much of a packet do the reports of nftables show.
"""
TOKEN_DIGITS = 8
ECHO_SEQUENCE = 1
PORT_UNREACHABLE = {Family.IPV4: (3, 3), Family.IPV6: (1, 4)}
"""ICMP type and code (RFC 792, RFC 4443)."""
ERRORS = {Family.IPV4: frozenset({3, 11}), Family.IPV6: frozenset({1, 3})}
"""ICMP types that end a flow: destination unreachable and time exceeded (a routing loop)."""


MALFORMED = (struct.error, IndexError, AttributeError, ValueError)
"""What Scapy raises where a packet lacks what it should have."""
T = TypeVar("T")


class Tag(NamedTuple):
    """What tells one flow from all others: the port it is sent from (ICMP: the identifier), which the answer repeats,
    and a token of 32 bits (TCP: the sequence number; UDP and ICMP: in the payload), which no translation changes."""

    port: int
    token: int


class Answer(NamedTuple):
    """Something that came back: for the flow with that port, if `token` is its token or None."""

    port: int
    token: int | None
    verdict: PacketVerdict


class Arrival(NamedTuple):
    """A request as a Pod got it."""

    token: int
    source: IPAddress
    destination: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Template:
    """A packet whose tag is still zero. Offsets in bytes; those of the fields are even, as the checksum's words are."""

    packet: bytes
    checksum_at: int

    def stamped(self, fields: tuple[tuple[int, bytes], ...]) -> bytes:
        """A copy with those bytes at those offsets and the checksum of the whole."""
        packet = bytearray(self.packet)
        total = 0xFFFF & ~int.from_bytes(packet[self.checksum_at : self.checksum_at + 2])
        for offset, value in fields:
            packet[offset : offset + len(value)] = value
            total += sum(int.from_bytes(value[i : i + 2]) for i in range(0, len(value), 2))
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        packet[self.checksum_at : self.checksum_at + 2] = (0xFFFF & ~total or 0xFFFF).to_bytes(2)
        return bytes(packet)


def _or_none(read: Callable[[Dialect, bytes], T | None]) -> Callable[[Dialect, bytes], T | None]:
    """Reads a packet that is cut short or garbled, which anybody may send in a lab, as None."""

    @functools.wraps(read)
    def tolerant(dialect: Dialect, data: bytes) -> T | None:
        try:
            return read(dialect, data)
        except MALFORMED:
            return None

    return tolerant


def check_spoken(to: Destination) -> None:
    """NetlabError for a destination whose protocol probes do not speak."""
    if to.protocol is TargetProtocol.SCTP:
        raise NetlabError(f"cannot probe {to}/sctp: probes speak TCP, UDP and ICMP")


class Dialect:
    """How one probe's packets are spelled: from `source` to `to`, in one protocol and one family.

    `size` is that of a request in bytes, its IP header among them; a small one where it is 0. None may be fragmented.
    """

    def __init__(self, source: IPAddress, to: Destination, *, size: int = 0) -> None:
        check_spoken(to)
        self.source, self.to, self._size = source, to, size
        self.family = family_of(to.address)
        self._header = 20 if self.family is Family.IPV4 else 40
        self._template = self._build_template()
        self._reset = Template(
            bytes(self._network() / TCP(sport=0, dport=to.port, flags="R", seq=0)), self._header + 16
        )

    # --- what is sent

    def request(self, tag: Tag) -> bytes:
        """The packet of that flow, from its IP header on."""
        port = tag.port.to_bytes(2)
        start = self._header
        if self.to.protocol is TargetProtocol.TCP:
            return self._template.stamped(((start, port), (start + 4, tag.token.to_bytes(4))))
        at = start if self.to.protocol is TargetProtocol.UDP else start + 4
        return self._template.stamped(((at, port), (start + 8 + len(OPENING), b"%08x" % tag.token)))

    def farewell(self, tag: Tag) -> bytes | None:
        """The TCP reset that ends a flow whose answer got lost, so that the server does not wait for it; else None."""
        if self.to.protocol is not TargetProtocol.TCP:
            return None
        after = (tag.token + 1) % 2**32
        return self._reset.stamped(((self._header, tag.port.to_bytes(2)), (self._header + 4, after.to_bytes(4))))

    # --- what comes back

    @_or_none
    def answer(self, data: bytes) -> Answer | None:
        """Read what a raw socket of the probe's protocol got from the address that was addressed."""
        if self.to.protocol is TargetProtocol.ICMP:
            return self._echo(self._icmp(data))
        start = self._transport_start(data)
        if self.to.protocol is TargetProtocol.TCP:
            return self._tcp_answer(TCP(data[start:]))
        udp = UDP(data[start:])
        return Answer(udp.dport, None, PacketVerdict.REACHED) if udp.sport == self.to.port else None

    @_or_none
    def error(self, data: bytes) -> Answer | None:
        """Read what a raw ICMP socket got: an error that quotes one of the probe's packets, or None."""
        message = self._icmp(data)
        if message is None or message.type not in ERRORS[self.family]:
            return None
        quoted = message.getlayer(IPerror if self.family is Family.IPV4 else IPerror6)
        if quoted is None or ip_address(quoted.dst) != self.to.address or ip_address(quoted.src) != self.source:
            return None
        refused = (message.type, message.code) == PORT_UNREACHABLE[self.family]
        return self._quoted(quoted, PacketVerdict.REFUSED if refused else PacketVerdict.UNREACHABLE)

    # --- what a Pod gets

    @_or_none
    def arrival(self, data: bytes) -> Arrival | None:
        """Read what a packet socket saw arrive in a Pod: a request of a probe, or None."""
        packet = IP(data) if self.family is Family.IPV4 else IPv6(data)
        token = self._token(packet)
        if token is None:
            return None
        port = 0 if self.to.protocol is TargetProtocol.ICMP else packet.payload.dport
        return Arrival(token, ip_address(packet.src), ip_address(packet.dst), port)

    # --- inside

    def _network(self) -> Packet:
        if self.family is Family.IPV4:
            return IP(src=str(self.source), dst=str(self.to.address), flags="DF")
        return IPv6(src=str(self.source), dst=str(self.to.address))

    def _build_template(self) -> Template:
        small, checksum = self._transport(b"")
        padding = bytes(max(0, self._size - len(self._network() / small)))
        transport = self._transport(padding)[0] if padding else small
        return Template(bytes(self._network() / transport), self._header + checksum)

    def _transport(self, padding: bytes) -> tuple[Packet, int]:
        """What follows the IP header, and where in it the checksum is. A SYN may carry data, which nobody reads."""
        payload = Raw(OPENING + bytes(TOKEN_DIGITS) + padding)
        match self.to.protocol:
            case TargetProtocol.UDP:
                return UDP(sport=0, dport=self.to.port) / payload, 6
            case TargetProtocol.ICMP:
                echo = ICMP(id=0, seq=ECHO_SEQUENCE) if self.family is Family.IPV4 else ICMPv6EchoRequest(id=0, seq=1)
                return echo / payload, 2
        segment = [("MSS", 1460 if self.family is Family.IPV4 else 1440)]
        opening = TCP(sport=0, dport=self.to.port, flags="S", seq=0, options=segment)
        return (opening / Raw(padding) if padding else opening), 16

    def _transport_start(self, data: bytes) -> int:
        """A raw IPv4 socket gives the IP header too (raw(7)), an IPv6 one does not (RFC 3542)."""
        return 4 * (data[0] & 0x0F) if self.family is Family.IPV4 else 0

    def _tcp_answer(self, tcp: Packet) -> Answer | None:
        if tcp.sport != self.to.port or not tcp.flags.A or not (tcp.flags.S or tcp.flags.R):
            return None
        verdict = PacketVerdict.REFUSED if tcp.flags.R else PacketVerdict.REACHED
        return Answer(tcp.dport, (tcp.ack - 1) % 2**32, verdict)

    def _icmp(self, data: bytes) -> Packet | None:
        if self.family is Family.IPV4:
            return ICMP(data[self._transport_start(data) :])
        kinds = {1: ICMPv6DestUnreach, 3: ICMPv6TimeExceeded, 129: ICMPv6EchoReply}
        return kinds[data[0]](data) if data and data[0] in kinds else None

    def _echo(self, message: Packet | None) -> Answer | None:
        if message is None or message.type != (0 if self.family is Family.IPV4 else 129):
            return None
        token = token_of(message.data if self.family is Family.IPV6 else bytes(message.payload))
        return None if token is None else Answer(message.id, token, PacketVerdict.REACHED)

    def _quoted(self, quoted: Packet, verdict: PacketVerdict) -> Answer | None:
        inner = quoted.payload
        if isinstance(inner, TCPerror):
            return Answer(inner.sport, inner.seq, verdict) if inner.dport == self.to.port else None
        if isinstance(inner, UDPerror):
            return Answer(inner.sport, None, verdict) if inner.dport == self.to.port else None
        if isinstance(inner, ICMPerror | ICMPv6EchoRequest):
            return Answer(inner.id, None, verdict)
        return None

    def _token(self, packet: Packet) -> int | None:
        """The token of a request. A server may send the payload back: that is an answer, seen in the Pod that asked."""
        inner = packet.payload
        if self.to.protocol is TargetProtocol.TCP:
            return int(inner.seq) if isinstance(inner, TCP) else None
        if isinstance(inner, UDP):
            answered = inner.sport == self.to.port and ip_address(packet.src) == self.to.address
            return None if answered else token_of(bytes(inner.payload))
        if isinstance(inner, ICMP):
            return token_of(bytes(inner.payload)) if inner.type == 8 else None
        return token_of(bytes(inner.data)) if isinstance(inner, ICMPv6EchoRequest) else None


def token_of(payload: bytes) -> int | None:
    """The token of the probe that has this payload; None where it is no probe's."""
    digits = payload[len(OPENING) : len(OPENING) + TOKEN_DIGITS]
    if not payload.startswith(OPENING) or len(digits) != TOKEN_DIGITS:
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None
