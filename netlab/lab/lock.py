"""Who is at work on a lab, and whether it lives: two locked files in its folder.

`lock` is held through one open file that every process of the lab inherits, so that it is free exactly when all of them
are gone, whatever killed them. `command.lock` is held by the one `up` or `down` at work. Both are open file description
locks (fcntl(2), F_OFD_SETLK): inherited by fork like flock(2), and one can ask for them without taking them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from netlab.errors import LabBusy
from netlab.model.paths import LabPaths

_FLOCK = "hhqqi4x"
"""struct flock of <fcntl.h> on 64-bit Linux: type, whence, start, length, pid."""
_WHOLE_FILE = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def try_lock(path: Path) -> int | None:
    """Open and lock `path`; the file descriptor, or None where somebody else holds it.

    The file may be removed by a `down` between open and lock; a lock on a removed file protects nothing, so look again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def is_running(paths: LabPaths) -> bool:
    """Whether any process of the lab lives. Asks without locking, so that asking disturbs nobody."""
    try:
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(descriptor)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


@contextlib.contextmanager
def commanding(paths: LabPaths) -> Iterator[None]:
    """The right to start, change or end the lab; LabBusy where another command has it."""
    try:
        descriptor = try_lock(paths.command_lock)
    except FileNotFoundError:  # the folder went in this moment: a `down` is just ending
        descriptor = None
    if descriptor is None:
        raise LabBusy(f"lab {paths.lab}: another netlab up or down is at work on it; wait for it, then try again")
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until nobody else is in such a block with that file, then hold it; a process that is killed lets it go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def holders(path: Path) -> tuple[int, ...]:
    """The processes, other than the caller, that hold the lock on `path`, as the kernel shows them in /proc.

    These are what is left of a lab. Who only has the file open, to ask whether the lab runs, is none of them.
    """
    try:
        wanted = os.stat(path)
    except FileNotFoundError:
        return ()
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return tuple(pid for pid in pids if pid != os.getpid() and _holds(pid, wanted))


def _holds(pid: int, wanted: os.stat_result) -> bool:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            found = os.stat(f"/proc/{pid}/fd/{descriptor}")
            if (found.st_dev, found.st_ino) != (wanted.st_dev, wanted.st_ino):
                continue
            if "OFDLCK" in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text():
                return True
    return False
