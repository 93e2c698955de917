"""up, down, ls, status: a lab's life."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netlab.cli.options import Format, Lab, Output, TopologyFile
from netlab.cli.output import Progress, columns, emit, say


def up(file: TopologyFile, output: Output = Format.TABLE) -> None:
    """Start the lab of a file, or make a running one match it."""
    from netlab.cli.documents import read_topology
    from netlab.cli.reports import lab_status, next_command
    from netlab.lab import up as starting

    progress = Progress()
    try:
        status = starting.up(read_topology(file), progress=progress)
    finally:
        progress.done()
    emit(status.model_dump(mode="json", by_alias=True), output, lambda: lab_status(status))
    if output is Format.TABLE:
        say(f"\nnext: {next_command(status)}")


def down(
    lab: Annotated[
        str | None, typer.Argument(metavar="LAB|FILE", help="A lab, or the file that it was made from.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every lab of yours.")] = False,
) -> None:
    """End a lab and all that belongs to it.

    Works on a lab that died, and without its file.
    """
    from netlab.lab import down as ending

    for name in _labs_to_end(lab, every=all_):
        ending.down(name)
        say(f"lab {name} is gone")


def _labs_to_end(lab: str | None, *, every: bool) -> list[str]:
    from netlab.cli.documents import read_topology
    from netlab.errors import NotFound
    from netlab.lab.find import labs

    if lab is not None and every:
        raise typer.BadParameter("--all and the name of one lab say two things")
    if lab is not None:
        is_file = "/" in lab or lab.endswith((".yaml", ".yml"))
        return [read_topology(Path(lab)).topology.metadata.name if is_file else lab]
    names = [summary.name for summary in labs()]
    if every or len(names) == 1:
        return names
    raise NotFound(f"several labs exist, say which: {', '.join(names)}" if names else "there is no lab")


def ls(output: Output = Format.TABLE) -> None:
    """List your labs."""
    from netlab.lab.find import labs
    from netlab.model.status import LabList

    found = LabList(labs=labs())
    rows = [(lab.name, lab.phase.value, lab.directory) for lab in found.labs]
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: columns(("NAME", "PHASE", "DIRECTORY"), rows))


def status(
    lab: Annotated[str | None, typer.Argument(metavar="LAB")] = None,
    lab_option: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Show a lab's nodes, proxies, Pods and Services."""
    from netlab.cli.reports import lab_status
    from netlab.lab import status as looking
    from netlab.lab.find import find

    seen = looking.status(find(lab or lab_option))
    emit(seen.model_dump(mode="json", by_alias=True), output, lambda: lab_status(seen))
