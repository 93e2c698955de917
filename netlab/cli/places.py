"""exec, shell, logs: inside a Pod, a node or a machine outside the cluster."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from netlab.cli.options import Lab

Where = Annotated[str, typer.Argument(metavar="WHERE", help="pod/NAME, node/NAME or external/NAME")]


def exec_(
    where: Where,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The command, behind --.")],
    lab: Lab = None,
) -> None:
    """Run a command in a Pod, a node or an external machine.

    With its network, host name and resolv.conf; the command's exit status is netlab's.
    """
    raise typer.Exit(_run(lab, where, command))


def shell(where: Where, lab: Lab = None) -> None:
    """Open a shell in a Pod, a node or an external machine."""
    program = os.environ.get("SHELL") or "/bin/sh"
    raise typer.Exit(_run(lab, where, [program if os.access(program, os.X_OK) else "/bin/sh"]))


def _run(lab: str | None, where: str, command: list[str]) -> int:
    from netlab.cli.arguments import place
    from netlab.lab import control
    from netlab.lab.find import find

    return control.run(find(lab), place(where), command)


def logs(
    where: Annotated[
        str, typer.Argument(metavar="POD", help="A Pod (NAME or pod/NAME); node/NAME shows its kube-proxy.")
    ],
    container: Annotated[
        str | None,
        typer.Option("--container", "-c", metavar="NAME", help="A Pod's container; of a node: kube-proxy or kubelet."),
    ] = None,
    tail: Annotated[int | None, typer.Option(min=0, metavar="N", help="The last N lines only.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is printed.")] = False,
    lab: Lab = None,
) -> None:
    """Show what a Pod printed, or a node's proxy logged."""
    from netlab.cli.arguments import place
    from netlab.cli.logfiles import show, show_printed
    from netlab.lab.find import find
    from netlab.lab.logfiles import log_file, with_logs
    from netlab.model.names import PlaceKind

    spot = with_logs(place(where))
    file = log_file(find(lab), spot, container)
    (show_printed if spot.kind is PlaceKind.POD else show)(file, tail=tail, follow=follow)
