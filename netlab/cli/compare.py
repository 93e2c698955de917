"""compare: the same packets through two proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import columns, emit

if TYPE_CHECKING:
    from netlab.model.faring import Comparison

Side = Annotated[str, typer.Argument(help="A node of the lab (node1, node/node1), or a running lab.")]


def compare(a: Side, b: Side, lab: Lab = None, output: Output = Format.TABLE) -> None:
    """Send the same packets through two nodes, or two labs; say which fare otherwise.

    Each node's kube-proxy, or what runs in its place, is tried by all ways into every Service. Exit status 1: something
    fares otherwise.
    """
    found = _compare(a, b, lab)
    emit(found.model_dump(mode="json", by_alias=True), output, lambda: _told(found))
    if found.differences:
        raise typer.Exit(1)


def _compare(a: str, b: str, lab: str | None) -> Comparison:
    """Two labs where both names are those of running ones, and none was named with `--lab`."""
    from netlab.lab import comparing
    from netlab.lab.find import find, labs

    running = {summary.name for summary in labs()}
    if lab is None and {a, b} <= running:
        return comparing.compare_labs(find(a), find(b))
    return comparing.compare_nodes(find(lab), a.removeprefix("node/"), b.removeprefix("node/"))


def _told(found: Comparison) -> str:
    rows = [(each.packets, each.a, each.b) for each in found.differences]
    table = columns(("PACKETS", found.a.upper(), found.b.upper()), rows) if rows else ""
    alike = found.compared - len(rows)
    kinds = "kind" if found.compared == 1 else "kinds"
    notes = "".join(f"note: {note}\n" for note in found.notes)
    return f"{table}{alike} of {found.compared} {kinds} of packets fare the same\n{notes}"
