"""The table that puts a flow under trace in nftables, and the texts of the rules that it met.

`meta nftrace set 1` marks the packet itself, so legacy tables report it as well (skb->nf_trace).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.nft_chains import require_nftables
from netlab.kernel.programs import output_of, program
from netlab.kernel.tracing.events import Kind, TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch, nft_conditions
from netlab.model.rules import Family

TABLE = "netlab-trace"
CHAINS = ("prerouting", "output")
BEFORE_ALL = -310
"""The priority of our chains: before everything, and before connection tracking, which is at -200."""
FAMILIES = {"ip": Family.IPV4, "ip6": Family.IPV6}
SAVES = {Family.IPV4: "iptables-nft-save", Family.IPV6: "ip6tables-nft-save"}
COMPATIBLE = re.compile(r"(?:PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)")
"""Base chains that iptables-nft makes."""
_CHAIN = re.compile(r"\tchain (\S+) \{.*")
_RULE = re.compile(r"\t\t(.*) # handle (\d+)")


def is_possible() -> bool:
    """Whether there is nft(8) and a kernel that has nftables."""
    try:
        program("nft")
        require_nftables()
    except (KernelError, MissingCapability):
        return False
    return True


def put(match: FlowMatch) -> None:
    """Put the flow under trace, in place of what a trace that was killed has left. KernelError."""
    commands = [f"add table inet {TABLE}", f"delete table inet {TABLE}", f"add table inet {TABLE}"]
    for chain in CHAINS:
        base = f"{{ type filter hook {chain} priority {BEFORE_ALL}; policy accept; }}"
        commands.append(f"add chain inet {TABLE} {chain} {base}")
        commands += [f"add rule inet {TABLE} {chain} {each} meta nftrace set 1" for each in nft_conditions(match)]
    _carry_out(commands)


def take_out() -> None:
    """Take our table out, if it is there. KernelError."""
    _carry_out([f"add table inet {TABLE}", f"delete table inet {TABLE}"])


def _carry_out(commands: Iterable[str]) -> None:
    """By nft(8), which alone knows how to say the conditions; all of them or none."""
    output_of(["nft", "-f", "-"], text="\n".join((*commands, "")))


def told(events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """The events with their rules' texts, read now from those tables alone in which a rule matched."""
    met = list(events)
    tables = {(event.family, event.table) for event in met if event.kind is Kind.RULE}
    texts = {key: _texts(*key) for key in tables}
    return [event.told(texts.get((event.family, event.table), {}).get(event.number, "")) for event in met]


def _texts(family: str, table: str) -> dict[int, str]:
    """The rules of a table by their handles; those that iptables-nft made, as iptables-save prints them."""
    by_chain = _listed(output_of(["nft", "-a", "list", "table", family, table]))
    if not any(COMPATIBLE.fullmatch(chain) for chain in by_chain):
        return {handle: text for rules in by_chain.values() for handle, text in rules}
    saved: dict[str, list[str]] = {}
    for line in output_of([SAVES[FAMILIES[family]], "-t", table]).splitlines():
        if line.startswith("-A "):
            saved.setdefault(line.split(" ", 2)[1], []).append(line)
    return {
        handle: line
        for chain, rules in by_chain.items()
        for (handle, _), line in zip(rules, saved.get(chain, []), strict=False)
    }


def _listed(text: str) -> dict[str, list[tuple[int, str]]]:
    """What `nft -a list table` printed: the handle and the text of each rule, by chain."""
    found: dict[str, list[tuple[int, str]]] = {}
    chain: list[tuple[int, str]] | None = None
    for line in text.splitlines():
        if begins := _CHAIN.fullmatch(line):
            chain = found.setdefault(begins[1], [])
        elif line.startswith("\t}"):
            chain = None
        elif chain is not None and (rule := _RULE.fullmatch(line)):
            chain.append((int(rule[2]), rule[1]))
    return found
