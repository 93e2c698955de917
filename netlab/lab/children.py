"""The lab's own processes: forked, named, watched, started again when they die.

Children are forked from the lab process, which has imported what they need: one costs milliseconds instead of an
interpreter's start. If one dies it is started again, at once the first time, then after 1, 2, 4 ... 30 seconds, until
it has lived for a minute.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from netlab.kernel.syscalls import set_process_name
from netlab.lab.messages import AgentRow

LONGEST_BACKOFF = 30.0
HEALTHY_AFTER = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """A process that the lab keeps running: `entry` returns only when it shall end. `log` gets what it says."""

    name: str
    entry: Callable[[], None]
    log: Path


@dataclass(slots=True)
class _Child:
    program: Program
    wanted: bool = True
    pid: int | None = None
    started: float = 0.0
    deaths_in_a_row: int = 0
    restarts: int = 0
    due: float | None = field(default=None)
    """When to start it again, on the monotonic clock."""


class Children:
    """All programs of a lab by name. `before_entry` runs first in each new child: it gives up what is the parent's."""

    def __init__(self, before_entry: Callable[[], None]) -> None:
        self._before_entry = before_entry
        self._children: dict[str, _Child] = {}

    def want(self, program: Program) -> None:
        """Start the program unless it runs."""
        child = self._children.setdefault(program.name, _Child(program))
        child.wanted = True
        if child.pid is None:
            child.deaths_in_a_row = 0
            self._start(child)

    def unwant(self, name: str, *, forget: bool) -> None:
        """End the program (SIGTERM) and do not start it again; with `forget` it is no longer listed either."""
        child = self._children.get(name)
        if child is None:
            return
        child.wanted, child.due = False, None
        if child.pid is not None:
            os.kill(child.pid, signal.SIGTERM)
        if forget:
            del self._children[name]

    def died(self, pid: int, status: int) -> bool:
        """Note that a process ended; False where it is none of ours."""
        child = next((c for c in self._children.values() if c.pid == pid), None)
        if child is None:
            return False
        child.pid = None
        if child.wanted:
            self._plan_restart(child, status)
        return True

    def restart_due(self) -> float | None:
        """Start what is due; the seconds until the next one is, or None."""
        now = time.monotonic()
        for child in self._children.values():
            if child.due is not None and child.due <= now:
                child.restarts += 1
                self._start(child)
        waiting = [child.due - now for child in self._children.values() if child.due is not None]
        return max(0.0, min(waiting)) if waiting else None

    def pids(self) -> frozenset[int]:
        """The processes of all programs that run."""
        return frozenset(child.pid for child in self._children.values() if child.pid is not None)

    def rows(self) -> tuple[AgentRow, ...]:
        """Every program and whether it runs."""
        return tuple(
            AgentRow(name=name, running=c.pid is not None, wanted=c.wanted, restarts=c.restarts)
            for name, c in sorted(self._children.items())
        )

    def _plan_restart(self, child: _Child, status: int) -> None:
        now = time.monotonic()
        child.deaths_in_a_row = 1 if now - child.started > HEALTHY_AFTER else child.deaths_in_a_row + 1
        wait = 0.0 if child.deaths_in_a_row == 1 else min(LONGEST_BACKOFF, 2.0 ** (child.deaths_in_a_row - 2))
        child.due = now + wait
        log.warning("%s ended (%s), starting it again in %.0f s", child.program.name, describe(status), wait)

    def _start(self, child: _Child) -> None:
        child.due, child.started = None, time.monotonic()
        child.pid = fork(lambda: self._become(child.program))
        log.info("%s started", child.program.name)

    def _become(self, program: Program) -> None:
        self._before_entry()
        set_process_name(program.name)
        log_to(program.log)
        program.entry()


def fork(body: Callable[[], None]) -> int:
    """Fork a process that runs `body` with default signal handling and exits: 0, or 1 after logging an error."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        body()
        status = 0
    except BaseException:  # noqa: BLE001 - the last frame of a process: whatever it was, it is in the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def log_to(path: Path) -> None:
    """Send this process's log, and whatever it prints, to the end of `path`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


def describe(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"


def shell_status(status: int) -> int:
    """A wait status as a shell gives it in `$?`."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
