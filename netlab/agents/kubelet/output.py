"""Where a container's output goes: into its log, and to the clients that are attached."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

from netlab.agents.kubelet.log import ContainerLog
from netlab.model.container_log import Stream
from netlab.workload.talk import Exited, send

ENOUGH = 256 * 1024
"""Bytes that wait for a slow client before a command is read no further."""
TOO_MUCH = 4 * 1024 * 1024
"""Bytes that wait for a client before it is given up: of a built-in server, which nothing holds back."""


class Pipe:
    """The writing end of a pipe, and what its reader has had no room for yet."""

    def __init__(self, file: int, *, moved: Callable[[], None]) -> None:
        self._file = file
        self._moved = moved
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._ending = False
        os.set_blocking(file, False)

    @property
    def waiting(self) -> int:
        """Bytes that are not written yet."""
        return len(self._waiting)

    def write(self, data: bytes) -> None:
        """Write as much as there is room for, and the rest later."""
        if self._file >= 0 and not self._ending:
            self._waiting += data
            self._flush()

    def end(self) -> None:
        """Close it once all is written."""
        self._ending = True
        self._flush()

    def close(self) -> None:
        """Close it now."""
        if self._file >= 0:
            self._loop.remove_writer(self._file)
            os.close(self._file)
        self._file = -1
        self._waiting.clear()

    def _flush(self) -> None:
        if self._file < 0:
            return
        try:
            while self._waiting:
                del self._waiting[: os.write(self._file, self._waiting)]
        except BlockingIOError:
            self._loop.add_writer(self._file, self._flush)
        except OSError:  # nobody reads any more
            self.close()
        else:
            self._loop.remove_writer(self._file)
            if self._ending:
                self.close()
        self._moved()


class Client:
    """One that is attached: its pipes, and the connection over which it hears of the end."""

    def __init__(self, connection: socket.socket, outputs: Mapping[Stream, int], *, moved: Callable[[], None]) -> None:
        self._connection = connection
        self._pipes = {stream: Pipe(file, moved=moved) for stream, file in outputs.items()}

    @property
    def waiting(self) -> int:
        """Bytes that it has not read yet."""
        return max(pipe.waiting for pipe in self._pipes.values())

    def write(self, data: bytes, stream: Stream) -> None:
        """Show it. A terminal's client has one stream for both."""
        self._pipes.get(stream, self._pipes[Stream.STDOUT]).write(data)

    def finish(self, status: int) -> None:
        """All is said: with this exit status the container has ended."""
        for pipe in self._pipes.values():
            pipe.end()
        with contextlib.suppress(OSError):
            send(self._connection, Exited(status=status))

    def close(self) -> None:
        """It is gone."""
        for pipe in self._pipes.values():
            pipe.close()


class ContainerOutput:
    """What one container prints."""

    def __init__(self, log: ContainerLog) -> None:
        self.log = log
        self._clients: set[Client] = set()
        self._room: asyncio.Future[None] | None = None

    def write(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        """Log it, and show it to everybody."""
        self.log.write(data, stream)
        for client in tuple(self._clients):
            client.write(data, stream)
            if client.waiting > TOO_MUCH:
                self.leave(client)

    def line(self, text: str) -> None:
        """The same with a line."""
        self.write(f"{text}\n".encode(errors="backslashreplace"))

    def room(self) -> asyncio.Future[None] | None:
        """What is done once every client has read enough; None where it has."""
        if self._room is None and any(client.waiting > ENOUGH for client in self._clients):
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def join(self, connection: socket.socket, outputs: Mapping[Stream, int], *, replay: bool) -> Client:
        """Attach a client; with `replay` it sees first what has been printed so far."""
        client = Client(connection, outputs, moved=self._moved)
        for entry in self.log.entries() if replay else ():
            client.write(entry.data, entry.stream)
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """A client is gone."""
        self._clients.discard(client)
        client.close()
        self._moved()

    def finish(self, status: int) -> None:
        """The container has ended: all clients are told."""
        for client in self._clients:
            client.finish(status)
        self._clients.clear()

    def _moved(self) -> None:
        if self._room and not any(client.waiting > ENOUGH for client in self._clients):
            self._room.set_result(None)
            self._room = None
