"""What nftables holds in the current network namespace: its generation, and the names of a table's chains.

nft(8) and iptables-nft read every rule before they answer, which takes seconds where there are tens of thousands.
Source: <linux/netfilter/nf_tables.h>, <linux/netfilter/nfnetlink.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.netlink import HEADER, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, attribute, attributes
from netlab.model.rules import Family

NETLINK_NETFILTER = 12
NFTABLES = 10 << 8
GET_TABLE, GET_CHAIN, GET_GENERATION = NFTABLES | 1, NFTABLES | 4, NFTABLES | 16
TABLE_NAME, CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, GENERATION_ID = 1, 1, 3, 4, 1
NFPROTO_INET = 1
NETFILTER_HEADER = struct.Struct(">BBH")
FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
PATIENCE_SECONDS = 5.0
RECEIVE_BYTES = 1 << 18


def require_nftables() -> None:
    """MissingCapability where this kernel has no nftables, or this process no rights."""
    try:
        generation()
    except KernelError as error:
        if error.number in (errno.EPERM, errno.EACCES):
            raise MissingCapability(
                "CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner"
            ) from error
        raise MissingCapability("this kernel has no nftables", "use a kernel with CONFIG_NF_TABLES") from error


def generation() -> int:
    """A number that grows by one with every transaction that changes anything of nftables in this namespace.

    KernelError: this kernel has no nftables, or does not let this process ask.
    """
    for found in ask(GET_GENERATION, 0, family=socket.AF_UNSPEC):
        return int.from_bytes(found[GENERATION_ID], "big")
    raise KernelError("ask for the generation of nftables", HERE, errno.EPROTO)


def has_table(family: Family, table: str) -> bool:
    """Whether there is a table of that name. KernelError: the kernel does not say."""
    try:
        wanted = attribute(TABLE_NAME, table.encode() + b"\0")
        return any(ask(GET_TABLE, 0, family=FAMILIES[family], body=wanted))
    except KernelError as error:
        if error.number != errno.ENOENT:
            raise
        return False


def chain_names(family: Family, table: str) -> tuple[str, ...]:
    """The chains of a table, its base chains among them; none where there is no such table."""
    wanted = table.encode() + b"\0"
    chains = ask(GET_CHAIN, NLM_F_DUMP, family=FAMILIES[family])
    return tuple(found[CHAIN_NAME].rstrip(b"\0").decode() for found in chains if found[CHAIN_TABLE] == wanted)


def base_chain_hooks(family: Family) -> dict[tuple[str, str], tuple[int, int]]:
    """The hook (NF_INET_*) and the priority of each base chain that sees packets of the family, by table and chain.

    None where this kernel has no nftables.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    try:
        for kind in (NFPROTO_INET, FAMILIES[family]):
            for chain in ask(GET_CHAIN, NLM_F_DUMP, family=kind):
                if CHAIN_HOOK in chain:
                    hook = attributes(chain[CHAIN_HOOK])
                    table, name = (chain[key].rstrip(b"\0").decode() for key in (CHAIN_TABLE, CHAIN_NAME))
                    number, priority = (int.from_bytes(hook[key], "big", signed=True) for key in (1, 2))
                    found[table, name] = number, priority
    except KernelError:
        return {}
    return found


def ask(kind: int, flags: int, *, family: int, body: bytes = b"") -> Iterator[dict[int, bytes]]:
    """The attributes of every message that answers a request with those attributes (`body`). KernelError."""
    body = NETFILTER_HEADER.pack(family, 0, 0) + body
    request = HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as asking:
            asking.settimeout(PATIENCE_SECONDS)
            asking.send(request)
            while True:
                for answer, data in messages(asking.recv(RECEIVE_BYTES)):
                    if answer == NLMSG_DONE:
                        return
                    if answer == NLMSG_ERROR:
                        _check(-struct.unpack_from("=i", data)[0])
                        return
                    yield attributes(data[NETFILTER_HEADER.size :])
    except OSError as error:
        raise KernelError("ask nftables", HERE, error.errno or errno.EPROTONOSUPPORT) from error


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages in what a netlink socket received: the type of each, and what follows its header."""
    at = 0
    while at < len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        yield kind, data[at + HEADER.size : at + length]
        at += (length + 3) & ~3


def _check(number: int) -> None:
    if number:
        raise KernelError("ask nftables", HERE, number)
