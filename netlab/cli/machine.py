"""doctor, version, completion: this machine and this program."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_inspect_parameters

from netlab.cli.options import Format, Output
from netlab.cli.output import emit


def version(output: Output = Format.TABLE) -> None:
    """Print the version of netlab."""
    from netlab import __version__

    document = {"apiVersion": "netlab/v1", "kind": "Version", "version": __version__}
    emit(document, output, lambda: f"netlab {__version__}\n")


class Shell(StrEnum):
    """Shells that can complete netlab's arguments."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


COMPLETE = "_NETLAB_COMPLETE"
"""In the environment when a shell asks for completions, or for the script that makes it ask (`completion`)."""


def completion(context: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Print a completion script: source <(netlab completion bash)."""
    get_completion_inspect_parameters()  # makes Typer's shells known; Typer itself does it with its own options
    os.environ[COMPLETE] = f"source_{shell.value}"
    context.find_root().command.main([], prog_name="netlab")


def doctor(output: Output = Format.TABLE) -> None:
    """Say what this machine can do and what it lacks.

    Each thing is tried, in a namespace that goes away again. Exit status 3: something that every lab needs is missing.
    """
    from netlab.cli.reports import machine_report
    from netlab.lab.examination import examine

    report = examine()
    emit(
        report.model_dump(mode="json", by_alias=True) | {"ready": report.ready}, output, lambda: machine_report(report)
    )
    if not report.ready:
        raise typer.Exit(3)
