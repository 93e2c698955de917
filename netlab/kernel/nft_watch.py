"""Tells whether somebody else touched a table of nftables, without reading the table.

The kernel tells the netlink group NFNLGRP_NFTABLES of every change, with the table's name in it: in each message about
a table, a chain, a rule, a set or its elements it is the first attribute. Source: <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.netlink import RECEIVE_BYTES, SOL_NETLINK, attributes
from netlab.kernel.nft_chains import NETFILTER_HEADER, NETLINK_NETFILTER, messages
from netlab.kernel.nft_socket import NftSocket
from netlab.model.rules import Family

NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, GROUP_NFTABLES = 1, 2, 7
TABLE_NAME = 1
FAMILIES = {int(socket.AF_INET): Family.IPV4, int(socket.AF_INET6): Family.IPV6}


class TableWatch:
    """The table of that name, of both families. KernelError: no rights, or no nftables."""

    def __init__(self, table: str) -> None:
        self._name = table.encode() + b"\0"
        self._touched: set[Family] = set()
        self._asking = NftSocket()
        try:
            self._heard = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
            )
            self._heard.bind((0, 0))  # without a number of its own it would count as the kernel and hear nothing
            self._heard.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_NFTABLES)
        except OSError as error:
            raise KernelError("listen for changes of nftables", HERE, error.errno or 0) from error

    def touched(self) -> frozenset[Family]:
        """The families whose table somebody else has changed since this was last asked."""
        self._listen()
        found, self._touched = frozenset(self._touched), set()
        return found

    def own(self, change: Callable[[NftSocket], int]) -> None:
        """Do a change of ours, which returns how many transactions it took: it is nobody else's doing.

        Meanwhile nothing is heard: to tell of every rule of ours would take the kernel a quarter of the time. If the
        ruleset's generation has grown by more, somebody else was at work, perhaps on the table.
        """
        before = self._asking.generation()
        self._heard.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, GROUP_NFTABLES)
        try:
            transactions = change(self._asking)
        finally:
            self._heard.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_NFTABLES)
        if self._asking.generation() != before + transactions:
            self._touched = set(Family)

    def close(self) -> None:
        """Stop listening."""
        self._heard.close()
        self._asking.close()

    def _listen(self) -> None:
        while True:
            try:
                data = self._heard.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._touched = set(Family)  # more happened than the socket holds
                continue
            self._take(data)

    def _take(self, data: bytes) -> None:
        for _, body in messages(data):
            family = FAMILIES.get(body[0]) if len(body) >= NETFILTER_HEADER.size else None
            if family and attributes(body[NETFILTER_HEADER.size :]).get(TABLE_NAME) == self._name:
                self._touched.add(family)
