"""The built-in server of a Pod: it answers on every declared port with the Pod's name and the client address it saw.

Its sockets are opened inside the Pod's network namespace and served from wherever the process is: hundreds of Pods need
one process. TCP (and SCTP where the kernel has it) answers HTTP; UDP answers every datagram with one line.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

from netlab.errors import KernelError
from netlab.workload.connection import Connection
from netlab.workload.datagrams import DatagramServer
from netlab.workload.http import Request, Response
from netlab.workload.namespaces import inside

PATHS = ("/", "/hostname", "/clientip", "/healthz", "/readyz")


@dataclass(frozen=True, slots=True, order=True)
class Listen:
    """A port to answer on; `protocol` is TCP, UDP or SCTP as in a containerPort."""

    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.protocol} port {self.port}"


class PodServer:
    """The server of one Pod. `ready` is what /readyz says; POST /readyz sets it.

    `readiness_path` is answered like /readyz unless it has a meaning of its own here: the path of the Pod's readiness
    probe, so that any manifest's probe succeeds. `say` gets a line for each request, for the container's log.
    """

    def __init__(self, pod: str, *, say: Callable[[str], None], readiness_path: str = "/readyz") -> None:
        self.pod = pod
        self.ready = True
        self.closed = False
        self._say = say
        self._readiness_path = readiness_path
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[DatagramServer] = []
        self.connections: set[Connection] = set()

    async def open(self, namespace: str, ports: Iterable[Listen]) -> None:
        """Answer on these ports in that network namespace. KernelError names the port that cannot be had.

        A protocol that the kernel does not have is logged and left out.
        """
        sockets: list[socket.socket] = []
        try:
            with inside(namespace):
                for port in ports:
                    sockets.extend(self._bind(port, namespace))
            while sockets:
                await self._serve(sockets[0])
                sockets.pop(0)
        except BaseException:
            self.close()
            raise
        finally:
            for leftover in sockets:
                leftover.close()

    def close(self) -> None:
        """Give up every socket now: an open one would keep the Pod's network namespace alive."""
        self.closed = True
        for server in self._servers:
            server.close()
        for datagrams in self._datagrams:
            datagrams.close()
        for connection in tuple(self.connections):
            connection.abort()
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
            self._datagrams.append(DatagramServer(bound, self.pod, say=self._say))
            return
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: Connection(self), sock=bound, backlog=1024))

    def respond(self, request: Request, *, client: str, server: str) -> Response:
        """The answer to one request, from and to these addresses (ADDRESS:PORT)."""
        path = "/readyz" if request.path == self._readiness_path and request.path not in PATHS else request.path
        methods = ("GET", "HEAD", "POST") if path == "/readyz" else ("GET", "HEAD")
        if path not in PATHS:
            return Response(HTTPStatus.NOT_FOUND, f"{self.pod} has only {', '.join(PATHS)}\n")
        if request.method not in methods:
            allowed = ", ".join(methods)
            return Response(HTTPStatus.METHOD_NOT_ALLOWED, f"use {allowed} here\n", allow=allowed)
        if path == "/readyz":
            return self._set_ready(request.body) if request.method == "POST" else self._readiness()
        texts = {
            "/": f"{self.pod}\nclient {client}\nserver {server}\n",
            "/hostname": f"{self.pod}\n",
            "/clientip": f"{client.rpartition(':')[0].strip('[]')}\n",
            "/healthz": "ok\n",
        }
        return Response(HTTPStatus.OK, texts[path])

    def _readiness(self) -> Response:
        if self.ready:
            return Response(HTTPStatus.OK, "ready\n")
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, "not ready\n")

    def _set_ready(self, body: bytes) -> Response:
        wanted = {b"true": True, b"false": False}.get(body.strip().lower())
        if wanted is None:
            return Response(HTTPStatus.BAD_REQUEST, "the body must be true or false\n")
        self.ready = wanted
        return Response(HTTPStatus.OK, "ready\n" if wanted else "not ready\n")

    def note(self, line: str) -> None:
        """A line for the container's log."""
        self._say(line)


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
