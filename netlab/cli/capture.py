"""capture: the packets that pass the interfaces of a lab, into a file for Wireshark or as lines."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import KILLED_BY_SIGPIPE, Json, emit, say, write

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
    form: Output = Format.TABLE,
) -> None:
    """Record the packets that pass interfaces of a lab.

    All hops in one file, each as an interface of its own, in the order of time; without -w a line a packet, with -o
    json a document a line. Ends by Ctrl-C.
    """
    from netlab.kernel.packet_filter import compile_filter
    from netlab.lab import control
    from netlab.lab.find import find

    if file == "-" and form is not Format.TABLE:
        raise wrong(f"-w - leaves no room for -o {form}", "write to a file, or leave one of them out")
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
            _print(lines, form)
        report = _ended(running)
    if file and file != "-" and form is not Format.TABLE:
        emit({"apiVersion": "netlab/v1", "kind": "Capture", "file": file, **report}, form, lambda: "")


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
    names = json.loads(ready) if ready else []
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    if names:
        say(f"capturing at {', '.join(names[:MOST_NAMED])}{more}; Ctrl-C ends it")


def _print(lines: BinaryIO, form: Format) -> None:
    """Each packet as it comes: as a line, or as a document of its own."""
    from netlab.capture.lines import document, line
    from netlab.capture.pcapng import Interface, read

    hops: list[str] = []
    for found in read(lines):
        if isinstance(found, Interface):
            hops.append(found.name)
        elif form is Format.TABLE:
            write(line(found, hop=hops[found.interface].ljust(max(map(len, hops)))) + "\n")
        else:
            write(_spelled(document(found, hop=hops[found.interface]), form))


def _spelled(document: Json, form: Format) -> str:
    """One of several documents on the same stream: JSON Lines, or YAML with --- between them."""
    if form is Format.JSON:
        return json.dumps(document, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, explicit_start=True)


def _ended(running: RunningTask) -> dict[str, Json]:
    """The counts, once people have been told them."""
    report = json.loads(running.result())
    if report.pop("readerGone"):
        raise typer.Exit(KILLED_BY_SIGPIPE)
    say(f"{report['packets']} packets captured, {report['dropped']} dropped by the kernel")
    for each in report["at"]:
        if each["dropped"]:
            say(f"warning: {each['interface']}: {each['dropped']} packets dropped")
    return dict(report)
