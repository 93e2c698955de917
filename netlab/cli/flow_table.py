"""Tracked connections as a table."""

from __future__ import annotations

from netlab.cli.output import columns
from netlab.model.connections import End, FlowTable, TrackedFlow


def flow_rows(table: FlowTable) -> str:
    """The flows as a person reads them."""
    if not table.flows:
        return f"{table.node} tracks no such flow\n"
    header = ("PROTO", "STATE", "SECONDS", "FROM", "TO", "ANSWERED BY", "ANSWERS GO TO")
    return columns(header, map(_row, table.flows))


def _row(flow: TrackedFlow) -> tuple[str, ...]:
    original, reply = flow.original, flow.reply
    return (
        flow.protocol,
        flow.state,
        str(flow.timeout_seconds),
        _end(original.source),
        _end(original.destination),
        _end(reply.source) if flow.translated else "the same",
        _end(reply.destination) if flow.masqueraded else "the same",
    )


def _end(end: End) -> str:
    address = f"[{end.address}]" if ":" in end.address and end.port else end.address
    spelled = f"{address}:{end.port}" if end.port else address
    return f"{spelled} ({end.name})" if end.name else spelled
