"""What tells one flow's packets from all others, however they are translated: its token, which no translation changes.

Spelled three ways: as a classic BPF program (packet sockets, and iptables' match `bpf`), and as conditions of nftables.
Sources: <linux/bpf_common.h>, iptables-extensions(8), nft(8) "RAW PAYLOAD EXPRESSION".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netlab.model.rules import Family
from netlab.model.targets import TargetProtocol

LOAD_BYTE, LOAD_X_HEADER, LOAD_X_CONSTANT = 0x30, 0xB1, 0x01
"""ldb [k]; ldxb 4*([k]&0xf), the length of an IPv4 header; ldx #k"""
LOAD_WORD_AT, LOAD_HALF_AT, LOAD_BYTE_AT = 0x40, 0x48, 0x50
"""ld [x + k], ldh [x + k], ldb [x + k]"""
AND, EQUAL, RETURN = 0x54, 0x15, 0x06
WHOLE_PACKET = 0xFFFF
VERSION = {Family.IPV4: 0x40, Family.IPV6: 0x60}
PROTOCOL_AT = {Family.IPV4: 9, Family.IPV6: 6}
NUMBERS = {TargetProtocol.TCP: 6, TargetProtocol.UDP: 17}
ICMP = {Family.IPV4: 1, Family.IPV6: 58}
ICMP_ERRORS = {Family.IPV4: (3, 11), Family.IPV6: (1, 3)}
ECHOES = {Family.IPV4: (8, 0), Family.IPV6: (128, 129)}
PAYLOAD_TOKEN = 12
"""Offset of the token behind the start of UDP or an echo: eight bytes of header, four of the payload's opening."""
TCP_FLAGS, SYN = 13, 0x02
VXLAN_PORT = 4789
MOST_PORTS = 3
"""Of so many ports the answers are told by their port; of more, every datagram is looked at: a program for iptables has
64 instructions at most."""

Instruction = tuple[int, int]
"""An operation and its constant. EQUAL goes on where equal; where not, the next alternative is tried."""


@dataclass(frozen=True, slots=True)
class FlowMatch:
    """One flow: TCP tells it by the sequence number, which the answer acknowledges; UDP and ICMP by their payload.

    `answer_ports` are those that a UDP answer may come from: what it says is the server's affair. Without a token, for
    TCP alone, any connection's first packet and its answer match: whoever reads them must know which one is meant.
    """

    family: Family
    protocol: TargetProtocol
    token: int | None
    answer_ports: tuple[int, ...] = ()

    @property
    def spelled_token(self) -> bytes:
        """The token as the payload of UDP and ICMP has it."""
        return b"%08x" % (self.token or 0)

    @property
    def acknowledged(self) -> int | None:
        """What TCP's answer acknowledges."""
        return None if self.token is None else (self.token + 1) % 2**32


def bpf(match: FlowMatch, *, tunnelled: bool = False) -> bytes:
    """The program, for SO_ATTACH_FILTER: packets start at their IP header. `tunnelled` lets all of VXLAN pass too."""
    return b"".join(struct.pack("HBBI", *line) for line in _lines(match, tunnelled=tunnelled))


def bpf_text(match: FlowMatch) -> str:
    """The program as iptables' `--bytecode` takes it."""
    lines = list(_lines(match, tunnelled=False))
    return ",".join((str(len(lines)), *(" ".join(map(str, line)) for line in lines)))


def nft_conditions(match: FlowMatch) -> tuple[str, ...]:
    """The conditions of nftables rules, one for each kind of packet of the flow."""
    name, suffix = ("ipv4", "") if match.family is Family.IPV4 else ("ipv6", "v6")
    head = f"meta nfproto {name}"
    errors = f"{head} icmp{suffix} type {{ {', '.join(map(str, ICMP_ERRORS[match.family]))} }}"
    payload = f"@th,{PAYLOAD_TOKEN * 8},64 0x{match.spelled_token.hex()}"
    match match.protocol:
        case TargetProtocol.TCP:
            if match.token is None:
                return f"{head} tcp flags & syn == syn", errors
            head += " meta l4proto tcp"
            return f"{head} @th,32,32 {match.token}", f"{head} @th,64,32 {match.acknowledged}", errors
        case TargetProtocol.UDP:
            head += " meta l4proto udp"
            answers = f" udp sport {{ {', '.join(map(str, match.answer_ports))} }}" if match.answer_ports else ""
            return f"{head} {payload}", f"{head}{answers}", errors
        case _:
            echoes = ", ".join(map(str, ECHOES[match.family]))
            return f"{head} icmp{suffix} type {{ {echoes} }} {payload}", errors


def _lines(match: FlowMatch, *, tunnelled: bool) -> Iterator[tuple[int, int, int, int]]:
    """struct sock_filter: operation, distance to jump if true, if false, constant."""
    alternatives = list(_alternatives(match))
    if tunnelled:
        alternatives += [[*_head(family, 17), (LOAD_HALF_AT, 2), (EQUAL, VXLAN_PORT)] for family in Family]
    for alternative in alternatives:
        for position, (operation, constant) in enumerate(alternative):
            yield operation, 0, len(alternative) - position if operation == EQUAL else 0, constant
        yield RETURN, 0, 0, WHOLE_PACKET
    yield RETURN, 0, 0, 0


def _alternatives(match: FlowMatch) -> Iterator[list[Instruction]]:
    family = match.family
    if match.token is None or match.acknowledged is None:
        yield [*_head(family, 6), (LOAD_BYTE_AT, TCP_FLAGS), (AND, SYN), (EQUAL, SYN)]
    elif match.protocol is TargetProtocol.TCP:
        yield [*_head(family, 6), (LOAD_WORD_AT, 4), (EQUAL, match.token)]
        yield [*_head(family, 6), (LOAD_WORD_AT, 8), (EQUAL, match.acknowledged)]
    elif match.protocol is TargetProtocol.UDP:
        yield [*_head(family, 17), *_payload(match)]
        few = match.answer_ports if len(match.answer_ports) <= MOST_PORTS else ()
        yield from ([*_head(family, 17), (LOAD_HALF_AT, 0), (EQUAL, port)] for port in few)
        if not few:
            yield _head(family, 17)
    else:
        yield [*_head(family, ICMP[family]), *_payload(match)]
    yield from ([*_head(family, ICMP[family]), (LOAD_BYTE_AT, 0), (EQUAL, kind)] for kind in ICMP_ERRORS[family])


def _head(family: Family, protocol: int) -> list[Instruction]:
    length = (LOAD_X_HEADER, 0) if family is Family.IPV4 else (LOAD_X_CONSTANT, 40)
    version: Iterable[Instruction] = ((LOAD_BYTE, 0), (AND, 0xF0), (EQUAL, VERSION[family]))
    return [*version, (LOAD_BYTE, PROTOCOL_AT[family]), (EQUAL, protocol), length]


def _payload(match: FlowMatch) -> list[Instruction]:
    first, second = match.spelled_token[:4], match.spelled_token[4:]
    return [
        (LOAD_WORD_AT, PAYLOAD_TOKEN),
        (EQUAL, int.from_bytes(first)),
        (LOAD_WORD_AT, PAYLOAD_TOKEN + 4),
        (EQUAL, int.from_bytes(second)),
    ]
