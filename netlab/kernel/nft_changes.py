"""Tells when somebody changes nftables in this network namespace, which is where iptables-nft keeps its rules.

After every transaction the kernel tells the netlink group NFNLGRP_NFTABLES, and counts the ruleset's generation up.
Source: <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import errno
import socket

from netlab.errors import KernelError
from netlab.kernel.netlink import RECEIVE_BYTES, SOL_NETLINK
from netlab.kernel.nft_socket import NftSocket

HERE = "this network namespace"
NETLINK_NETFILTER, NETLINK_ADD_MEMBERSHIP = 12, 1
GROUP_NFTABLES = 7


class NftChanges:
    """A socket that becomes readable when nftables change here. KernelError: no rights, or no nftables."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        try:
            self._heard = socket.socket(socket.AF_NETLINK, kind | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
            self._heard.bind((0, 0))  # without a number of its own it would count as the kernel and hear nothing
            self._heard.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_NFTABLES)
        except OSError as error:
            raise KernelError("listen for changes of nftables", HERE, error.errno or 0) from error
        self._asking = NftSocket()

    def fileno(self) -> int:
        """For select(2) and the like."""
        return self._heard.fileno()

    def drain(self) -> bool:
        """Forget what was heard; whether there was anything."""
        heard = False
        while True:
            try:
                self._heard.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return heard
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more happened than the socket holds: heard all the same
                    raise
            heard = True

    def generation(self) -> int:
        """The number of the ruleset as it is now. KernelError."""
        return self._asking.generation()

    def close(self) -> None:
        """Stop listening."""
        self._heard.close()
        self._asking.close()
