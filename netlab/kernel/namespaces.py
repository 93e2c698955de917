"""Network namespaces by name: files in /run/netns that a namespace is bind-mounted on, as ip-netns(8) makes them.

A thread is in one network namespace at a time; a socket stays in the one that its thread was in when it was opened.
`Namespaces` moves the calling thread about, which must be the process's only one, and brings it home again.
Sources: setns(2), unshare(2), mount(2), network_namespaces(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from netlab.errors import KernelError, NotFound
from netlab.kernel.syscalls import CLONE_NEWNET, MS_BIND, MS_REC, MS_SHARED, mount, setns, unmount, unshare

DIRECTORY = Path("/run/netns")
THREAD_NAMESPACE = "/proc/thread-self/ns/net"
OWN = "the process's own namespace"


def is_namespace(name: str) -> bool:
    """Whether there is a network namespace of that name; a file that is left over from a crash is none."""
    try:
        return os.stat(DIRECTORY / name).st_dev == os.stat(THREAD_NAMESPACE).st_dev
    except FileNotFoundError:
        return False


def names_of(lab: str) -> tuple[str, ...]:
    """The names of the lab's namespaces, sorted."""
    return tuple(name for name in _files_of(lab) if is_namespace(name))


def open_namespace(name: str) -> int:
    """A file descriptor (close-on-exec) of the network namespace of that name; NotFound where there is none.

    While it is open the namespace lives.
    """
    try:
        return os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"there is no network namespace {name} ({error.strerror})") from error


def current() -> str:
    """What tells the network namespace that this thread is in from every other, as long as something is in it."""
    return str(os.stat(THREAD_NAMESPACE).st_ino)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run a block in the network namespace `name`: sockets opened in it stay there wherever they are used later.

    The thread must not switch tasks in the block (no `await`). NotFound where there is no such namespace. KernelError
    where the way in is barred, or the way back: then the process must end, since it would act in the wrong place.
    """
    target = open_namespace(name)
    home = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _move(target, where=name)
        try:
            yield
        finally:
            _move(home, where=OWN)
    finally:
        os.close(home)
        os.close(target)


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
        with _telling("unshare(CLONE_NEWNET)", name):
            unshare(CLONE_NEWNET)
        self._here = name
        self._open[name] = os.open(THREAD_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        with _telling(f"mount on {path}", name):
            mount(THREAD_NAMESPACE, path, flags=MS_BIND)

    def delete(self, name: str) -> None:
        """Delete the namespace; a namespace's own descriptor here is closed, since it would keep it alive."""
        if name == self._here:
            self._move(self._home, None)
        if name in self._open:
            os.close(self._open.pop(name))
        delete((name,))

    def _move(self, descriptor: int, name: str | None) -> None:
        _move(descriptor, where=name or OWN)
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
        with _telling(f"mount --make-shared {DIRECTORY}", str(DIRECTORY)):
            _share_directory()
    finally:
        os.close(folder)


def _share_directory() -> None:
    try:
        mount("", DIRECTORY, flags=MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # It is no mount yet.
        mount(DIRECTORY, DIRECTORY, flags=MS_BIND | MS_REC)
        mount("", DIRECTORY, flags=MS_SHARED | MS_REC)


def _unmount(name: str) -> None:
    try:
        unmount(DIRECTORY / name)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):  # EINVAL: a file, nothing is mounted on it
            raise KernelError(f"ip netns delete {name}", name, error.errno or 0) from error


def _move(namespace: int, *, where: str) -> None:
    with _telling("enter the network namespace", where):
        setns(namespace, CLONE_NEWNET)


@contextmanager
def _telling(operation: str, where: str) -> Iterator[None]:
    """What the kernel refuses in the block, as a KernelError."""
    try:
        yield
    except OSError as error:
        raise KernelError(operation, where, error.errno or 0) from error


def _allow_open_files() -> None:
    """A descriptor a namespace is held open: raise the soft limit, which is 1024 in most shells, to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
