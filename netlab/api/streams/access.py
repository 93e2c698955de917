"""What the API server needs of the lab to reach into a Pod, and reading and writing of open files in an event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from netlab.model.objects import Pod

CHUNK = 32768


class Command(Protocol):
    """A command that runs in a Pod. `close` ends it if it still runs."""

    stdin: int
    """Open for writing; -1 where it has no input."""
    outputs: tuple[int, ...]
    """Open for reading: standard output and error, or the terminal alone. All non-blocking, closed by `close`."""

    def resize(self, *, columns: int, rows: int) -> None:
        """Tell its terminal how large the client's is."""

    def end_input(self) -> None:
        """There is nothing more for it to read."""

    async def ended(self) -> int:
        """Its exit status as a shell gives it, once it has ended."""

    def close(self) -> None:
        """Give it up."""


class PodAccess(Protocol):
    """The way into a lab's Pods."""

    def start(self, pod: Pod, argv: Sequence[str], *, terminal: bool, stdin: bool) -> Command:
        """Run a command as if in the Pod. NotFound where the Pod has no network namespace."""

    def attach(self, pod: Pod, container: str, *, stdin: bool) -> Command:
        """What runs in a container already, which `close` leaves alone. NotFound where nothing does.

        Its input is the container's if that has one (`stdin: true`) and the client wants it. However the container
        ends, `ended` says 0: clients learn from the Pod's status how, and take anything else for a failed attach.
        """

    def log(self, pod: Pod, container: str) -> Path:
        """The file with what a container printed (netlab.model.container_log); it may not be there yet."""

    def socket_in(self, pod: Pod, family: socket.AddressFamily) -> socket.socket:
        """A TCP socket, not connected, in the Pod's network. NotFound."""


async def read(descriptor: int) -> bytes:
    """What comes next, as soon as anything does; empty at the end, a terminal's hang-up included."""
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            await _ready(descriptor, writing=False)
        except OSError:  # EIO: nobody holds the terminal's other end any more
            return b""


async def write(descriptor: int, data: bytes) -> bool:
    """Write all of it, waiting while the reader is busy; False where nobody reads any more."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _ready(descriptor, writing=True)
        except OSError:
            return False
    return True


async def _ready(descriptor: int, *, writing: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)
