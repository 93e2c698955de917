"""The entry point of `netlab`, and the only place where an error becomes an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.completion import get_completion_inspect_parameters

from netlab.cli.app import COMMANDS, app, command_line
from netlab.cli.failures import last_resort, report, wants_json
from netlab.cli.machine import COMPLETE
from netlab.cli.output import complete_streams
from netlab.errors import InvalidInput, NetlabError, Problem


def main() -> None:
    """Run the command line that this process was started with."""
    complete_streams()
    sys.excepthook = last_resort
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit status (netlab/errors.py says which error is which)."""
    try:
        command = typer.main.get_group(_app_for(arguments))
        status = command.main([*arguments] or ["--help"], prog_name="netlab", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except NetlabError as error:
        return _failed(error, arguments)
    except typer.TyperException as error:
        return _failed(_wrong_usage(error), arguments)
    except OSError as error:
        if os.environ.get("NETLAB_DEBUG"):
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _failed(NetlabError(f"{place}{error.strerror or error}"), arguments)
    except typer.Abort:
        return 1


def _app_for(arguments: Sequence[str]) -> typer.Typer:
    """With the command alone that is asked for, where one is: Typer looks at the signatures of all that it has."""
    if COMPLETE in os.environ:
        get_completion_inspect_parameters()  # makes Typer's shells known; Typer itself does it with its own options
        return app
    asked = arguments[0] if arguments else ""
    return command_line({asked: COMMANDS[asked]}) if asked in COMMANDS else app


def _failed(error: NetlabError, arguments: Sequence[str]) -> int:
    report(error, as_json=wants_json(arguments))
    return error.exit_code


def _wrong_usage(error: typer.TyperException) -> InvalidInput:
    """Typer's words, and where to read on."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "netlab"
    return InvalidInput(
        [
            Problem(
                "",
                0,
                0,
                "",
                error.format_message().replace("Value error, ", "").rstrip("."),
                f"{command} --help says more",
            )
        ]
    )
