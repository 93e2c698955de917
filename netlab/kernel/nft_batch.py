"""Have the kernel make changes of a table, all of them or none, in the current network namespace.

The kernel takes a batch of messages as one transaction, and answers with what was wrong in every single one of them.
Source: <linux/netfilter/nfnetlink.h>, netlink(7).
"""

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
from netlab.kernel.nft_messages import Message, Messages
from netlab.model.nft_tables import Change
from netlab.model.rules import Family
from netlab.proxy.nftables.text import change_text

NETLINK_NETFILTER, NFTABLES = 12, 10
BEGIN, END = 0x10, 0x11
FRAME = struct.pack(">BBH", socket.AF_UNSPEC, 0, NFTABLES)
FRAME_BYTES = 2 * (HEADER.size + len(FRAME))
SO_SNDBUFFORCE = 32
SEND_BYTES = 1 << 29
"""As much as the machine's root may have. The kernel takes the memory when a batch is sent, not before."""
SPARE_BYTES = 32
"""netlink_sendmsg() wants a batch to be this much smaller than the buffer."""
ERROR_MESSAGE, ERROR_OFFSET = 1, 2
ERROR_BYTES = HEADER.size + 4 + HEADER.size
"""An answer's own header, the errno, the header of what it answers (NETLINK_CAP_ACK)."""
WORDS_AT_MOST = 600


class ChangeRefused(KernelError):
    """The kernel does not make this change. Of the transaction that it was in, nothing was done."""

    def __init__(self, change: Change | None, family: Family, *, number: int, detail: str = "") -> None:
        what = change_text(change, family)[:WORDS_AT_MOST] if change else "commit a transaction of nftables"
        super().__init__(what, HERE, number, detail)
        self.change = change


def make(family: Family, table: str, changes: Sequence[Change]) -> int:
    """Make the changes as one transaction; how many transactions it took.

    It takes several only where the process is not the machine's root and they do not fit into its netlink socket's
    buffer. The changes must be such that each piece, in their order, leaves nothing that leads nowhere.
    ChangeRefused: the kernel does not take one; the pieces before it were taken. KernelError.
    """
    messages = Messages(family, table)
    packed = [_packed(messages.of(change), number=number) for number, change in enumerate(changes, start=1)]
    try:
        with _opened() as sender:
            pieces = list(_pieces(packed, limit=_room(sender)))
            for piece in pieces:
                _send(sender, packed[piece.start : piece.stop])
                for refusal in _refusals(sender):
                    raise _refused(refusal, family, changes)
    except OSError as error:
        raise KernelError("change nftables", HERE, error.errno or errno.EPROTO) from error
    return len(pieces)


class _Refusal(NamedTuple):
    """The kernel's answer: to which change (from 1; 0: to the batch), and where in its message it stopped."""

    number: int
    errno: int
    offset: int | None = None
    words: str = ""


def _packed(messages: Sequence[Message], *, number: int) -> bytes:
    """The messages of a change, which have its number, by which the kernel refers to them."""
    pack, size = HEADER.pack, HEADER.size
    if len(messages) == 1:
        kind, flags, body = messages[0]
        return pack(size + len(body), kind, NLM_F_REQUEST | flags, number, 0) + body
    return b"".join(
        pack(size + len(body), kind, NLM_F_REQUEST | flags, number, 0) + body for kind, flags, body in messages
    )


def _opened() -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
        found.setsockopt(SOL_NETLINK, option, 1)
    return found


def _room(sender: socket.socket) -> int:
    """How many bytes of messages fit into one batch."""
    try:
        sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES)
    except PermissionError:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)  # up to net.core.wmem_max
    return sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - SPARE_BYTES - FRAME_BYTES


def _pieces(packed: Sequence[bytes], *, limit: int) -> Iterator[range]:
    """Which changes go together."""
    start = size = 0
    for at, each in enumerate(packed):
        if size + len(each) > limit and at > start:
            yield range(start, at)
            start, size = at, 0
        size += len(each)
    if len(packed) > start:
        yield range(start, len(packed))


def _send(sender: socket.socket, packed: Sequence[bytes]) -> None:
    frame = (HEADER.pack(HEADER.size + len(FRAME), kind, NLM_F_REQUEST, 0, 0) + FRAME for kind in (BEGIN, END))
    begin, end = frame
    sender.send(b"".join((begin, *packed, end)))


def _refusals(sender: socket.socket) -> Iterator[_Refusal]:
    """What the kernel answered; nothing where it did all. It has done so before a send is over."""
    while True:
        try:
            data = sender.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # it found more wrong than the buffer holds; what was first is in it
                raise
            continue
        yield from _read(data)


def _read(data: bytes) -> Iterator[_Refusal]:
    at = 0
    while at < len(data):
        length, kind, flags, number, _ = HEADER.unpack_from(data, at)
        code = -struct.unpack_from("=i", data, at + HEADER.size)[0] if kind == NLMSG_ERROR else 0
        if code:
            more = attributes(data[at + ERROR_BYTES : at + length]) if flags & NLM_F_ACK_TLVS else {}
            offset = int.from_bytes(more[ERROR_OFFSET], sys.byteorder) if ERROR_OFFSET in more else None
            yield _Refusal(number, code, offset, more.get(ERROR_MESSAGE, b"").rstrip(b"\0").decode())
        at += (length + 3) & ~3


def _refused(refusal: _Refusal, family: Family, changes: Sequence[Change]) -> ChangeRefused:
    change = changes[refusal.number - 1] if refusal.number else None
    return ChangeRefused(change, family, number=refusal.errno, detail=refusal.words)
