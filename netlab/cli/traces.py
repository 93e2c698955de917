"""trace: the journey of one flow, hop by hop, as the kernel has it and as the lab's state foretells it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab
from netlab.cli.output import Json, emit, write
from netlab.cli.packets import Wanted
from netlab.cli.views import view_of

if TYPE_CHECKING:
    from netlab.model.cluster import ClusterView
    from netlab.model.journey import Journey
    from netlab.model.names import Place
    from netlab.model.targets import Target


class JourneyFormat(StrEnum):
    """What `-o` takes here."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MERMAID = "mermaid"


class Method(StrEnum):
    """What `--mode` takes: how rules are observed."""

    LEGACY = "legacy"
    NFT = "nft"
    COUNTERS = "counters"


class Protocol(StrEnum):
    """What `--proto` takes."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


def trace(
    from_: Annotated[str, typer.Argument(metavar="FROM", help="pod/NAME, node/NAME or external/NAME")],
    to: Annotated[
        str,
        typer.Argument(metavar="TO", help="service/NAME:PORT, pod/NAME:PORT, node/NAME:PORT or IP:PORT; /udp, /icmp"),
    ],
    *,
    proto: Annotated[Protocol | None, typer.Option("--proto", help="Instead of TO's own.")] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, max=100, help="How many flows.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds until a packet counts as dropped.")] = 1.0,
    method: Annotated[Method | None, typer.Option("--mode", help="How rules are observed; else what fits.")] = None,
    expect: Annotated[Wanted, typer.Option(help="The verdict that makes the exit status 0.")] = Wanted.REACHED,
    predict: Annotated[bool, typer.Option("--predict", help="From the lab's state alone; nothing is sent.")] = False,
    file: Annotated[
        Path | None, typer.Option("--filename", "-f", metavar="FILE", help="With --predict: a topology, no lab.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="ENDPOINT", help="With --predict: this Pod, or this ADDRESS:PORT.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Whole rules, and what conntrack keeps.")] = False,
    lab: Lab = None,
    output: Annotated[JourneyFormat, typer.Option("--output", "-o", help="How to print.")] = JourneyFormat.TABLE,
) -> None:
    """Follow a flow hop by hop: rules, routes, translations.

    As the kernel has it and as the lab's state foretells it: equal, or where they part first.
    """
    from netlab.cli.arguments import place, target

    if file and not predict:
        raise wrong("--filename is for --predict", "a lab that is running has its own state")
    if by and not predict:
        raise wrong("--by is for --predict", "who gets a real flow is for the kernel to choose")
    source, aim = place(from_), target(to if proto is None else f"{to.removesuffix(f'/{proto}')}/{proto}")
    if predict:
        journeys = foretold(view_of(file, lab), source, aim, by=by)
        _print(journeys, output, shown=1, verbose=verbose)
    else:
        from netlab.lab.find import find
        from netlab.lab.traced import traced

        observed_by = method.value if method else None
        journeys = traced(find(lab), source, aim, count=count, timeout=timeout, method=observed_by)
        _print(journeys, output, shown=count, verbose=verbose)
    if any(journey.verdict.value != expect.value for journey in journeys):
        raise typer.Exit(1)


def foretold(view: ClusterView, source: Place, aim: Target, *, by: str | None = None) -> list[Journey]:
    """One journey for each way that the flow may take, the one by that endpoint first."""
    from netlab.trace import TracedLab, foretell

    prediction = foretell(TracedLab(view), source, aim)
    first = prediction.first
    if by:
        found = prediction.through(by) or prediction.by_pod(by.removeprefix("pod/"))
        if found is None:
            known = ", ".join(prediction.endpoints) or "nobody"
            raise wrong(f"{source} -> {aim} cannot be sent to {by}", f"it can to {known}")
        first = found
    others = [way for way in prediction.ways if way is not first]
    return [prediction.journey(way) for way in (first, *others)]


def _print(journeys: list[Journey], output: JourneyFormat, *, shown: int, verbose: bool) -> None:
    """As documents the first `shown` of them."""
    from netlab.cli.journey_report import journey_report
    from netlab.cli.sequence import sequence_diagram

    if output is JourneyFormat.MERMAID:
        write(sequence_diagram(journeys[0]))
        return
    documents: list[Json] = [journey.model_dump(mode="json", by_alias=True) for journey in journeys[:shown]]
    several: Json = {"apiVersion": "netlab/v1", "kind": "JourneyList", "items": documents}
    document = documents[0] if len(documents) == 1 else several
    emit(document, Format(output.value), lambda: journey_report(journeys, verbose=verbose))
