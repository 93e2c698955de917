"""Classic BPF programs: the kernel hands over only packets that can be a probe's, however busy a Pod is.

Sources: linux/bpf_common.h (the instructions), packet(7) and socket(7) (SO_ATTACH_FILTER). A packet starts at its IP
header here, as SOCK_DGRAM packet sockets see it.
"""

from __future__ import annotations

import ctypes
import socket
import struct

from netlab.model.rules import Family
from netlab.model.targets import TargetProtocol

SO_ATTACH_FILTER = 26
LOAD_ABSOLUTE_BYTE = 0x30
"""ldb [k]"""
LOAD_WORD, LOAD_BYTE = 0x40, 0x50
"""ld [x + k], ldb [x + k]"""
LOAD_X_HEADER_LENGTH, LOAD_X_CONSTANT = 0xB1, 0x01
"""ldxb 4*([k]&0xf), which is the length of an IPv4 header; ldx #k"""
AND, JUMP_IF_EQUAL, RETURN = 0x54, 0x15, 0x06
WHOLE_PACKET = 0xFFFF
TCP_FLAGS, SYN_ACK, SYN = 13, 0x12, 0x02
ECHO_REQUEST = {Family.IPV4: 8, Family.IPV6: 128}
PAYLOAD = 8
"""Offset of the payload behind a UDP or an ICMP echo header."""

Instruction = tuple[int, int]
"""An operation and its constant; JUMP_IF_EQUAL goes on where equal and gives the packet up where not."""


def request_filter(family: Family, protocol: TargetProtocol, *, opening: bytes) -> bytes:
    """A program that passes a probe's requests: TCP SYNs; UDP packets and pings whose payload begins with `opening`.

    `opening` is four bytes. Packets with IPv6 extension headers do not pass; netlab sends none.
    """
    numbers = {TargetProtocol.TCP: 6, TargetProtocol.UDP: 17, TargetProtocol.ICMP: 1 if family is Family.IPV4 else 58}
    if family is Family.IPV4:
        head: list[Instruction] = [(LOAD_ABSOLUTE_BYTE, 9), (JUMP_IF_EQUAL, numbers[protocol])]
        head.append((LOAD_X_HEADER_LENGTH, 0))
    else:
        head = [(LOAD_ABSOLUTE_BYTE, 6), (JUMP_IF_EQUAL, numbers[protocol]), (LOAD_X_CONSTANT, 40)]
    if protocol is TargetProtocol.TCP:
        return _assemble([*head, (LOAD_BYTE, TCP_FLAGS), (AND, SYN_ACK), (JUMP_IF_EQUAL, SYN)])
    if protocol is TargetProtocol.ICMP:
        head += [(LOAD_BYTE, 0), (JUMP_IF_EQUAL, ECHO_REQUEST[family])]
    return _assemble([*head, (LOAD_WORD, PAYLOAD), (JUMP_IF_EQUAL, int.from_bytes(opening))])


def attach(program: bytes, to: socket.socket) -> None:
    """Have the kernel run the program on every packet before `to` gets it. OSError where the kernel refuses it."""
    instructions = ctypes.create_string_buffer(program, len(program))
    to.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(instructions))
    )


def _assemble(instructions: list[Instruction]) -> bytes:
    """struct sock_filter: operation, distance to jump if true, if false, constant. The last two lines are the exits."""
    lines = []
    for position, (operation, constant) in enumerate(instructions):
        to_drop = len(instructions) - position if operation == JUMP_IF_EQUAL else 0
        lines.append(struct.pack("HBBI", operation, 0, to_drop, constant))
    lines += [struct.pack("HBBI", RETURN, 0, 0, WHOLE_PACKET), struct.pack("HBBI", RETURN, 0, 0, 0)]
    return b"".join(lines)
