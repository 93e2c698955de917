"""capture: the packets that pass the interfaces of a lab, into a file for Wireshark or as lines."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Lab
from netlab.cli.output import KILLED_BY_SIGPIPE, say, write

if TYPE_CHECKING:
    from netlab.lab.control import RunningTask

MOST_NAMED = 4


def capture(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WHERE... [FILTER]",
            help="pod/NAME, node/NAME, external/NAME or fabric, with :INTERFACE or for all of them; all. "
            "Then a filter as tcpdump has it.",
        ),
    ],
    *,
    file: Annotated[
        str | None,
        typer.Option("--write", "-w", metavar="FILE", help="Write pcapng; - is standard output, for tcpdump -r -."),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-c", min=1, help="End after so many packets.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="End after so many seconds.")] = None,
    lab: Lab = None,
) -> None:
    """Record the packets that pass interfaces of a lab.

    All hops in one file, each as an interface of its own, in the order of time; without -w a line a packet. Ends by
    Ctrl-C.
    """
    from netlab.kernel.packet_filter import compile_filter
    from netlab.lab import control
    from netlab.lab.find import find

    where, expression = _parsed(words)
    program = compile_filter(expression)
    paths = find(lab)
    with ExitStack() as stack:
        output, lines = _output(file, stack)
        ready_read, ready_write = os.pipe()
        ready = stack.enter_context(os.fdopen(ready_read, "rb"))
        running = stack.enter_context(
            control.capturing(
                paths,
                where=where,
                program=program,
                expression=expression,
                comment=f"lab {paths.lab}: netlab capture {' '.join(words)}",
                count=count,
                seconds=seconds,
                files=(output, ready_write),
            )
        )
        _tell(ready.read())
        stack.enter_context(running.interruptible())
        if lines:
            _print(lines)
        _tell_end(running)


def _parsed(words: list[str]) -> tuple[list[str], str]:
    """Where to listen, and the filter: the words from the first on that is no place."""
    from netlab.capture.spots import EVERYWHERE, Spot, is_spot

    first, *others = words
    places = 1 + next((number for number, word in enumerate(others) if not is_spot(word)), len(others))
    where = [first if is_spot(first) or "/" in first else f"pod/{first}", *others[: places - 1]]
    for word in where:
        try:
            if word != EVERYWHERE:
                Spot.parse(word)
        except ValueError as error:
            raise wrong(str(error), "or fabric, or all") from error
    return where, " ".join(words[places:])


def _output(file: str | None, stack: ExitStack) -> tuple[int, BinaryIO | None]:
    """The file that the lab writes to, and what is to be read and printed of it where it is none of the caller's."""
    if file is None:
        read, written = os.pipe()
        return written, stack.enter_context(os.fdopen(read, "rb"))
    if file == "-":
        if sys.stdout.isatty():
            raise wrong("a capture is nothing for a terminal", "write -w - | tcpdump -r -, or leave -w out")
        return os.dup(1), None
    return os.open(Path(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), None


def _tell(ready: bytes) -> None:
    """Nothing is ready where the lab refuses; its reason comes with the result."""
    import json

    names = json.loads(ready) if ready else []
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    if names:
        say(f"capturing at {', '.join(names[:MOST_NAMED])}{more}; Ctrl-C ends it")


def _print(lines: BinaryIO) -> None:
    from netlab.capture.lines import line
    from netlab.capture.pcapng import Interface, read

    hops: list[str] = []
    width = 0
    for found in read(lines):
        if isinstance(found, Interface):
            hops.append(found.name)
            width = max(width, len(found.name))
        else:
            write(line(found, hop=hops[found.interface].ljust(width)) + "\n")


def _tell_end(running: RunningTask) -> None:
    import json

    report = json.loads(running.result())
    if report["readerGone"]:
        raise typer.Exit(KILLED_BY_SIGPIPE)
    say(f"{report['packets']} packets captured, {report['dropped']} dropped by the kernel")
    for each in report["at"]:
        if each["dropped"]:
            say(f"warning: {each['interface']}: {each['dropped']} packets dropped")
