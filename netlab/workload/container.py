"""A container's processes: a PID namespace a container, so that none of them can outlive it.

The first process of the namespace is a fork of the caller that does nothing but start the command, pass SIGTERM on to
its process group, wait, and end with its exit status. When it ends the kernel kills whatever the command has left
behind, and only then tells the caller (pid_namespaces(7)). It ends with the caller, too, however that one ends.

The command itself is not process 1, which ignores every signal that it has no handler for: `sleep` ends on SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace

from netlab.kernel import syscalls
from netlab.workload.command import CommandSpec, Entrance, become, fork, open_entrance, take_streams


def spawn_container(spec: CommandSpec) -> int:
    """Start the command in a PID namespace of its own; the pid of that namespace's first process.

    SIGTERM sent to it reaches the command's process group; SIGKILL ends all of the container. Its exit status is the
    command's, or 128 and the number of the signal that ended it. Otherwise as `spawn`.
    """
    return _spawn(spec, lambda: syscalls.unshare(syscalls.CLONE_NEWPID), lambda entrance: _first(spec, entrance))


def spawn_alongside(spec: CommandSpec, container: int) -> int:
    """Start the command among the processes of a container, named by a pidfd of its first process; its pid.

    ProcessLookupError where the container has ended. Otherwise as `spawn`.
    """
    return _spawn(
        spec, lambda: syscalls.setns(container, syscalls.CLONE_NEWPID), lambda entrance: become(spec, entrance)
    )


def _spawn(spec: CommandSpec, move: Callable[[], None], body: Callable[[Entrance], int]) -> int:
    """Fork with the PID namespace for children set by `move`, then set it back."""
    entrance = open_entrance(spec)
    home = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        move()
        try:
            return fork(lambda: body(entrance))
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWPID)
    finally:
        os.close(home)
        os.close(entrance.namespace)


def _first(spec: CommandSpec, entrance: Entrance) -> int:
    """The container's process 1. All signals are blocked in it; sigwait(3) takes the two it acts on."""
    syscalls.die_with_parent(signal.SIGKILL)
    kept = take_streams(spec, keep=entrance.namespace)
    inner = replace(spec, stdin=0, stdout=1, stderr=2)
    command = fork(lambda: become(inner, Entrance(kept, entrance.tools)))
    os.closerange(0, kept + 1)
    while True:
        if signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) == signal.SIGTERM:
            _terminate(command)
        elif (status := _reap(command)) is not None:
            return status


def _terminate(command: int) -> None:
    try:
        os.killpg(command, signal.SIGTERM)
    except ProcessLookupError:  # it has no group of its own yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(command, signal.SIGTERM)


def _reap(command: int) -> int | None:
    """Wait for whatever has ended, orphans too; the command's status as a shell gives it, once it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == command:
            return shell_status(status)


def shell_status(status: int) -> int:
    """A wait status as a shell gives it in `$?`: the exit status, or 128 and the number of the signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
