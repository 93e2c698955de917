"""Processes that nobody in a lab waits for: what a command has put into the background and left behind.

Whoever loses its parent becomes a child of the PID namespace's first process, the lab process, which started it not.
/proc is the host's here: it shows process numbers of the host, and in `NSpid` those of the namespaces below.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
GENERATIONS = 16
"""Who is killed leaves its own children to the lab process; so deep is nobody."""


def end_strays(*, spared: frozenset[int]) -> None:
    """Kill this process's children but the spared ones, and then theirs, until there are none."""
    for _ in range(GENERATIONS):
        strays = [pid for pid in _children() if pid not in spared]
        if not strays:
            return
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in strays:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> Iterator[int]:
    """By the numbers that they have in this process's own PID namespace."""
    own = os.readlink(PROC / "self")
    for entry in os.listdir(PROC):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                status = dict(
                    line.split(":\t", 1) for line in (PROC / entry / "status").read_text().splitlines() if ":\t" in line
                )
                if status["PPid"] == own:
                    yield int(status["NSpid"].split()[-1])
