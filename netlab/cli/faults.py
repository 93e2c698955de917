"""break, heal, faults: faults on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit, say
from netlab.faults.names import FaultName

if TYPE_CHECKING:
    from netlab.lab.breaking import Healed
    from netlab.model.paths import LabPaths

Name = Annotated[FaultName, typer.Argument(metavar="FAULT", help="`netlab faults` lists them.")]
AnyName = Annotated[FaultName | None, typer.Argument(metavar="[FAULT]", help="This fault alone.")]
On = Annotated[str | None, typer.Option("--on", metavar="NODE", help="The node to break, or pod/NAME.")]
OfService = Annotated[str | None, typer.Option("--service", metavar="NAME", help="The Service to break.")]


def break_(fault: Name, on: On = None, service: OfService = None, lab: Lab = None) -> None:
    """Put a fault into a lab; `heal` takes it out again.

    Which node, Pod or Service it gets need not be said where only one will do.
    """
    from netlab.faults.catalogue import CATALOGUE
    from netlab.lab.breaking import break_ as put
    from netlab.lab.find import find

    found, victim = CATALOGUE[fault], _victim(on, service)
    broken = put(find(lab), found, victim)
    if broken.already:
        say(f"{fault} is in {broken.record.victim} already; netlab heal {fault} takes it out")
    else:
        say(f"{fault} in {broken.record.victim}: {found.summary}")


def heal(fault: AnyName = None, on: On = None, service: OfService = None, lab: Lab = None) -> None:
    """Take faults out of a lab: one, or all of them."""
    from netlab.lab.breaking import heal as take_out
    from netlab.lab.find import find

    victim = _victim(on, service)
    healed = [_tell(each) for each in take_out(find(lab), fault=fault, victim=victim)]
    if not healed:
        say("no such fault is in the lab" if fault or on or service else "no fault is in the lab")
    if any(each.refused for each in healed):
        raise typer.Exit(1)


def faults(
    fault: AnyName = None,
    on: On = None,
    service: OfService = None,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """List the faults that a lab can be given, and which it has.

    With FAULT: what it leaves to be seen, and the steps that make it and take it back.
    """
    from netlab.cli import fault_reports

    victim, paths = _victim(on, service), _running(lab)
    if fault is None:
        found = fault_reports.catalogue(paths)
        emit(found.model_dump(mode="json", by_alias=True), output, lambda: fault_reports.catalogue_table(found))
    else:
        shown = fault_reports.fault(fault, paths, victim)
        emit(shown.model_dump(mode="json", by_alias=True), output, lambda: fault_reports.fault_text(shown))


def _victim(on: str | None, service: str | None) -> str | None:
    """The victim's name as the catalogue has it: `node/n1`, `pod/shell`, `service/web`."""
    if on is not None and service is not None:
        raise wrong("a fault has one victim", "give --on or --service")
    if service is not None:
        return f"service/{service.removeprefix('service/')}"
    return on if on is None or "/" in on else f"node/{on}"


def _running(lab: str | None) -> LabPaths | None:
    """The lab that was named, else the only one that runs, if there is one: the catalogue can be read without."""
    from netlab.errors import NotFound
    from netlab.lab.find import find

    try:
        return find(lab)
    except NotFound:
        if lab is not None:
            raise
        return None


def _tell(healed: Healed) -> Healed:
    record = healed.record
    for message in healed.gone:
        say(f"{record.fault} in {record.victim}: {message}; nothing to take back there")
    for message in healed.refused:
        say(f"{record.fault} in {record.victim}: could not take back: {message}")
    if not healed.refused:
        say(f"{record.fault} is out of {record.victim}")
    return healed
