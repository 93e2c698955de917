"""The API server's way into the Pods of its lab: commands by way of the lab process, sockets and logs by itself."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Sequence
from pathlib import Path

from netlab.agents.kubelet.attaching import socket_address
from netlab.errors import NetlabError, NotFound
from netlab.kernel.namespaces import inside
from netlab.lab import messages
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Pod
from netlab.model.paths import LabPaths
from netlab.workload import talk

ENVIRONMENT = {"HOME": "/root", "USER": "root"}
GONE = 137
"""The exit status of a command of which nobody can say how it ended."""


class LabPods:
    """What netlab.api.streams.access.PodAccess asks for."""

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths

    def start(self, pod: Pod, argv: Sequence[str], *, terminal: bool, stdin: bool) -> PodCommand:
        """Run a command as if in the Pod. NotFound where the Pod has no network namespace."""
        environment = ENVIRONMENT | {"TERM": "xterm" if terminal else "dumb"}
        where = self._namespace(pod)
        request = messages.Exec(where=where, argv=tuple(argv), env=environment, terminal=terminal)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(str(self._paths.control_socket))
            return _in_terminal(connection, request) if terminal else _with_pipes(connection, request, stdin=stdin)
        except OSError as error:
            connection.close()
            raise NotFound(f"the lab process does not answer: {error.strerror}") from error
        except BaseException:
            connection.close()
            raise

    def attach(self, pod: Pod, container: str, *, stdin: bool) -> PodCommand:
        """Be shown what a container prints, and with `stdin` have its input, if it has any.

        NotFound: it does not run.
        """
        request = talk.Attach(pod=pod.metadata.uid or "", container=container, stdin=stdin)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with socket_address(self._paths.kubelet_socket(pod.spec.node_name or "")) as address:
                connection.connect(address)
            talk.send(connection, request)
            return _attached(connection)
        except OSError as error:
            connection.close()
            raise NotFound(f"the kubelet of {pod.spec.node_name} does not answer: {error.strerror}") from error
        except BaseException:
            connection.close()
            raise

    def log(self, pod: Pod, container: str) -> Path:
        """The log of what a container printed."""
        return self._paths.container_log(pod.metadata.namespace or "default", pod.metadata.name, container)

    def socket_in(self, pod: Pod, family: socket.AddressFamily) -> socket.socket:
        """A TCP socket, not connected, in the Pod's network. NotFound."""
        with inside(self._namespace(pod)):
            return socket.socket(family, socket.SOCK_STREAM)

    def _namespace(self, pod: Pod) -> str:
        if pod.spec.host_network:
            place = Place(PlaceKind.NODE, pod.spec.node_name or "")
        else:
            place = Place(PlaceKind.POD, pod.metadata.name, pod.metadata.namespace or "default")
        return network_namespace(self._paths.lab, place)


def _with_pipes(connection: socket.socket, request: messages.Exec, *, stdin: bool) -> PodCommand:
    """Start it with a pipe for each stream; without input it reads /dev/null."""
    given, own = [], []
    try:
        read, write = os.pipe2(os.O_CLOEXEC) if stdin else (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), -1)
        given.append(read)
        own.append(write)
        for _ in range(2):
            read, write = os.pipe2(os.O_CLOEXEC)
            own.append(read)
            given.append(write)
        talk.send(connection, request, given)
        _started(connection)
    except BaseException:
        _close(*own)
        raise
    finally:
        _close(*given)
    return PodCommand(connection, stdin=own[0], outputs=(own[1], own[2]))


def _in_terminal(connection: socket.socket, request: messages.Exec) -> PodCommand:
    talk.send(connection, request)
    (master,) = _started(connection)
    return PodCommand(connection, stdin=master, outputs=(master,), terminal=True)


def _started(connection: socket.socket) -> tuple[int, ...]:
    """The files that come with the answer. NetlabError where the command was not started."""
    data, files = talk.receive(connection)
    reply = messages.parse_reply(data) if data else talk.Failed(message="the lab process ended", exit_code=1)
    if isinstance(reply, talk.Failed):
        raise NetlabError(reply.message)
    return files


def _attached(connection: socket.socket) -> PodCommand:
    """The container's streams. NotFound where there are none to be had."""
    data, files = talk.receive(connection)
    try:
        answer = talk.Attached.model_validate_json(data)
    except ValueError:
        raise NotFound(talk.Failed.model_validate_json(data).message if data else "the kubelet ended") from None
    stdin, outputs = (files[0], files[1:]) if answer.stdin else (-1, files)
    return AttachedCommand(connection, stdin=stdin, outputs=outputs, terminal=answer.terminal)


def _close(*files: int) -> None:
    for file in files:
        if file >= 0:
            os.close(file)


class PodCommand:
    """A command that the lab process has started; it ends with the connection to it."""

    def __init__(
        self, connection: socket.socket, *, stdin: int, outputs: tuple[int, ...], terminal: bool = False
    ) -> None:
        self.stdin = stdin
        self.outputs = outputs
        self._terminal = terminal
        self._connection = connection
        for file in {stdin, *outputs} - {-1}:
            os.set_blocking(file, False)

    def resize(self, *, columns: int, rows: int) -> None:
        """Tell its terminal how large the client's is."""
        if self._terminal and self.stdin >= 0:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.stdin, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end_input(self) -> None:
        """There is nothing more for it to read; of a terminal that cannot be said."""
        if not self._terminal:
            _close(self.stdin)
            self.stdin = -1

    async def ended(self) -> int:
        """Its exit status as a shell gives it, once it has ended."""
        status = await self._told()
        return GONE if status is None else status

    async def _told(self) -> int | None:
        """The exit status that comes over the connection; None where that ends without."""
        self._connection.setblocking(False)
        data = await asyncio.get_running_loop().sock_recv(self._connection, talk.MESSAGE_LIMIT)
        reply = messages.parse_reply(data) if data else None
        return reply.status if isinstance(reply, talk.Exited) else None

    def close(self) -> None:
        """Give it up: the lab process ends it where it still runs."""
        self._connection.close()
        _close(*({self.stdin, *self.outputs} - {-1}))
        self.stdin, self.outputs = -1, ()


class AttachedCommand(PodCommand):
    """What runs in a container already, and goes on when the connection ends."""

    async def ended(self) -> int:
        """0 once the container has ended, however: clients learn from the Pod's status how, as in Kubernetes."""
        return GONE if await self._told() is None else 0

    def end_input(self) -> None:
        """This client has no more to send: whether others may is for the kubelet to say."""
        super().end_input()
        with contextlib.suppress(OSError):
            talk.send(self._connection, talk.EndInput())
