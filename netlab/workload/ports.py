"""A Pod's listening ports: opened inside its network namespace, served from wherever the process is."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netlab.errors import KernelError
from netlab.kernel.namespaces import inside
from netlab.workload.datagrams import AnswerDatagram, DatagramServer


@dataclass(frozen=True, slots=True, order=True)
class Listen:
    """A port to answer on; `protocol` is TCP, UDP or SCTP as in a containerPort."""

    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.protocol} port {self.port}"


class Ports:
    """Serves a `connection` to each TCP or SCTP client and an `answer` to each datagram; `say` gets what went wrong."""

    def __init__(
        self, *, connection: Callable[[], asyncio.Protocol], answer: AnswerDatagram, say: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._say = say
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[DatagramServer] = []

    async def open(self, namespace: str, ports: Iterable[Listen]) -> None:
        """Answer on these ports in that network namespace. KernelError names the port that cannot be had.

        A protocol that the kernel does not have is logged and left out. After an error, `close` what was opened.
        """
        sockets: list[socket.socket] = []
        try:
            with inside(namespace):
                for port in ports:
                    sockets.extend(self._bind(port, namespace))
            while sockets:
                await self._serve(sockets[0])
                sockets.pop(0)
        finally:
            for leftover in sockets:
                leftover.close()

    def close(self) -> None:
        """Give up the listening sockets: an open one would keep the Pod's network namespace alive."""
        for server in self._servers:
            _close(server)
        for datagrams in self._datagrams:
            datagrams.close()
        self._servers.clear()
        self._datagrams.clear()

    def _bind(self, port: Listen, namespace: str) -> list[socket.socket]:
        try:
            bound = [bind(port)]
        except OSError as error:
            if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                self._say(f"not answering on {port}: this kernel has no {port.protocol}")
                return []
            raise KernelError(f"listen on {port}", namespace, error.errno or 0) from error
        self._say(f"answering on {port}")
        return bound

    async def _serve(self, bound: socket.socket) -> None:
        if bound.type == socket.SOCK_DGRAM:
            self._datagrams.append(DatagramServer(bound, self._answer))
            return
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._connection, sock=bound, backlog=1024))


def _close(server: asyncio.Server) -> None:
    """Accept nobody from now on, and close two turns of the loop later.

    Then a connection just accepted has become the server's. Where that is closed by then, asyncio of Python 3.11 leaves
    the connection open, and its client waits for an answer that never comes.
    """
    loop = server.get_loop()
    for each in server.sockets:
        loop.remove_reader(each.fileno())
    loop.call_soon(loop.call_soon, server.close)


def bind(port: Listen) -> socket.socket:
    """A non-blocking socket on every address of the current network namespace, IPv4 and IPv6 in one."""
    kind, protocol = {
        "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
        "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        "SCTP": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    }[port.protocol]
    bound, anywhere = _dual_stack(kind, protocol)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((anywhere, port.port))
        if kind == socket.SOCK_STREAM:
            bound.listen(1024)
    except OSError:
        bound.close()
        raise
    return bound


def _dual_stack(kind: socket.SocketKind, protocol: int) -> tuple[socket.socket, str]:
    """A socket of both families and the address that means any; of IPv4 alone on a kernel without IPv6."""
    try:
        both = socket.socket(socket.AF_INET6, kind, protocol)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return socket.socket(socket.AF_INET, kind, protocol), "0.0.0.0"
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return both, "::"
