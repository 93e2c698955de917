"""The lock that iptables(8) takes while it changes a table, taken by us too.

The kernel notices that a table changed under its writer only by the number of rules; two writers who replace a rule
each would silently undo one another.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

LOCK = "/run/xtables.lock"
VARIABLE = "XTABLES_LOCKFILE"
PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 0.002


@contextmanager
def xtables_lock() -> Iterator[None]:
    """Hold the lock while the block runs, so that iptables and this do not read the same table to change it.

    The file is not created (nobody who left none has used iptables here), and whoever holds it longer than two seconds
    is not waited for: a commit over somebody else's is then still refused in most cases (EAGAIN).
    """
    try:
        descriptor = os.open(os.environ.get(VARIABLE, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        _acquire(descriptor, deadline=time.monotonic() + PATIENCE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, *, deadline: float) -> bool:
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False
