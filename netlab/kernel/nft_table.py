"""Delete a table of nftables with all that is in it, as `nft delete table FAMILY NAME` does, without nft(8).

Source: <linux/netfilter/nf_tables.h>, <linux/netfilter/nfnetlink.h>. Changes of nftables go in batches.
"""

from __future__ import annotations

import errno
import socket
import struct

from netlab.errors import KernelError
from netlab.kernel.netlink import HEADER, NLM_F_ACK, NLM_F_REQUEST, attribute
from netlab.model.rules import Family

HERE = "this network namespace"
NETLINK_NETFILTER = 12
NFTABLES = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
DELETE_TABLE = NFTABLES << 8 | 2
TABLE_NAME = 1
NETFILTER_HEADER = struct.Struct(">BBH")
FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
ABSENT = frozenset({errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""What the kernel says where there is no such table, or no nftables at all."""
PATIENCE_SECONDS = 5.0


def delete_table(family: Family, name: str) -> bool:
    """Delete it from the current network namespace; False where it was not there. KernelError: refused."""
    frame = NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, NFTABLES)
    table = NETFILTER_HEADER.pack(FAMILIES[family], 0, 0) + attribute(TABLE_NAME, name.encode() + b"\0")
    batch = _message(BATCH_BEGIN, 0, frame) + _message(DELETE_TABLE, NLM_F_ACK, table) + _message(BATCH_END, 0, frame)
    number = _send(batch)
    if number and number not in ABSENT:
        raise KernelError(f"nft delete table {family} {name}", HERE, number)
    return number == 0


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body


def _send(batch: bytes) -> int:
    """Send a batch that asks for one answer; the errno in it, 0 where all went well."""
    try:
        sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError as error:
        return error.errno or errno.EPROTONOSUPPORT
    with sender:
        sender.settimeout(PATIENCE_SECONDS)
        sender.send(batch)
        return int(-struct.unpack_from("=i", sender.recv(4096), HEADER.size)[0])
