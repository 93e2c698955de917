"""Network namespaces by name: files in /run/netns that a namespace is bind-mounted on, as ip-netns(8) makes them.

A thread is in one network namespace at a time; a socket stays in the one that its thread was in when it was opened.
`Namespaces` moves the calling thread about, which must be the process's only one, and brings it home again.
Sources: setns(2), unshare(2), mount(2), network_namespaces(7).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from netlab.errors import KernelError, NotFound

DIRECTORY = Path("/run/netns")
THREAD_NAMESPACE = "/proc/thread-self/ns/net"
CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def is_namespace(name: str) -> bool:
    """Whether there is a network namespace of that name; a file that is left over from a crash is none."""
    try:
        return os.stat(DIRECTORY / name).st_dev == os.stat(THREAD_NAMESPACE).st_dev
    except FileNotFoundError:
        return False


def names_of(lab: str) -> tuple[str, ...]:
    """The names of the lab's namespaces, sorted."""
    return tuple(name for name in _files_of(lab) if is_namespace(name))


def delete(names: Iterable[str]) -> None:
    """Take the names away: a namespace goes, soon after, once no process and no socket is in it.

    What is not there (any more) is no error. KernelError: the kernel refuses.
    """
    for name in names:
        _unmount(name)
        (DIRECTORY / name).unlink(missing_ok=True)


def delete_lab(lab: str) -> tuple[str, ...]:
    """Delete every namespace of the lab, and the files that a crash has left; the names of what was deleted."""
    files = _files_of(lab)
    delete(files)
    return files


class Namespaces:
    """The calling thread's way through named namespaces; `with` brings it back to where it was, whatever happens."""

    def __init__(self) -> None:
        self._home = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        self._open: dict[str, int] = {}
        self._here: str | None = None
        self._directory_is_ready = False
        _allow_open_files()

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._move(self._home, None)
        finally:
            for descriptor in (self._home, *self._open.values()):
                os.close(descriptor)

    def descriptor(self, name: str) -> int:
        """An open file of the namespace, valid inside this `with` block. NotFound: there is none of that name."""
        if name not in self._open:
            if not is_namespace(name):
                raise NotFound(f"there is no network namespace {name}")
            self._open[name] = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
        return self._open[name]

    def enter(self, name: str) -> None:
        """Go into the namespace. NotFound: there is none of that name."""
        if name != self._here:
            self._move(self.descriptor(name), name)

    def create(self, name: str) -> None:
        """Make an empty namespace, name it and go into it. KernelError: it exists, or the kernel refuses."""
        if is_namespace(name):
            raise KernelError(f"ip netns add {name}", name, errno.EEXIST)
        if not self._directory_is_ready:
            _ensure_directory()
            self._directory_is_ready = True
        path = DIRECTORY / name
        # Without O_EXCL: after a crash between the two steps the file is there with nothing mounted on it.
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, mode=0))
        _check(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)", name)
        self._here = name
        self._open[name] = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        _mount(THREAD_NAMESPACE, path, MS_BIND, name)

    def delete(self, name: str) -> None:
        """Delete the namespace; a namespace's own descriptor here is closed, since it would keep it alive."""
        if name == self._here:
            self._move(self._home, None)
        if name in self._open:
            os.close(self._open.pop(name))
        delete((name,))

    def _move(self, descriptor: int, name: str | None) -> None:
        _check(_libc.setns(descriptor, CLONE_NEWNET), "setns", name or "the process's own namespace")
        self._here = name


def _files_of(lab: str) -> tuple[str, ...]:
    if not DIRECTORY.is_dir():
        return ()
    return tuple(sorted(entry for entry in os.listdir(DIRECTORY) if entry.startswith(f"{lab}.")))


def _ensure_directory() -> None:
    """Make /run/netns as `ip netns add` does: a shared mount, so that what is mounted there by one shows everywhere.

    Locked: two that bind the folder on itself at once would each double what the other one did.
    """
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if _libc.mount(b"", os.fsencode(DIRECTORY), b"none", ctypes.c_ulong(MS_SHARED | MS_REC), None) == 0:
            return
        if ctypes.get_errno() != errno.EINVAL:  # EINVAL: it is no mount yet
            raise KernelError(f"mount --make-shared {DIRECTORY}", str(DIRECTORY), ctypes.get_errno())
        _mount(DIRECTORY, DIRECTORY, MS_BIND | MS_REC, str(DIRECTORY))
        _mount("", DIRECTORY, MS_SHARED | MS_REC, str(DIRECTORY))
    finally:
        os.close(folder)


def _mount(source: str | Path, target: Path, flags: int, where: str) -> None:
    done = _libc.mount(os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None)
    _check(done, f"mount on {target}", where)


def _unmount(name: str) -> None:
    if _libc.umount2(os.fsencode(DIRECTORY / name), MNT_DETACH) and ctypes.get_errno() not in (
        errno.EINVAL,  # a file, nothing is mounted on it
        errno.ENOENT,
    ):
        raise KernelError(f"ip netns delete {name}", name, ctypes.get_errno())


def _check(result: int, operation: str, where: str) -> None:
    if result != 0:
        raise KernelError(operation, where, ctypes.get_errno())


def _allow_open_files() -> None:
    """A descriptor a namespace is held open: raise the soft limit, which is 1024 in most shells, to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
