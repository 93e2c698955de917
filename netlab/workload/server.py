"""The built-in server of a Pod: it answers on every declared port with the Pod's name and the client address it saw.

Its sockets are opened inside the Pod's network namespace and served from wherever the process is: hundreds of Pods need
one process. TCP (and SCTP where the kernel has it) answers HTTP; UDP answers every datagram with one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus

from netlab.workload.connection import Connection
from netlab.workload.datagrams import is_answer
from netlab.workload.http import Request, Response
from netlab.workload.ports import Listen, Ports

PATHS = ("/", "/hostname", "/clientip", "/healthz", "/readyz")


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
        self._ports = Ports(connection=lambda: Connection(self), answer=self._answer_datagram, say=say)
        self.connections: set[Connection] = set()

    async def open(self, namespace: str, ports: Iterable[Listen]) -> None:
        """Answer on these ports in that network namespace. KernelError names the port that cannot be had.

        A protocol that the kernel does not have is logged and left out.
        """
        try:
            await self._ports.open(namespace, ports)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give up every socket now: an open one would keep the Pod's network namespace alive."""
        self.closed = True
        self._ports.close()
        for connection in tuple(self.connections):
            connection.abort()

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

    def _answer_datagram(self, data: bytes, client: str) -> bytes | None:
        if is_answer(data):
            return None
        self._say(f"{client} UDP")
        return f"{self.pod} {client}\n".encode()

    def note(self, line: str) -> None:
        """A line for the container's log."""
        self._say(line)
