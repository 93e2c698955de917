"""Running a command as if on the machine that a network namespace stands for.

    fork ─> streams 0, 1, 2 and nothing else open ─> new session (and controlling terminal)
         ─> the place's network namespace ─> mount and UTS namespaces of its own
         ─> /sys and /proc of that place, its resolv.conf, hosts, hostname, legacy iptables ─> exec

What the machine refuses in a user namespace (a new /proc, a new /sys) the command does without; all else must succeed.
Exit statuses are a shell's: 126 the command cannot be executed, 127 there is no such command; 125 its surroundings
could not be made. In each case standard error says why.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import socket
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from netlab.kernel import syscalls
from netlab.kernel.namespaces import open_namespace
from netlab.workload.legacy import SYSTEM_PATH, LegacyTools, legacy_tools

NO_SURROUNDINGS = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A command and where it runs. ValueError where `argv` is empty or has a zero byte in it."""

    argv: tuple[str, ...]
    namespace: str
    """The network namespace's name, as `ip netns` shows it."""
    hostname: str
    etc: Path | None = None
    """Each file in it is seen as the file of that name in /etc. Its parent keeps what all commands of the lab share."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment. PATH is completed with the folders of system programs."""
    cwd: str = "/"
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    terminal: bool = False
    """`stdin` is a terminal that becomes the controlling one of the command's session."""
    open_files: int | None = None
    """The soft limit of open files (RLIMIT_NOFILE); None: the caller's."""

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("a command needs at least its name")
        if any("\0" in argument for argument in self.argv):
            raise ValueError("a command's arguments cannot hold a zero byte")


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is opened and prepared before the fork: the network namespace's file, and the lab's iptables."""

    namespace: int
    tools: LegacyTools


def spawn(spec: CommandSpec) -> int:
    """Start the command in a session and process group of its own; its pid, for the caller to wait for.

    The calling process must have one thread. NotFound where there is no such network namespace; what goes wrong later
    ends the new process with 125, 126 or 127.
    """
    entrance = open_entrance(spec)
    try:
        return fork(lambda: become(spec, entrance))
    finally:
        os.close(entrance.namespace)


def open_entrance(spec: CommandSpec) -> Entrance:
    """The way into the command's place; the caller closes `namespace` after the fork."""
    tools = legacy_tools(spec.etc.parent) if spec.etc else LegacyTools()
    return Entrance(open_namespace(spec.namespace), tools)


def fork(body: Callable[[], int]) -> int:
    """Fork a process that runs `body`, with default signal handling, and exits with what it returns; its pid.

    All signals are blocked around the fork, and stay so in the child: one that arrived before the child has dropped its
    parent's handlers would be written to the pipe by which signals wake the parent's event loop.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _run_and_exit(body)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_and_exit(body: Callable[[], int]) -> NoReturn:
    status = NO_SURROUNDINGS
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        status = body()
    finally:
        os._exit(status)


def become(spec: CommandSpec, entrance: Entrance) -> int:
    """Turn this process, a fork of one thread, into the command; returns the exit status only where that failed."""
    try:
        namespace = take_streams(spec, keep=entrance.namespace)
        os.setsid()
        if spec.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _settle_in(spec, namespace, entrance.tools)
    except OSError as error:
        return _complain(f"cannot make the surroundings of {spec.argv[0]}: {error}", NO_SURROUNDINGS)
    return _execute(spec, entrance.tools)


def take_streams(spec: CommandSpec, *, keep: int) -> int:
    """Make the command's streams 0, 1 and 2 and close every other file but `keep`; the number `keep` has now."""
    kept, *streams = (
        fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (keep, spec.stdin, spec.stdout, spec.stderr)
    )
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, kept)
    os.closerange(kept + 1, 0x7FFFFFFF)
    return kept


def _settle_in(spec: CommandSpec, namespace: int, tools: LegacyTools) -> None:
    syscalls.setns(namespace, syscalls.CLONE_NEWNET)
    os.close(namespace)
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
    _mount_kernel_views()
    _overlay_etc(spec.etc, tools)
    socket.sethostname(spec.hostname)
    os.umask(0o022)
    if spec.open_files is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (spec.open_files, hard))


def _mount_kernel_views() -> None:
    """/sys of this network namespace (the inherited one shows the host's interfaces), /proc of this PID namespace.

    In a user namespace the kernel may refuse either where the machine has covered a part of its own (a container
    does): mount_namespaces(7). Read-only is tried too, since a new one must not be writable where the old one is not.
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    for kind, target in (("sysfs", "/sys"), ("proc", "/proc")):
        for writable in (0, syscalls.MS_RDONLY):
            try:
                syscalls.mount(kind, target, kind=kind, flags=flags | writable)
            except PermissionError:
                continue
            except OSError as error:
                if error.errno != errno.EBUSY:  # the one that is there is this namespace's own already
                    raise
            break


def _overlay_etc(etc: Path | None, tools: LegacyTools) -> None:
    for source in sorted(etc.iterdir()) if etc and etc.is_dir() else ():
        target = Path("/etc") / source.name
        if target.exists():  # nothing can be mounted where the machine has no such file
            syscalls.mount(source, target, flags=syscalls.MS_BIND)
    if tools.alternatives:
        syscalls.mount(tools.alternatives, "/etc/alternatives", flags=syscalls.MS_BIND)


def _execute(spec: CommandSpec, tools: LegacyTools) -> int:
    name = spec.argv[0]
    try:
        os.chdir(spec.cwd)
    except OSError as error:
        return _complain(f"{name}: cannot change to {spec.cwd}: {error.strerror}", NOT_EXECUTABLE)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvpe(name, spec.argv, {**spec.env, "PATH": search_path(spec.env, tools)})
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = "command not found" if "/" not in name else (error.strerror or "").lower()
        return _complain(f"{name}: {reason}", NOT_FOUND)
    except (OSError, ValueError) as error:  # ValueError: a name in the environment that execve(2) cannot take
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return _complain(f"{name}: {reason.lower()}", NOT_EXECUTABLE)


def search_path(env: Mapping[str, str], tools: LegacyTools) -> str:
    """PATH as the command gets it: its own, completed with the folders of system programs; legacy iptables first."""
    own = [folder for folder in env.get("PATH", "").split(":") if folder]
    first = [str(tools.programs)] if tools.programs else []
    return ":".join([*first, *own, *(folder for folder in SYSTEM_PATH if folder not in own)])


def _complain(message: str, status: int) -> int:
    os.write(2, f"netlab: {message}\n".encode(errors="surrogateescape"))
    return status
