"""Connections at the moment in which conntrack takes them down, in the words of `conntrack -E -e NEW`.

A connection that is refused is forgotten at once: who asks afterwards finds nothing. Source:
<linux/netfilter/nfnetlink_compat.h> (NFNLGRP_CONNTRACK_NEW).
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.kernel.conntrack import FAMILIES, NETFILTER_HEADER, SUBSYSTEM, Flow, Tuple, read_flow
from netlab.kernel.netfilter_group import NetfilterGroup
from netlab.kernel.netlink import HEADER

NEW, GROUP_NEW = SUBSYSTEM | 0, 1
OF_NUMBER = {int(number): family for family, number in FAMILIES.items()}


class NewConnections(NetfilterGroup):
    """Listens in the current network namespace. KernelError: no rights, or no conntrack."""

    def __init__(self, where: str) -> None:
        super().__init__(where, group=GROUP_NEW, purpose="listen to conntrack")

    def flows(self) -> Iterator[Flow]:
        """What was taken down since this was last asked."""
        for kind, body in self.told():
            family = OF_NUMBER.get(body[0]) if len(body) > NETFILTER_HEADER.size else None
            if kind == NEW and family:
                yield read_flow(bytes(HEADER.size) + body, family)


def spelled(flow: Flow) -> str:
    """The connection as conntrack(8) prints it: what was sent, then what an answer to it looks like."""
    return f"{flow.protocol} {_end(flow.original)} {_end(flow.reply)}"


def _end(end: Tuple) -> str:
    ports = f" sport={end.source_port} dport={end.destination_port}" if end.destination_port else ""
    return f"src={end.source} dst={end.destination}{ports}"
