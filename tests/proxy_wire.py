"""Packets byte by byte: the first one of a flow, its answer, and what is read off a wire. Each flow has a token.

The token is where no translation touches it: TCP's sequence number, SCTP's initiate tag, UDP's payload.
Sources: RFC 791, 8200, 9293, 768, 9260, 792, 4443.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple

from netlab.model.rules import IPAddress, Protocol

NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
PROTOCOLS = {number: protocol for protocol, number in NUMBERS.items()}
ICMP, ICMP6 = 1, 58
SYN, RST, ACK = 2, 4, 16
INIT, INIT_ACK = 1, 2
QUESTION, REPLY = b"who?", b"me!!"
UNREACHABLE = {ICMP: 3, ICMP6: 1}
PORT_UNREACHABLE = {ICMP: 3, ICMP6: 4}
CHECKSUM_AT = {Protocol.TCP: 16, Protocol.UDP: 6, Protocol.SCTP: 8}
CASTAGNOLI = 0x82F63B78


class Word(StrEnum):
    """What a packet says."""

    QUESTION = "question"
    STRAY = "stray"
    ANSWER = "answer"
    REFUSED = "refused"
    """An ICMP error: port unreachable."""
    UNREACHABLE = "unreachable"
    """Another ICMP error."""


class Flow(NamedTuple):
    """One direction of a flow."""

    protocol: Protocol
    source: IPAddress
    source_port: int
    destination: IPAddress
    port: int

    def back(self) -> Flow:
        return Flow(self.protocol, self.destination, self.port, self.source, self.source_port)


class Heard(NamedTuple):
    """A packet that was seen. Of an ICMP error, the packet that it quotes."""

    word: Word
    token: int
    flow: Flow


# --- spelling


def spell(flow: Flow, word: Word, token: int) -> bytes:
    """A whole packet from its IP header on."""
    body = bytearray(_BODIES[flow.protocol](flow, word, token))
    at = CHECKSUM_AT[flow.protocol]
    size = 4 if flow.protocol is Protocol.SCTP else 2
    number = NUMBERS[flow.protocol]
    body[at : at + size] = crc32c(body) if size == 4 else _transport_checksum(flow, bytes(body), number)
    return _network(flow, len(body), number) + bytes(body)


def _tcp(flow: Flow, word: Word, token: int) -> bytes:
    flags = {Word.QUESTION: SYN, Word.STRAY: RST, Word.ANSWER: SYN | ACK}[word]
    sequence, acknowledged = (token, 0) if word is not Word.ANSWER else (7, (token + 1) % 2**32)
    return struct.pack("!HHIIBBHHH", flow.source_port, flow.port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)


def _udp(flow: Flow, word: Word, token: int) -> bytes:
    payload = (REPLY if word is Word.ANSWER else QUESTION) + token.to_bytes(4)
    return struct.pack("!HHHH", flow.source_port, flow.port, 8 + len(payload), 0) + payload


def _sctp(flow: Flow, word: Word, token: int) -> bytes:
    """INIT carries the tag that its answer must bear (RFC 9260, 3.3.2)."""
    answer = word is Word.ANSWER
    head = struct.pack("!HHII", flow.source_port, flow.port, token if answer else 0, 0)
    return head + struct.pack("!BBHIIHHI", INIT_ACK if answer else INIT, 0, 20, 9 if answer else token, 65535, 1, 1, 1)


_BODIES = {Protocol.TCP: _tcp, Protocol.UDP: _udp, Protocol.SCTP: _sctp}


def _network(flow: Flow, length: int, number: int) -> bytes:
    if flow.source.version == 6:
        return struct.pack("!IHBB", 6 << 28, length, number, 64) + flow.source.packed + flow.destination.packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, number, 0)
    head += flow.source.packed + flow.destination.packed
    return head[:10] + _checksum(head) + head[12:]


def _transport_checksum(flow: Flow, body: bytes, number: int) -> bytes:
    pseudo = flow.source.packed + flow.destination.packed + struct.pack("!II", len(body), number)
    found = _checksum(pseudo + body)
    return b"\xff\xff" if found == b"\0\0" else found


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (0xFFFF & ~total).to_bytes(2)


def crc32c(data: bytes | bytearray) -> bytes:
    """SCTP's checksum, in the byte order that it is sent in."""
    found = 0xFFFFFFFF
    for byte in data:
        found = (found >> 8) ^ _crc_of_byte((found ^ byte) & 0xFF)
    return (found ^ 0xFFFFFFFF).to_bytes(4, "little")


@cache
def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (CASTAGNOLI if value & 1 else 0)
    return value


# --- reading


def read(packet: bytes) -> Heard | None:
    """A packet from its IP header on; None where it is not of these tests."""
    if packet[:1] and packet[0] >> 4 == 6 and len(packet) > 40:
        return read_body(_address(packet[8:24]), _address(packet[24:40]), packet[6], packet[40:])
    if packet[:1] and packet[0] >> 4 == 4 and len(packet) > 20:
        header = 4 * (packet[0] & 15)
        return read_body(_address(packet[12:16]), _address(packet[16:20]), packet[9], packet[header:])
    return None


@cache
def _address(packed: bytes) -> IPAddress:
    return ip_address(packed)


def read_body(source: IPAddress, destination: IPAddress, number: int, body: bytes) -> Heard | None:
    """What follows an IP header."""
    if number in UNREACHABLE and len(body) > 8:
        return _read_error(number, body)
    if number not in PROTOCOLS or len(body) < 16:
        return None
    protocol = PROTOCOLS[number]
    source_port, port = struct.unpack_from("!HH", body)
    said = _READERS[protocol](body)
    return Heard(*said, Flow(protocol, source, source_port, destination, port)) if said else None


def _read_error(number: int, body: bytes) -> Heard | None:
    quoted = read(body[8:]) if body[0] == UNREACHABLE[number] else None
    if quoted is None:
        return None
    refused = body[1] == PORT_UNREACHABLE[number]
    return quoted._replace(word=Word.REFUSED if refused else Word.UNREACHABLE)


def _read_tcp(body: bytes) -> tuple[Word, int] | None:
    sequence, acknowledged, _, flags = struct.unpack_from("!IIBB", body, 4)
    words = {SYN: (Word.QUESTION, sequence), RST: (Word.STRAY, sequence), SYN | ACK: (Word.ANSWER, acknowledged - 1)}
    return words.get(flags)


def _read_udp(body: bytes) -> tuple[Word, int] | None:
    word = {QUESTION: Word.QUESTION, REPLY: Word.ANSWER}.get(body[8:12])
    return (word, int.from_bytes(body[12:16])) if word else None


def _read_sctp(body: bytes) -> tuple[Word, int] | None:
    if len(body) < 20:
        return None
    tag, chunk, initiate = struct.unpack_from("!I4xB3xI", body, 4)
    words = {INIT: (Word.QUESTION, initiate), INIT_ACK: (Word.ANSWER, tag)}
    return words.get(chunk)


_READERS = {Protocol.TCP: _read_tcp, Protocol.UDP: _read_udp, Protocol.SCTP: _read_sctp}
