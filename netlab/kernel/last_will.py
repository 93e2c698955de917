"""Something that must be undone even if the process that did it is killed: another one waits for its end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DONE = b"."


@contextmanager
def undone_in_any_case(undo: Callable[[], None]) -> Iterator[None]:
    """Call `undo` after the block. If this process is killed in it, one forked here and now does that.

    `undo` must find out by itself what there is to undo, and may raise where that fails.
    """
    waiting, alive = os.pipe()
    heir = os.fork()
    if heir == 0:
        _wait_and_undo(waiting, alive, undo)
    os.close(waiting)
    try:
        try:
            yield
        finally:
            undo()
            os.write(alive, DONE)
    finally:
        os.close(alive)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(heir, 0)


def _wait_and_undo(waiting: int, alive: int, undo: Callable[[], None]) -> None:
    """The heir's whole life, in a session of its own: who kills the other one's group does not mean it."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(alive)
        if os.read(waiting, 1) != DONE:
            undo()
        status = 0
    finally:
        os._exit(status)
