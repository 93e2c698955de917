"""validate, plan: a file, before anything runs. Neither needs root."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from netlab.cli.options import Format, Output, TopologyFile
from netlab.cli.output import Json, emit


def validate(file: TopologyFile, output: Output = Format.TABLE) -> None:
    """Say every mistake in a file at once.

    Each with its line, the field, and what would be right.
    """
    from netlab.cli.documents import read_topology

    loaded = read_topology(file)
    name, spec = loaded.topology.metadata.name, loaded.topology.spec
    counts = {"nodes": len(spec.nodes), "objects": len(loaded.objects), "expectations": len(spec.expect)}
    document: dict[str, Json] = {
        "apiVersion": "netlab/v1",
        "kind": "Validation",
        "file": str(file),
        "lab": name,
        **counts,
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    emit(document, output, lambda: f"{file} is valid: lab {name} with {summary}\n")


def plan(
    file: TopologyFile,
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="What concerns one node only.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Print the commands that `up` amounts to.

    To read, or to paste as root; nothing is changed.
    """
    from netlab.cli.blueprint import draw, script
    from netlab.cli.documents import read_topology

    blueprint = draw(read_topology(file), node=node)
    commands = [asdict(entry) for entry in blueprint.entries]
    document: dict[str, Json] = {"apiVersion": "netlab/v1", "kind": "Plan", "lab": blueprint.lab, "commands": commands}
    emit(document, output, lambda: script(blueprint))
