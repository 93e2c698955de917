"""set-mode, modes: the proxy mode of a lab that is up; all modes side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import Progress, emit, say
from netlab.model.modes import ProxyMode

ModeName = Annotated[ProxyMode, typer.Argument(metavar="MODE", help="iptables, nftables, ipvs or userspace.")]
SERVICES = "10,1000,10000"
Node = Annotated[str | None, typer.Option("--on", metavar="NODE", help="This node alone.")]


def set_mode(mode: ModeName, node: Node = None, lab: Lab = None) -> None:
    """Change the proxy mode of a running lab.

    Of every node, or of one. Connections that are established go on; the rules of the other mode go.
    """
    from netlab.lab.find import find
    from netlab.lab.modes import set_mode as change

    progress = Progress()
    name = node.removeprefix("node/") if node else None
    try:
        change(find(lab), mode, node=name, progress=progress)
    finally:
        progress.done()
    say(f"{name or 'every node'} is in mode {mode}")


def modes(
    *,
    measure: Annotated[bool, typer.Option("--measure", help="Measure each mode too: about a minute.")] = False,
    services: Annotated[
        str, typer.Option(metavar="N,N,...", help="With --measure: among how many Services.", show_default=True)
    ] = SERVICES,
    output: Output = Format.TABLE,
) -> None:
    """Compare the proxy modes, on this machine.

    Which it can do, what a Service costs, where packets fare differently. --measure: how long rules take to be written,
    how long a new connection takes and how much goes through, beside the same without a Service.
    """
    from netlab.cli.mode_reports import mode_comparison
    from netlab.lab.comparison import compare, compare_measured

    counts = _counts(services)
    if not measure:
        found = compare()
    else:
        progress = Progress()
        try:
            found = compare_measured(counts, progress=progress)
        finally:
            progress.done()
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: mode_comparison(found))


def _counts(text: str) -> list[int]:
    from netlab.proxy.sample import FEWEST_SERVICES, MOST_SERVICES

    words = [word.strip() for word in text.split(",")]
    counts = [int(word) for word in words if word.isdecimal()]
    if len(counts) != len(words) or not all(FEWEST_SERVICES <= count <= MOST_SERVICES for count in counts):
        raise wrong(f"--services {text}: numbers from {FEWEST_SERVICES} to {MOST_SERVICES} with commas between them")
    return counts
