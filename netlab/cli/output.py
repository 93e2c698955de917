"""What a command prints: its result on standard output and nothing else there; the rest on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import typer

from netlab.cli.options import Format

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What json.dumps takes."""
GAP = 3
"""Spaces between two columns, as kubectl has it."""
KILLED_BY_SIGPIPE = 141
"""How a shell spells that a filter's reader went away first."""


def complete_streams() -> None:
    """Put /dev/null in the place of each standard stream that the caller has closed (`<&-`, some daemons).

    Else the next file to be opened gets that stream's number: a lock, or a socket that a command then reads from.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def write(text: str) -> None:
    """Print a result. A reader that went away (`| head`) ends the command without a word."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(KILLED_BY_SIGPIPE) from None


def say(text: str) -> None:
    """Tell the person in front of the terminal something that is not the result."""
    print(text, file=sys.stderr)


def emit(document: Json, output: Format, table: Callable[[], str]) -> None:
    """Print a result in the form asked for: the document, or the table that says the same to a person."""
    if output is Format.TABLE:
        write(table())
    elif output is Format.JSON:
        write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        import yaml

        write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their headings, each column as wide as its widest cell."""
    lines = [tuple(header), *(tuple(cell or "<none>" for cell in row) for row in rows)]
    widths = [max(len(cell) for cell in column) + GAP for column in zip(*lines, strict=True)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


class Progress:
    """Steps of something long: on a terminal one line that changes, else a line a step. Both on standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def __call__(self, step: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{step} ...")
            sys.stderr.flush()
        else:
            say(step)

    def done(self) -> None:
        """Clear the line."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
