"""UDP of a Pod's built-in servers: a datagram in, at most one out.

The answer leaves from the address that the datagram was sent to. Left alone, the kernel takes the address of the
interface that the answer leaves by, and a client that asked another of the machine's addresses does not know it.
Sources: ipv6(7) IPV6_RECVPKTINFO, ip(7) IP_PKTINFO.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

BATCH = 64
"""Datagrams answered before other sockets get their turn."""
READ_LIMIT = 4096
"""Bytes of a datagram that are looked at; the rest is dropped by the kernel."""
IP_PKTINFO = 8
"""<linux/in.h>; Python has no name for it."""
_IPV6_INFO = struct.Struct("=16sI")
"""struct in6_pktinfo: the address that the datagram was sent to, and the interface it came by."""
_IPV4_INFO = struct.Struct("=I4s4s")
"""struct in_pktinfo: the interface, the local address to answer from, the address in the datagram."""
_CONTROL_SPACE = socket.CMSG_SPACE(_IPV6_INFO.size)
_OUR_ANSWER = re.compile(rb"[a-z0-9.-]{1,253} ([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f:]*:[0-9a-f:.]*)\n")


AnswerDatagram = Callable[[bytes, str], bytes | None]
"""What to answer, if anything, given a datagram and its client's address."""


class DatagramServer:
    """Answers on a bound UDP socket of either family until closed."""

    def __init__(self, bound: socket.socket, answer: AnswerDatagram) -> None:
        self._socket = bound
        self._answer = answer
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(bound, self._read)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _flags, client = self._socket.recvmsg(READ_LIMIT, _CONTROL_SPACE)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that answers an earlier datagram
                continue
            answer = self._answer(data, client[0].removeprefix("::ffff:").partition("%")[0])
            if answer is not None:
                with contextlib.suppress(OSError):  # no way back, or no room: the datagram is lost, as datagrams are
                    self._socket.sendmsg([answer], answer_from(ancillary), 0, client)


def answer_from(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """The control message that makes an answer leave from the address that the datagram was sent to.

    The interface is left to the routing table, except for link-local addresses, which mean nothing without one.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) == _IPV6_INFO.size:
            packed, interface = _IPV6_INFO.unpack(data)
            address = IPv6Address(packed)
            if not address.is_multicast:
                return [(level, kind, _IPV6_INFO.pack(packed, interface if address.is_link_local else 0))]
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == _IPV4_INFO.size:
            return [(level, kind, _IPV4_INFO.pack(0, _IPV4_INFO.unpack(data)[1], bytes(4)))]
    return []


def is_answer(data: bytes) -> bool:
    """Whether a datagram is a built-in server's answer: two of them must not answer each other for ever."""
    return _OUR_ANSWER.fullmatch(data) is not None
