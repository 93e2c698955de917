"""Showing a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from netlab.model.container_log import Entry, LogReader, last_lines

CHUNK = 32768


def show(file: Path, *, tail: int | None, follow: bool) -> NoReturn:
    """Become tail(1), which waits for more by inotify and ends quietly with its reader."""
    lines = "+1" if tail is None else str(tail)
    arguments = ["tail", "-n", lines, *(["--follow=name"] if follow else []), "--", str(file)]
    os.execvp(arguments[0], arguments)


def show_printed(file: Path, *, tail: int | None, follow: bool) -> None:
    """Show what a container printed, out of its log; tail(1) waits for more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as tail(1) itself ends
    reader, data = LogReader(), file.read_bytes()
    found = tuple(reader.feed(data))
    if _print(found if tail is None else last_lines(found, tail)) and follow:
        _go_on(file, reader, start=len(data))


def _go_on(file: Path, reader: LogReader, *, start: int) -> None:
    arguments = ["tail", "-c", f"+{start + 1}", "--follow=name", f"--pid={os.getpid()}", "--", str(file)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        try:
            while (data := os.read(tail.stdout.fileno(), CHUNK)) and _print(reader.feed(data)):
                pass
        finally:
            tail.kill()


def _print(entries: Iterable[Entry]) -> bool:
    """Whether anybody still reads."""
    try:
        sys.stdout.buffer.write(b"".join(entry.data for entry in entries))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter complains at its end
        return False
    return True
