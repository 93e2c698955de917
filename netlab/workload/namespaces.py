"""Entering a place's network namespace, and the few system calls that Python 3.11 has no name for.

Sources: setns(2), unshare(2), mount(2), umount(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netlab.errors import KernelError, NotFound

NETNS_DIRECTORY = Path("/run/netns")
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def open_network_namespace(name: str) -> int:
    """A file descriptor (close-on-exec) of the network namespace that `ip netns` shows as `name`.

    NotFound where there is none. While it is open the namespace lives.
    """
    try:
        return os.open(NETNS_DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"there is no network namespace {name} ({error.strerror})") from error


def enter(namespace: int, kind: int) -> None:
    """setns(2): the calling thread enters the namespace of that file descriptor. OSError where it may not."""
    _check(_libc.setns(namespace, kind), "setns")


def leave(kinds: int) -> None:
    """unshare(2): the calling thread gets new namespaces of those kinds. OSError where it may not."""
    _check(_libc.unshare(kinds), "unshare")


def mount(source: str | Path, target: str | Path, *, kind: str | None = None, flags: int = 0) -> None:
    """mount(2). OSError names the target."""
    filesystem = kind.encode() if kind else None
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), filesystem, flags, None), f"mount on {target}")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send the calling process that signal when the process that started it ends."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run a block in the network namespace `name`: sockets opened in it stay there wherever they are used later.

    The thread must not switch tasks in the block (no `await`). NotFound where there is no such namespace. KernelError
    where the way in is barred, or the way back: then the process must end, since it would act in the wrong place.
    """
    target = open_network_namespace(name)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _move(target, where=name)
        try:
            yield
        finally:
            _move(home, where="the process's own namespace")
    finally:
        os.close(home)
        os.close(target)


def _move(namespace: int, *, where: str) -> None:
    try:
        enter(namespace, CLONE_NEWNET)
    except OSError as error:
        raise KernelError("enter the network namespace", where, error.errno or 0) from error


def _check(result: int, operation: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{operation}: {os.strerror(number)}")
