"""why: what a good engineer would look at, and the one cause that it comes to."""

from __future__ import annotations

from typing import Annotated

import typer

from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit


def why(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="pod/NAME, node/NAME or external/NAME")],
    to: Annotated[
        str,
        typer.Argument(metavar="TO", help="service/NAME:PORT, pod/NAME:PORT, node/NAME:PORT or IP:PORT; /udp, /icmp"),
    ],
    *,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds until a packet counts as dropped.")] = 1.0,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Say why flows do not fare as they should: one cause, one remedy.

    Sends some, holds them against what the objects foretell, and looks at what the kernel holds. Exit status 0 where
    nothing is wrong, 1 otherwise.
    """
    from netlab.cli.arguments import place, target
    from netlab.cli.diagnosis import diagnosis_report
    from netlab.lab.find import find
    from netlab.lab.why import why as find_out

    diagnosis = find_out(find(lab), place(from_), target(to), timeout=timeout)
    emit(diagnosis.model_dump(mode="json", by_alias=True), output, lambda: diagnosis_report(diagnosis))
    if diagnosis.cause is not None:
        raise typer.Exit(1)
