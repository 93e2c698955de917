"""What `netlab faults` prints: the catalogue, and one fault with its steps."""

from __future__ import annotations

from netlab.cli.output import columns
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.choosing import choose, fitting
from netlab.faults.names import FaultName
from netlab.faults.steps import Steps
from netlab.lab import fault_records
from netlab.lab.view import running_view
from netlab.model.fault_list import FaultList, FaultRow, FaultShown, FaultStep
from netlab.model.paths import LabPaths


def catalogue(paths: LabPaths | None) -> FaultList:
    """All faults, and which are in force in that lab."""
    return FaultList(faults=tuple(_row(name, paths) for name in CATALOGUE))


def catalogue_table(found: FaultList) -> str:
    """The catalogue for a person."""
    header = ("FAULT", "PUT INTO A", "IN FORCE", "WHAT IT DOES")
    rows = [(row.name, row.scope, ", ".join(row.in_force) or "-", row.summary.rstrip(".")) for row in found.faults]
    return columns(header, rows)


def fault(name: FaultName, paths: LabPaths | None, wanted: str | None) -> FaultShown:
    """One fault, with its steps for the victim of that name, or for the first that has it or could be given it."""
    victim, steps, reason = _steps(name, paths, wanted) if paths else ("", (), "no lab is running")
    spelled = tuple(FaultStep(does=str(step), undo=step.undoing) for step in steps)
    return FaultShown(fault=_row(name, paths), victim=victim, reason=reason, steps=spelled)


def fault_text(shown: FaultShown) -> str:
    """One fault for a person."""
    row = shown.fault
    lines = [f"{row.name} (put into a {row.scope})", "", row.summary, f"It shows: {row.evidence}"]
    if row.in_force:
        lines += [f"It is in force in {', '.join(row.in_force)}."]
    if shown.reason:
        lines += ["", f"Its steps cannot be shown: {shown.reason}"]
    else:
        undo = [step.undo for step in reversed(shown.steps) if step.undo]
        lines += ["", f"In {shown.victim} it does", *(f"    {step.does}" for step in shown.steps)]
        lines += ["and `netlab heal` does", *(f"    {each}" for each in undo)]
    return "".join(f"{line}\n" for line in lines)


def _row(name: FaultName, paths: LabPaths | None) -> FaultRow:
    found = CATALOGUE[name]
    records = fault_records.told(paths) if paths else ()
    return FaultRow(
        name=found.name,
        scope=found.scope,
        summary=found.summary,
        evidence=found.evidence,
        in_force=tuple(record.victim for record in records if record.fault is name),
    )


def _steps(name: FaultName, paths: LabPaths, wanted: str | None) -> tuple[str, Steps, str]:
    """A victim and the steps for it: as they were made, if it has the fault, else as they would be; or why not."""
    for record in fault_records.told(paths):
        if record.fault is name and wanted in (None, record.victim):
            return record.victim, record.steps, ""
    view = running_view(paths)
    if wanted is not None:
        chosen = choose(CATALOGUE[name], view, wanted)
        return chosen.victim, chosen.steps, ""
    fit, reasons = fitting(CATALOGUE[name], view)
    if fit:
        return fit[0].victim, fit[0].steps, ""
    return "", (), "; ".join(f"{victim}: {reason}" for victim, reason in reasons.items()) or "this lab has none"
