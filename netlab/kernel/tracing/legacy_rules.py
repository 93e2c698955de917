"""The rules that put a flow under trace in legacy tables, and the texts of the rules that it met.

Ours are in the table raw, which a packet meets first, and known by their comment. An empty table raw stays: what once
was brought into a namespace the kernel takes away with that alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from netlab.errors import KernelError
from netlab.kernel.programs import output_of
from netlab.kernel.tracing.events import Kind, TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch, bpf_text
from netlab.model.rules import Family

RAW = "raw"
CHAINS = ("PREROUTING", "OUTPUT")
"""Where a packet comes in, and where one starts."""
COMMENT = "netlab trace"
PROGRAMS = {Family.IPV4: "iptables-legacy", Family.IPV6: "ip6tables-legacy"}
NAMES = {Family.IPV4: "ip_tables_names", Family.IPV6: "ip6_tables_names"}


def has_tables(family: Family) -> bool:
    """Whether this namespace has any legacy table; looking brings none."""
    return bool(_tables(family))


def put(match: FlowMatch) -> None:
    """Put the flow under trace, and take out what a trace that was killed has left. MissingCapability, KernelError."""
    _restore(match.family, [*_deletions(match.family), *_rules("-I", match)])


def take_out(match: FlowMatch) -> None:
    """Take out what `put` has put in, and whatever else is ours. KernelError."""
    if RAW not in _tables(match.family):
        return
    try:
        _restore(match.family, _rules("-D", match))
    except KernelError:
        if deletions := _deletions(match.family):
            _restore(match.family, deletions)


def told(family: Family, events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """The events with their rules' texts, read now."""
    met = list(events)
    return told_by(output_of([f"{PROGRAMS[family]}-save"]), met) if met else []


def told_by(saved: str, events: Iterable[TraceEvent]) -> list[TraceEvent]:
    """The events with the texts that iptables-save printed; one of a rule that is not there (any more) has none."""
    lines = _lines(saved)
    return [_told(event, lines) for event in events]


def _told(event: TraceEvent, lines: dict[tuple[str, str], list[str]]) -> TraceEvent:
    """The event with its rule, or with the chain's policy as `iptables -S` prints it.

    The kernel calls every verdict without a condition the chain's end; it is that only where no rule has the number.
    Source: net/ipv4/netfilter/ip_tables.c (get_chainname_rulenum).
    """
    policy, *rules = lines.get((event.table, event.chain), [""])
    if event.number <= len(rules):
        return replace(event, kind=Kind.RULE, rule=rules[event.number - 1])
    return event.told(policy) if event.kind is Kind.POLICY else event


def _lines(saved: str) -> dict[tuple[str, str], list[str]]:
    """What iptables-save printed, by table and chain: the policy, then the rules."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split(" ", 2)
            found[table, chain] = [f"-P {chain} {policy}"]
        elif line.startswith("-A "):
            found[table, line.split(" ", 2)[1]].append(line)
    return found


def _tables(family: Family) -> list[str]:
    try:
        return Path(f"/proc/thread-self/net/{NAMES[family]}").read_text().split()
    except OSError:
        return []


def _rules(command: str, match: FlowMatch) -> list[str]:
    condition = f'-m comment --comment "{COMMENT}" -m bpf --bytecode "{bpf_text(match)}"'
    return [f"{command} {chain} {condition} -j TRACE" for chain in CHAINS]


def _deletions(family: Family) -> list[str]:
    if RAW not in _tables(family):
        return []
    lines = output_of([f"{PROGRAMS[family]}-save", "-t", RAW]).splitlines()
    return [line.replace("-A", "-D", 1) for line in lines if line.startswith("-A") and f'"{COMMENT}"' in line]


def _restore(family: Family, lines: Sequence[str]) -> None:
    script = "\n".join((f"*{RAW}", *lines, "COMMIT", ""))
    output_of([f"{PROGRAMS[family]}-restore", "--noflush", "-w", "5", "-T", RAW], text=script)
