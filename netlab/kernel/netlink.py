"""Route netlink, batched: many requests in one system call, over a socket that belongs to one network namespace.

pyroute2 needs 190 to 300 microseconds to encode a request, and a Pod is nine of them; packed from structs they cost two
to five. So requests are packed here, and pyroute2 reads what comes back. The tests have pyroute2 decode every request
that is made here, and so check them against the library's own tables. Sources: netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from netlab.errors import KernelError

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED, NLA_F_NET_BYTEORDER = 0x8000, 0x4000
SOL_NETLINK = 270
NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 10, 11, 12
SIOCGIFINDEX = 0x8933
BATCH_BYTES = 60_000
"""A batch must fit the socket's send buffer (net.core.wmem_default, 208 KiB)."""
BATCH_REQUESTS = 200
"""The answers to a batch that is refused request by request must fit the socket's receive buffer, at 768 bytes each."""
RECEIVE_BYTES = 1 << 18


_PADDING = (b"", bytes(3), bytes(2), bytes(1))
"""Behind a value of so many bytes more than a multiple of four."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the message type, flags beside NLM_F_REQUEST, and what follows the netlink header."""

    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The kernel's answer to a request that it did not carry out: which of the batch, the errno, its words if any."""

    index: int
    number: int
    message: str


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = len(value)
    return ATTRIBUTE.pack(size + 4, kind) + value + _PADDING[size & 3]


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in what follows a message's fixed part, in their order: the number of each, and what it holds."""
    at = 0
    while at + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, at)
        yield kind & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER), data[at + ATTRIBUTE.size : at + length]
        at += (max(length, ATTRIBUTE.size) + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in what follows a message's fixed part, by their numbers."""
    return dict(each_attribute(data))


class RouteSocket:
    """A route netlink socket in the thread's network namespace; `where` is that one's name, for errors."""

    protocol: ClassVar[int] = socket.NETLINK_ROUTE
    """Who answers; a subclass may speak with another part of the kernel, in the same form of exchange."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self.protocol)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket, which keeps its namespace alive until then."""
        self._socket.close()

    def index(self, interface: str) -> int:
        """The number of the interface. KernelError (ENODEV): there is none of that name.

        Asked by ioctl, which looks where the socket is: netdevice(7). It is ten times faster than RTM_GETLINK.
        """
        request = array.array("b", struct.pack("16si20x", interface.encode(), 0))
        try:
            fcntl.ioctl(self._socket, SIOCGIFINDEX, request)
        except OSError as error:
            raise KernelError(f"ip link show dev {interface}", self.where, error.errno or 0) from error
        return int(struct.unpack_from("16xi", request)[0])

    def send(self, requests: Sequence[Request]) -> list[Refusal]:
        """Have the requests carried out in order; the answers to those that failed. The others are done.

        The kernel answers a failure always and a success on demand: only a batch's last request demands it.
        """
        refusals: list[Refusal] = []
        start = size = 0
        for end, request in enumerate(requests, start=1):
            size += HEADER.size + len(request.body)
            if size > BATCH_BYTES or end - start == BATCH_REQUESTS or end == len(requests):
                refusals += self._send(requests[start:end], offset=start)
                start, size = end, 0
        return refusals

    def ask(self, kind: int, body: bytes) -> bytes:
        """Ask for one thing; the message that answers, with its header. KernelError: the kernel refuses."""
        self._sequence += 1
        self._socket.send(HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST, self._sequence, 0) + body)
        answer, message = next(self._receive())
        if answer == NLMSG_ERROR:
            raise KernelError(f"netlink request {kind}", self.where, -struct.unpack_from("=i", message, HEADER.size)[0])
        return message

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """Ask for a table; its messages, each with its header. KernelError where the kernel has no such table."""
        self._sequence += 1
        header = HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            for message_kind, message in self._receive():
                if message_kind in (NLMSG_DONE, NLMSG_ERROR):
                    number = -struct.unpack_from("=i", message, HEADER.size)[0]
                    if number:
                        raise KernelError(f"netlink dump {kind}", self.where, number)
                    return
                yield message

    def _send(self, requests: Sequence[Request], *, offset: int) -> Iterator[Refusal]:
        first = self._sequence + 1
        self._sequence += len(requests)
        packed = bytearray()
        for sequence, request in enumerate(requests, start=first):
            flags = NLM_F_REQUEST | request.flags | (NLM_F_ACK if sequence == self._sequence else 0)
            packed += HEADER.pack(HEADER.size + len(request.body), request.kind, flags, sequence, 0)
            packed += request.body
        self._socket.send(packed)
        done = False
        while not done:
            for kind, message in self._receive():
                sequence = HEADER.unpack_from(message)[3]
                done = sequence == self._sequence
                if kind == NLMSG_ERROR and (number := -struct.unpack_from("=i", message, HEADER.size)[0]):
                    yield Refusal(offset + sequence - first, number, _words(message))

    def _receive(self) -> Iterator[tuple[int, bytes]]:
        data = self._socket.recv(RECEIVE_BYTES)
        position = 0
        while position < len(data):
            length, kind = struct.unpack_from("=IH", data, position)
            yield kind, data[position : position + length]
            position += (length + 3) & ~3


def _words(message: bytes) -> str:
    """What the kernel says beside the errno (NETLINK_EXT_ACK), often nothing."""
    if not HEADER.unpack_from(message)[2] & NLM_F_ACK_TLVS:
        return ""
    position = HEADER.size + 4 + HEADER.size  # the errno, then the header of the request
    while position < len(message):
        length, kind = ATTRIBUTE.unpack_from(message, position)
        if kind == NLMSGERR_ATTR_MSG:
            return message[position + 4 : position + length].rstrip(b"\0").decode()
        position += (length + 3) & ~3
    return ""
