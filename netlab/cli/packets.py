"""probe, check: real packets and what became of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit


class Wanted(StrEnum):
    """What `--expect` takes: the verdicts of a packet."""

    REACHED = "reached"
    REFUSED = "refused"
    DROPPED = "dropped"
    UNREACHABLE = "unreachable"


def probe(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="pod/NAME, node/NAME or external/NAME")],
    to: Annotated[
        str,
        typer.Argument(metavar="TO", help="service/NAME:PORT, pod/NAME:PORT, node/NAME:PORT or IP:PORT; /udp, /icmp"),
    ],
    *,
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=100_000, help="How many packets.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds until a packet counts as dropped.")] = 1.0,
    expect: Annotated[Wanted, typer.Option(help="The verdict that makes the exit status 0.")] = Wanted.REACHED,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Send real packets; say who answered and how.

    For each: the verdict, the Pod that answered, the source address that it saw, and how the target was translated.
    """
    from netlab.cli.arguments import place, target
    from netlab.cli.reports import probe_result
    from netlab.lab import questions
    from netlab.lab.find import find

    source, aim = place(from_), target(to)
    result = questions.probe(
        find(lab), str(source), str(aim), protocol=aim.protocol.value, count=count, timeout=timeout
    )
    emit(result.model_dump(mode="json", by_alias=True), output, lambda: probe_result(result))
    if any(flow.verdict.value != expect.value for flow in result.flows):
        raise typer.Exit(1)


def check(
    lab: Annotated[str | None, typer.Argument(metavar="LAB")] = None,
    lab_option: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Prove what the lab's file expects (spec.expect)."""
    from netlab.cli.reports import check_result
    from netlab.lab import questions
    from netlab.lab.find import find

    result = questions.check(find(lab or lab_option))
    emit(result.model_dump(mode="json", by_alias=True), output, lambda: check_result(result))
    if not result.passed:
        raise typer.Exit(1)
