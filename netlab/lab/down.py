"""End a lab and leave nothing behind, whatever is left of it: a lab that runs, one half started, one half dead.

There is one way for all of them. Whoever has the lab's lock open is the lab: it is killed, and its PID namespace takes
everything else along. Then what has the lab's name goes. Nothing of this needs the topology file.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time

from netlab.errors import NetlabError, NotFound
from netlab.kernel import namespaces
from netlab.lab import folder
from netlab.lab.find import leftover_namespaces
from netlab.lab.lock import commanding, holders, try_lock
from netlab.model.paths import LabPaths

DEADLINE = 20.0
"""Seconds for the kernel to end killed processes."""


def down(lab: str) -> None:
    """End the lab; NotFound where nothing of that name is left, LabBusy where another command is at work on it."""
    paths = LabPaths.of(lab)
    folder.check_owner(paths.directory.parent)
    if not paths.directory.is_dir():
        if not leftover_namespaces(lab):
            raise NotFound(f"there is no lab {lab}")
        paths.directory.mkdir(parents=True, mode=0o700)
    with commanding(paths):
        clear_away(paths)


def clear_away(paths: LabPaths) -> None:
    """End the lab, in whatever state it is, and remove all that is left. The caller has the right to command it."""
    os.close(end_processes(paths))
    remove_leftovers(paths)
    for lock in (paths.lock, paths.command_lock):
        lock.unlink(missing_ok=True)
    # From here on another command may have begun anew in the folder, with a lock of its own: then the folder stays.
    for directory in (paths.directory, paths.directory.parent):
        with contextlib.suppress(OSError):
            directory.rmdir()


def end_processes(paths: LabPaths) -> int:
    """Kill every process of the lab and wait until they are gone; the lab's lock, taken."""
    deadline = time.monotonic() + DEADLINE
    while (lock := try_lock(paths.lock)) is None:
        if time.monotonic() > deadline:
            raise NetlabError(f"lab {paths.lab}: processes {holders(paths.lock)} do not end though killed")
        _kill_and_wait(holders(paths.lock), deadline=deadline)
    return lock


def _kill_and_wait(pids: tuple[int, ...], *, deadline: float) -> None:
    """By pidfd, so that a process that took over a dead one's number is never hit."""
    descriptors = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(pid))
    poll = select.poll()
    for descriptor in descriptors:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll.register(descriptor, select.POLLIN)
    while descriptors and time.monotonic() < deadline:
        for descriptor, _event in poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            poll.unregister(descriptor)
            descriptors.remove(descriptor)
            os.close(descriptor)


def remove_leftovers(paths: LabPaths) -> None:
    """Remove what a dead lab left but its locks: objects, logs, sockets, and the names of its network namespaces.

    The kernel frees a network namespace that has no name and no process any more. An ordinary user's are named in a
    mount namespace of the lab's own, which is gone with its processes.
    """
    if os.geteuid() == 0:
        namespaces.delete_lab(paths.lab)
    for entry in paths.directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry not in (paths.lock, paths.command_lock):
            entry.unlink()
