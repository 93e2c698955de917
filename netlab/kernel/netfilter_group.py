"""What the kernel's packet filter tells to whoever listens: the groups of the netlink family NETLINK_NETFILTER."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from netlab.errors import KernelError
from netlab.kernel.netlink import SOL_NETLINK
from netlab.kernel.nft_chains import NETLINK_NETFILTER, messages

NETLINK_ADD_MEMBERSHIP = 1
RECEIVE_BYTES = 1 << 16


class NetfilterGroup:
    """A member of one group in the current network namespace. KernelError: no rights, or nobody who tells."""

    def __init__(self, where: str, *, group: int, purpose: str) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            raise KernelError(purpose, where, error.errno or 0) from error

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def told(self) -> Iterator[tuple[int, bytes]]:
        """The kind and the body of what was told since this was last asked, in its order."""
        return received(self._socket)


def received(listening: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The kind and the body of every message that is there; the socket does not block.

    Where the kernel told more than the socket holds some are lost, and the others are there.
    """
    while True:
        try:
            data = listening.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        else:
            yield from messages(data)
