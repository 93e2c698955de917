"""One client's connection to the built-in server."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Protocol

from netlab.workload.http import BadRequest, Request, RequestReader, Response

PARTIAL_REQUEST_SECONDS = 15.0
"""How long the rest of a request may take, once it has begun."""
IDLE_SECONDS = 3600.0
"""How long a connection may be silent: long, since a learner watches open connections outlive their Service."""
FAREWELL_SECONDS = 2.0
"""How long to read on after refusing a request: closing at once would reset the connection and lose the answer."""


class Site(Protocol):
    """What a connection needs of its server."""

    connections: set[Connection]
    closed: bool

    def respond(self, request: Request, *, client: str, server: str) -> Response: ...

    def note(self, line: str) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection: requests in, answers out, bounded in size and time."""

    def __init__(self, server: Site) -> None:
        self._server = server
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._at_end = False
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._client = endpoint_text(transport.get_extra_info("peername"))
        self._local = endpoint_text(transport.get_extra_info("sockname"))
        if self._server.closed:  # while the loop was accepting
            return transport.abort()
        self._server.connections.add(self)
        return self._wait(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        fresh = not self._reader.waiting
        self._reader.feed(data)
        self._work()
        if self._refused:
            return
        if self._reader.waiting and fresh:
            self._wait(PARTIAL_REQUEST_SECONDS)
        elif not self._reader.waiting:
            self._wait(IDLE_SECONDS)

    def eof_received(self) -> bool:
        """The client sends no more, but may still read."""
        self._at_end = True
        if self._refused:
            return False
        self._work()
        return True

    def pause_writing(self) -> None:
        self._writable = False
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._writable = True
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()
            self._work()

    def abort(self) -> None:
        """Close without waiting for anything."""
        if self._transport:
            self._transport.abort()

    def _work(self) -> None:
        """Answer what is complete, while the client takes the answers."""
        try:
            while self._writable and not self._refused and self._transport and not self._transport.is_closing():
                request = self._reader.next()
                if request is None:
                    return self._end_of_input()
                self._answer(request)
        except BadRequest as error:
            self._refuse(error)

    def _answer(self, request: Request) -> None:
        response = self._server.respond(request, client=self._client, server=self._local)
        self._server.note(f"{self._client} {request.method} {request.path} {response.status.value}")
        data = response.encode(keep_alive=request.keep_alive, with_body=request.method != "HEAD")
        self._write(data, close=not request.keep_alive)

    def _refuse(self, error: BadRequest) -> None:
        self._refused = True
        self._server.note(f"{self._client} {error.status.value} {error}")
        self._write(error.response().encode(keep_alive=False), close=self._at_end)
        if self._transport and not self._transport.is_closing():
            self._transport.write_eof()
            self._wait(FAREWELL_SECONDS)

    def _end_of_input(self) -> None:
        if self._at_end and self._reader.waiting:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the request ends too early")
        if self._at_end and self._transport:
            self._transport.close()

    def _write(self, data: bytes, *, close: bool) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)
            if close:
                self._transport.close()

    def _wait(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)


def endpoint_text(address: tuple[str, int] | tuple[str, int, int, int] | None) -> str:
    """ADDRESS:PORT, an IPv6 address in brackets, an IPv4 one that came over an IPv6 socket as IPv4."""
    if not address:
        return "unknown:0"
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
