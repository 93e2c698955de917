"""The system calls around namespaces that Python 3.11 has no name for. Each raises OSError where the kernel refuses.

Sources: setns(2), unshare(2), mount(2), umount(2), prctl(2); the numbers are from <linux/sched.h> and <linux/mount.h>.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x80000, 0x100000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(kinds: int) -> None:
    """The calling thread gets new namespaces of those kinds; of PID namespaces, its next child is in the new one."""
    _check(_libc.unshare(kinds), "unshare")


def setns(namespace: int, kind: int) -> None:
    """The calling thread enters the namespace of that file descriptor."""
    _check(_libc.setns(namespace, kind), "setns")


def mount(source: str | Path, target: str | Path, *, kind: str | None = None, flags: int = 0) -> None:
    """Mount `source` on `target`; OSError names the target."""
    filesystem = kind.encode() if kind else None
    done = _libc.mount(os.fsencode(source), os.fsencode(target), filesystem, ctypes.c_ulong(flags), None)
    _check(done, f"mount on {target}")


def unmount(target: Path) -> None:
    """Unmount what is on `target`, as soon as nobody uses it (MNT_DETACH)."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send the calling process that signal when the process that started it ends."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def set_process_name(name: str) -> None:
    """The name that ps(1) shows of the calling process: at most 15 bytes."""
    _check(_libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0), "prctl(PR_SET_NAME)")


def _check(result: int, operation: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{operation}: {os.strerror(number)}")
