"""The sockets at which the API server listens for TLS, kept by the lab process, so that they outlive an API server.

fabric, or a command ── OpenEntrance + socket ──> lab process ── Entrance + socket ──> API server, which attends

Whoever opens one makes the socket in the network namespace that it is for: the fabric in the control plane's node, a
command in the caller's own, on its loopback. So the lab process needs no way into either.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from netlab.errors import NetlabError
from netlab.lab import messages
from netlab.model.paths import LabPaths
from netlab.workload import talk

TakeDoor = Callable[[str, socket.socket], None]
WIRE = "wire"
"""The entrance on the control plane's node."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class _Open:
    listener: socket.socket
    where: str


class Entrances:
    """Listening sockets by name, and who is told of them."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._attending: list[socket.socket] = []

    def open(self, request: messages.OpenEntrance, file: int) -> str:
        """Listen at a socket that is bound, unless one of that name listens in the same place: where, as HOST:PORT.

        ValueError: the file is no such socket.
        """
        present = self._open.get(request.name)
        if present is None or present.where != request.where:
            listener = _listening(file)
            if present is not None:
                present.listener.close()
            self._open[request.name] = _Open(listener, request.where)
        for connection in self._attending:  # of the same one too: the server's certificate may be another
            self._tell(connection, request.name)
        return _address(self._open[request.name].listener)

    def attend(self, connection: socket.socket) -> None:
        """Tell of every entrance, those that are there and those to come, until the connection ends."""
        self._attending.append(connection)
        for name in self._open:
            self._tell(connection, name)

    def leave(self, connection: socket.socket) -> None:
        """The connection has ended."""
        with contextlib.suppress(ValueError):
            self._attending.remove(connection)

    def close(self) -> None:
        """Give all of them up, in a child."""
        for each in self._open.values():
            each.listener.close()

    def _tell(self, connection: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            talk.send(connection, messages.Entrance(name=name), (self._open[name].listener.fileno(),))


def _listening(file: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=os.dup(file))
    except OSError as error:
        raise ValueError(f"an entrance is a socket ({error.strerror})") from error
    try:
        if listener.type is not socket.SOCK_STREAM or listener.family not in (socket.AF_INET, socket.AF_INET6):
            raise ValueError("an entrance is a TCP socket")
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _address(entrance: socket.socket) -> str:
    host, port = entrance.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bound(host: str, port: int) -> socket.socket:
    """A TCP socket for an entrance, in this network namespace; `::` is every address of both families. OSError.

    It does not listen yet, and others may be bound to the same port: the entrance that is there goes on meanwhile.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if made.family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made


def everywhere(port: int) -> socket.socket:
    """The same on every address, of both families where the kernel has IPv6. OSError."""
    try:
        return bound("::", port)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return bound("0.0.0.0", port)


def attend(paths: LabPaths, take: TakeDoor) -> Callable[[], None]:
    """Have the running event loop take every entrance; call the result to end it. OSError: there is no lab process."""
    loop, connection = asyncio.get_running_loop(), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(paths.control_socket))
    talk.send(connection, messages.Attend())

    def read() -> None:
        data, files = talk.receive(connection)
        if not data:
            loop.remove_reader(connection)
            return
        reply = messages.parse_reply(data)
        if not isinstance(reply, messages.Entrance):
            raise NetlabError(f"the lab process said {reply.say} of its entrances")
        for file in files:
            take(reply.name, socket.socket(fileno=file))

    def stop() -> None:
        loop.remove_reader(connection)
        connection.close()

    loop.add_reader(connection, read)
    return stop
