"""Processes of containers in an event loop: their end, their output, signals to them. Nothing here polls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

from netlab.workload.command import CommandSpec
from netlab.workload.container import shell_status, spawn_alongside, spawn_container

READ_SIZE = 64 * 1024


class Process:
    """A child process by its pid. It is waited for as soon as it ends."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._loop = asyncio.get_running_loop()
        self.pidfd = os.pidfd_open(pid)
        self.ended: asyncio.Future[int] = self._loop.create_future()
        """The exit status as a shell gives it."""
        self._loop.add_reader(self.pidfd, self._reap)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended.done():
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """SIGKILL to it and to its process group, if it leads one."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            self.send(signal.SIGKILL)

    def _reap(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        self._loop.remove_reader(self.pidfd)
        os.close(self.pidfd)
        self.ended.set_result(shell_status(status))


class ContainerCommand:
    """A container's command, running in a PID namespace of its own; what it prints goes to `write`."""

    def __init__(self, spec: CommandSpec, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._output, output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._output, False)
        try:
            with null_device() as null:
                self._process = Process(spawn_container(replace(spec, stdin=null, stdout=output, stderr=output)))
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(output)
        self._loop.add_reader(self._output, self._read)

    @property
    def pidfd(self) -> int | None:
        """The container's first process, while it lives."""
        return None if self._process.ended.done() else self._process.pidfd

    async def ended(self) -> int:
        """The exit status, once all its processes have gone and its output is written."""
        status = await asyncio.shield(self._process.ended)
        while self._output >= 0:  # the pipe holds at most 64 KiB, and nobody writes any more
            self._read()
        return status

    def end(self) -> None:
        """Ask it to end: SIGTERM to its process group."""
        self._process.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all that it started."""
        self._process.send(signal.SIGKILL)

    def _read(self) -> None:
        if self._output < 0:
            return
        try:
            data = os.read(self._output, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._write(data)
        else:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1


async def exit_status(spec: CommandSpec, *, container: int | None) -> int:
    """Run a command to its end, without input or output, among the processes of a container if one is given (a pidfd).

    A caller that is cancelled, as by a timeout, leaves nothing of it running.
    """
    with null_device() as null:
        quiet = replace(spec, stdin=null, stdout=null, stderr=null)
        pid = spawn_container(quiet) if container is None else spawn_alongside(quiet, container)
    process = Process(pid)
    try:
        return await asyncio.shield(process.ended)
    finally:
        process.kill()


@contextlib.contextmanager
def null_device() -> Iterator[int]:
    """/dev/null, open for reading and writing."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield null
    finally:
        os.close(null)
