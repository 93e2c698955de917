"""A socket that speaks with nf_tables, kept open: closing one waits until the kernel has freed what was deleted."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.netlink import (
    HEADER,
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    RECEIVE_BYTES,
    SOL_NETLINK,
    attributes,
)

NETLINK_NETFILTER, NFTABLES = 12, 10
BEGIN, END = 0x10, 0x11
FRAME = struct.pack(">BBH", socket.AF_UNSPEC, 0, NFTABLES)
FRAME_BYTES = 2 * (HEADER.size + len(FRAME))
GET_GENERATION, GENERATION_ID = NFTABLES << 8 | 16, 1
SO_SNDBUFFORCE = 32
SEND_BYTES = 1 << 29
"""As much as the machine's root may have. The kernel takes the memory when a batch is sent, not before."""
SPARE_BYTES = 32
"""netlink_sendmsg() wants a batch to be this much smaller than the buffer."""
ERROR_MESSAGE, ERROR_OFFSET = 1, 2
ERROR_BYTES = HEADER.size + 4 + HEADER.size
"""An answer's own header, the errno, the header of what it answers (NETLINK_CAP_ACK)."""


class Refusal(NamedTuple):
    """The kernel's answer: to the message with which number (0: to the batch), the errno, and where it stopped."""

    number: int
    errno: int
    offset: int | None = None
    words: str = ""


class NftSocket:
    """Belongs to the network namespace that the thread is in. KernelError: no rights, or no netfilter."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            raise KernelError("open a socket to nftables", HERE, error.errno or errno.EPROTONOSUPPORT) from error
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self.room = _make_room(self._socket)
        """How many bytes of messages fit into one batch."""

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def generation(self) -> int:
        """A number that grows by one with every transaction that changes anything of nftables here. KernelError."""
        ask = HEADER.pack(HEADER.size + len(FRAME), GET_GENERATION, NLM_F_REQUEST, 0, 0) + bytes(len(FRAME))
        try:
            self._socket.send(ask)
            answer = self._socket.recv(RECEIVE_BYTES)
        except OSError as error:
            raise KernelError("ask for the generation of nftables", HERE, error.errno or errno.EPROTO) from error
        for refusal in _refusals(answer):
            raise KernelError("ask for the generation of nftables", HERE, refusal.errno)
        return int.from_bytes(attributes(answer[HEADER.size + len(FRAME) :])[GENERATION_ID], "big")

    def commit(self, messages: Sequence[bytes]) -> Refusal | None:
        """Have the messages carried out as one transaction; what the kernel refused first. KernelError: not sent."""
        begin, end = (HEADER.pack(HEADER.size + len(FRAME), each, NLM_F_REQUEST, 0, 0) + FRAME for each in (BEGIN, END))
        try:
            self._socket.send(b"".join((begin, *messages, end)))
            return next(iter(list(self._answers())), None)
        except OSError as error:
            raise KernelError("change nftables", HERE, error.errno or errno.EPROTO) from error

    def _answers(self) -> Iterator[Refusal]:
        """What the kernel refused: it has said so before a send is over, and nothing where all was well."""
        while True:
            try:
                yield from _refusals(self._socket.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # it refused more than the buffer holds; what was first is in it
                    raise


def _make_room(found: socket.socket) -> int:
    try:
        found.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES)
    except PermissionError:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # up to net.core.wmem_max
    return found.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - SPARE_BYTES - FRAME_BYTES


def _refusals(data: bytes) -> Iterator[Refusal]:
    at = 0
    while at < len(data):
        length, kind, flags, number, _ = HEADER.unpack_from(data, at)
        code = -struct.unpack_from("=i", data, at + HEADER.size)[0] if kind == NLMSG_ERROR else 0
        if code:
            more = attributes(data[at + ERROR_BYTES : at + length]) if flags & NLM_F_ACK_TLVS else {}
            offset = int.from_bytes(more[ERROR_OFFSET], sys.byteorder) if ERROR_OFFSET in more else None
            yield Refusal(number, code, offset, more.get(ERROR_MESSAGE, b"").rstrip(b"\0").decode())
        at += (length + 3) & ~3
