"""What the kernel tells of a packet under trace, in one shape for legacy tables and for nftables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
"""By their numbers, NF_INET_* of <linux/netfilter.h>."""
PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
"""Of legacy tables; nat is asked at 100 where sources are translated. Source: <linux/netfilter_ipv4.h>."""
SOURCE_TRANSLATION = 100


def legacy_priority(table: str, hook: str) -> int:
    """When a hook asks a legacy table."""
    late = table == "nat" and hook in ("POSTROUTING", "INPUT")
    return SOURCE_TRANSLATION if late else PRIORITIES.get(table, 0)


class Kind(StrEnum):
    """What happened in a chain: a rule matched, or its end was reached."""

    RULE = "rule"
    POLICY = "policy"
    RETURN = "return"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One thing that happened to a packet in a chain, in the order in which it happened.

    `packet` is from its IP header on, as it came there; it may be cut short. `place` is what the packet was passing:
    `nat/PREROUTING`, or the table and base chain of nftables. `number` is a rule's place in its chain, from 1, or with
    nftables its handle; `rule` its text once that was read. `verdict` is what nftables says came of it.
    """

    table: str
    chain: str
    kind: Kind
    number: int
    packet: bytes
    mark: int
    place: str
    hook: str
    priority: int = 0
    """Where in the hook: tables are asked in the order of their priorities, translation at -100 and 100."""
    incoming: int = 0
    outgoing: int = 0
    bridge_port: int = 0
    """The port by which a bridge got the packet, where a bridge asks."""
    verdict: str | None = None
    family: str = ""
    """The family of the table, in nftables' words; "" for legacy tables."""
    rule: str = ""
    counted: int = 0
    """Where it was not traced: by how many packets the rule's counter grew. Then there is neither packet nor mark."""

    def told(self, rule: str) -> TraceEvent:
        """The same with the rule's text."""
        return replace(self, rule=rule)
