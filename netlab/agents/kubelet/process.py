"""Processes of containers in an event loop: their end, their output, signals to them. Nothing here polls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from netlab.agents.kubelet.streams import close_all, piped_streams, terminal_streams
from netlab.model.container_log import Stream
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


class Sink(Protocol):
    """Where a command's output goes."""

    def write(self, data: bytes, stream: Stream) -> None: ...

    def room(self) -> asyncio.Future[None] | None:
        """What is done once there is room for more; None where there is."""


class ContainerCommand:
    """A container's command, running in a PID namespace of its own; what it prints goes to `sink`."""

    def __init__(self, spec: CommandSpec, sink: Sink, *, stdin: bool = False, terminal: bool = False) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self.terminal = terminal
        streams = terminal_streams(stdin=stdin) if terminal else piped_streams(stdin=stdin)
        self.input = streams.input
        """Open for writing; -1 where nobody can write, or not any more."""
        self._outputs = dict(streams.outputs)
        try:
            self._process = Process(spawn_container(streams.given_to(spec, terminal=terminal)))
        except BaseException:
            close_all(*self._outputs, self.input)
            raise
        finally:
            close_all(*streams.given)
        for output in self._outputs:
            os.set_blocking(output, False)
            self._loop.add_reader(output, self._read, output)

    @property
    def pidfd(self) -> int | None:
        """The container's first process, while it lives."""
        return None if self._process.ended.done() else self._process.pidfd

    async def ended(self) -> int:
        """The exit status, once all its processes have gone and its output is written."""
        status = await asyncio.shield(self._process.ended)
        while self._outputs:  # a pipe holds at most 64 KiB, and nobody writes any more
            self._read(next(iter(self._outputs)))
        self.end_input()
        return status

    def end(self) -> None:
        """Ask it to end: SIGTERM to its process group."""
        self._process.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all that it started."""
        self._process.send(signal.SIGKILL)

    def end_input(self) -> None:
        """It has read all that it gets, as soon as nobody else writes either."""
        if self.input not in self._outputs:  # a terminal's end goes with its output
            close_all(self.input)
        self.input = -1

    def _read(self, output: int) -> None:
        try:
            data = os.read(output, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            self._close(output)
            return
        self._sink.write(data, self._outputs[output])
        if not self._process.ended.done() and (room := self._sink.room()):
            self._loop.remove_reader(output)
            room.add_done_callback(lambda _: self._go_on(output))

    def _go_on(self, output: int) -> None:
        if output in self._outputs:
            self._loop.add_reader(output, self._read, output)

    def _close(self, output: int) -> None:
        self._loop.remove_reader(output)
        if output == self.input:
            self.input = -1
        del self._outputs[output]
        os.close(output)


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
