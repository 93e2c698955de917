"""Clients that attach to a node's containers, by way of the API server: the kubelet hands them pipes.

It is the kubelet that reads what containers print and keeps their input open, so it is asked, over a socket in the
lab's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netlab.agents.kubelet.attached import Attached
from netlab.agents.kubelet.container import ContainerRunner
from netlab.errors import NetlabError, NotFound
from netlab.workload import talk

BACKLOG = 64


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """A name for a socket that is short enough (107 bytes) however deep its folder is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _bind(listener: socket.socket, path: Path) -> None:
    """Have the socket there with mode 0600 from its first moment, in place of what a dead kubelet left."""
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        with socket_address(path) as address:
            listener.bind(address)
    finally:
        os.umask(before)


class AttachServer:
    """Waits for clients. `find` gives a container's runner by the Pod's uid and its name."""

    def __init__(self, path: Path, find: Callable[[str, str], ContainerRunner | None]) -> None:
        self._path = path
        self._find = find
        self._loop = asyncio.get_running_loop()
        self._attached: dict[socket.socket, Attached | None] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        _bind(self._listener, path)
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Take no more clients, and leave those that there are."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for connection in tuple(self._attached):
            self._hang_up(connection)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it has changed its mind, or there are no more open files
            return
        connection.setblocking(False)
        self._attached[connection] = None
        self._loop.add_reader(connection, self._read, connection)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(talk.MESSAGE_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        attached = self._attached[connection]
        if not data:
            self._hang_up(connection)
        elif attached is None:
            self._begin(connection, data)
        else:
            attached.end_input()

    def _begin(self, connection: socket.socket, data: bytes) -> None:
        try:
            request = talk.Attach.model_validate_json(data)
            runner = self._find(request.pod, request.container)
            if runner is None:
                raise NotFound(f"container {request.container} is not running")
            self._attached[connection] = runner.attach(connection, stdin=request.stdin)
        except (NetlabError, OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                talk.send(connection, talk.Failed(message=str(error), exit_code=1))
            self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        attached = self._attached.pop(connection)
        self._loop.remove_reader(connection)
        connection.close()
        if attached:
            attached.leave()
