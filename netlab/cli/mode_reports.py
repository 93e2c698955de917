"""What `modes` looks like to a person: a column a mode, a line a difference; then what was measured."""

from __future__ import annotations

from collections.abc import Callable

from netlab.cli.output import columns
from netlab.model.comparison import Measurement, ModeComparison, ModeRow, Paired


def mode_comparison(found: ModeComparison) -> str:
    """All modes side by side, what this machine lacks, and the measurements if there are any."""
    who = "an ordinary user" if found.rootless else "root"
    header = ("", *(row.mode.upper() for row in found.modes))
    lines = [(label, *(cell(row) for row in found.modes)) for label, cell in _LINES]
    parts = [f"{found.kernel}, as {who}\n", columns(header, lines)]
    lacking = [row for row in found.modes if not row.usable]
    parts += ["".join(f"{row.mode} does not work here: {row.missing}: {row.remedy}\n" for row in lacking)]
    measured = [(row, each) for row in found.modes for each in row.measurements]
    parts += [_measurements(measured)] if measured else []
    return "\n".join(part for part in parts if part)


def _cost(row: ModeRow) -> str:
    entries = f", {row.cost.entries:g} entries" if row.cost.entries else ""
    return f"{row.cost.rules:g} rule{'' if row.cost.rules == 1 else 's'}{entries}"


_LINES: tuple[tuple[str, Callable[[ModeRow], str]], ...] = (
    ("works here", lambda row: "yes" if row.usable else "no (see below)"),
    ("rules are in", lambda row: row.behaviour.rules_in),
    ("a Service costs", _cost),
    ("endpoint by", lambda row: row.behaviour.endpoint_by),
    ("client address", lambda row: row.behaviour.client_address),
    ("no endpoints", lambda row: row.behaviour.no_endpoints),
    ("NodePort on", lambda row: row.behaviour.node_port_on),
    ("127.0.0.1:NodePort", lambda row: row.behaviour.node_port_on_loopback),
    ("other ClusterIP port", lambda row: row.behaviour.other_port),
    ("SCTP", lambda row: row.behaviour.sctp),
    ("kube-proxy killed", lambda row: row.behaviour.without_process),
)


def _measurements(measured: list[tuple[ModeRow, Measurement]]) -> str:
    header = ("MODE", "SERVICES", "FIRST SYNC", "RULES", "NEW CONNECTION", "x DIRECT", "TRANSFER", "x DIRECT")
    rows = [_measurement(row, each) for row, each in sorted(measured, key=lambda pair: pair[1].services)]
    notes = [f"{row.mode}, {each.services} Services: {each.problem}\n" for row, each in measured if each.problem]
    explained = "x DIRECT: by the same from Pod to Pod through a node without rules, in turns with it\n"
    return columns(header, rows) + explained + "".join(notes)


def _measurement(row: ModeRow, found: Measurement) -> tuple[str, ...]:
    lasted = "" if found.first_sync_milliseconds is None else f"{found.first_sync_milliseconds:.0f} ms"
    rules = "" if found.rules is None else str(found.rules)
    connection, transfer = _paired(found.connection, "us"), _paired(found.transfer, "MB/s")
    return (row.mode, str(found.services), lasted, rules, *connection, *transfer)


def _paired(found: Paired | None, unit: str) -> tuple[str, str]:
    return ("", "") if found is None else (f"{found.service:.0f} {unit}", f"{found.ratio:.2f}")
