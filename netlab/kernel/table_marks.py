"""Whether somebody changed a legacy table, for the price of one system call.

The kernel tells nobody when a legacy table is replaced: there is no netlink group for it, and the audit record needs
rights over the whole machine. But it answers IPT_SO_GET_INFO with the number of rules, their bytes, and where each
built-in chain begins and ends, in two microseconds, however large the table. A rule replaced by one of the same size
does not show. Source: <linux/netfilter_ipv4/ip_tables.h>, struct ipt_getinfo, which struct ip6t_getinfo equals.
"""

from __future__ import annotations

import ctypes
import socket
from functools import cache

from netlab.model.rules import Family

GET_INFO = 64
NAME_BYTES, ALL_BYTES = 32, 84
FAMILIES = {
    Family.IPV4: (socket.AF_INET, socket.IPPROTO_IP),
    Family.IPV6: (socket.AF_INET6, socket.IPPROTO_IPV6),
}


class TableMarks:
    """Looks at tables of the network namespace in which it was made; it keeps that one alive until closed."""

    def __init__(self) -> None:
        self._sockets: dict[Family, socket.socket] = {}

    def mark(self, family: Family, table: str) -> bytes | None:
        """What changes when the table does; None where it cannot be looked at (no such table, no rights)."""
        sender = self._socket(family)
        if sender is None:
            return None
        info = ctypes.create_string_buffer(table.encode(), ALL_BYTES)
        size = ctypes.c_uint(ALL_BYTES)
        level = FAMILIES[family][1]
        if getsockopt()(sender.fileno(), level, GET_INFO, info, ctypes.byref(size)):
            return None
        return info.raw[NAME_BYTES:]

    def close(self) -> None:
        """Close the sockets."""
        for sender in self._sockets.values():
            sender.close()
        self._sockets.clear()

    def _socket(self, family: Family) -> socket.socket | None:
        if family not in self._sockets:
            try:
                self._sockets[family] = socket.socket(FAMILIES[family][0], socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            except OSError:  # a kernel without IPv6
                return None
        return self._sockets[family]


@cache
def getsockopt() -> ctypes._NamedFuncPointer:
    """getsockopt(2) itself: Python's passes no name of a table in."""
    function = ctypes.CDLL(None, use_errno=True).getsockopt
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint)]
    function.restype = ctypes.c_int
    return function
