"""Connections at the moment in which conntrack takes them down, in the words of `conntrack -E -e NEW`.

A connection that is refused is forgotten at once: who asks afterwards finds nothing. Source:
<linux/netfilter/nfnetlink_compat.h> (NFNLGRP_CONNTRACK_NEW).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from netlab.errors import KernelError
from netlab.kernel.conntrack import FAMILIES, NETFILTER_HEADER, NETLINK_NETFILTER, SUBSYSTEM, Flow, Tuple, read_flow
from netlab.kernel.netlink import HEADER, SOL_NETLINK
from netlab.kernel.nft_chains import messages

NEW, NETLINK_ADD_MEMBERSHIP, GROUP_NEW = SUBSYSTEM | 0, 1, 1
RECEIVE_BYTES = 1 << 16
OF_NUMBER = {int(number): family for family, number in FAMILIES.items()}


class NewConnections:
    """Listens in the current network namespace. KernelError: no rights, or no conntrack."""

    def __init__(self, where: str) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_NEW)
        except OSError as error:
            raise KernelError("listen to conntrack", where, error.errno or 0) from error

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def flows(self) -> Iterator[Flow]:
        """What was taken down since this was last asked."""
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            for kind, body in messages(data):
                family = OF_NUMBER.get(body[0]) if len(body) > NETFILTER_HEADER.size else None
                if kind == NEW and family:
                    yield read_flow(bytes(HEADER.size) + body, family)


def spelled(flow: Flow) -> str:
    """The connection as conntrack(8) prints it: what was sent, then what an answer to it looks like."""
    return f"{flow.protocol} {_end(flow.original)} {_end(flow.reply)}"


def _end(end: Tuple) -> str:
    ports = f" sport={end.source_port} dport={end.destination_port}" if end.destination_port else ""
    return f"src={end.source} dst={end.destination}{ports}"
