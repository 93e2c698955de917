"""What nftables reports of packets under trace: the netlink group NFNLGRP_NFTRACE.

The first report of a packet in a base chain carries its headers, the others do not: they have the same number.
Source: <linux/netfilter/nf_tables.h>, enum nft_trace_attributes; net/netfilter/nf_tables_trace.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.kernel.netfilter_group import NetfilterGroup
from netlab.kernel.netlink import attributes
from netlab.kernel.nft_chains import NETFILTER_HEADER, NFTABLES
from netlab.kernel.tracing.events import Kind, TraceEvent
from netlab.kernel.tracing.nft_rules import COMPATIBLE

GROUP_TRACE = 9
TRACE = NFTABLES | 17
TABLE, CHAIN, HANDLE, TYPE, VERDICT, IDENTITY = 1, 2, 3, 4, 5, 6
NETWORK_HEADER, TRANSPORT_HEADER, INCOMING, OUTGOING, MARK = 8, 9, 10, 12, 14
POLICY = 16
VERDICT_CODE = 1
KINDS = {1: Kind.POLICY, 2: Kind.RETURN, 3: Kind.RULE}
VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
FAMILIES = {0: "unspec", 1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}


@dataclass(frozen=True, slots=True)
class _Passing:
    """A packet in a base chain, as its first report there told."""

    chain: str
    packet: bytes
    incoming: int
    outgoing: int


class NftTraceLog(NetfilterGroup):
    """Listens in the current network namespace. KernelError: no rights, or no nftables."""

    def __init__(self, where: str) -> None:
        super().__init__(where, group=GROUP_TRACE, purpose="listen to the trace of nftables")

    def events(self) -> Iterator[TraceEvent]:
        """What was reported since this was last asked, in its order."""
        passing: dict[bytes, _Passing] = {}
        for kind, body in self.told():
            if kind == TRACE:
                yield _event(body[0], attributes(body[NETFILTER_HEADER.size :]), passing)


def _event(family: int, found: dict[int, bytes], passing: dict[bytes, _Passing]) -> TraceEvent:
    table, chain = (found.get(key, b"").rstrip(b"\0").decode() for key in (TABLE, CHAIN))
    identity = found.get(IDENTITY, b"")
    if NETWORK_HEADER in found:
        passing[identity] = _Passing(
            chain,
            found[NETWORK_HEADER] + found.get(TRANSPORT_HEADER, b""),
            _number(found.get(INCOMING)),
            _number(found.get(OUTGOING)),
        )
    seen = passing.get(identity, _Passing(chain, b"", 0, 0))
    return TraceEvent(
        table=table,
        chain=chain,
        kind=_kind(found),
        number=_number(found.get(HANDLE)),
        packet=seen.packet,
        mark=_number(found.get(MARK)),
        place=f"{table}/{seen.chain}",
        hook=seen.chain if COMPATIBLE.fullmatch(seen.chain) else "",
        incoming=seen.incoming,
        outgoing=seen.outgoing,
        verdict=_verdict(found),
        family=FAMILIES.get(family, str(family)),
    )


def _kind(found: dict[int, bytes]) -> Kind:
    """A chain's end, in which no rule decided, is reported as a rule without a handle (Linux 6.18)."""
    kind = KINDS.get(_number(found.get(TYPE)), Kind.RETURN)
    return Kind.RETURN if kind is Kind.RULE and HANDLE not in found else kind


def _verdict(found: dict[int, bytes]) -> str | None:
    code = attributes(found.get(VERDICT, b"")).get(VERDICT_CODE) or found.get(POLICY)
    return VERDICTS.get(struct.unpack(">i", code)[0] & -1) if code else None


def _number(data: bytes | None) -> int:
    return int.from_bytes(data, "big") if data else 0
