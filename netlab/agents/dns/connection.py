"""DNS over TCP: messages with their length before them, many on one connection. Source: RFC 7766."""

from __future__ import annotations

import asyncio
from typing import Protocol

from netlab.workload.connection import endpoint_text

IDLE_SECONDS = 10.0
"""How long a connection may go without a complete query: what RFC 7766 calls a few seconds, CoreDNS 10."""
CONNECTIONS = 200
"""Clients at once; one more is turned away."""
LENGTH = 2
"""Bytes of the length before each message."""


class Site(Protocol):
    """What a connection needs of its server."""

    connections: set[DnsConnection]
    closed: bool

    def respond_tcp(self, data: bytes, client: str) -> bytes | None: ...


class DnsConnection(asyncio.Protocol):
    """One client's connection: queries in, responses out in the same order, as fast as the client takes them."""

    def __init__(self, server: Site) -> None:
        self._server = server
        self._buffer = bytearray()
        self._writable = True
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._client = endpoint_text(transport.get_extra_info("peername")).rpartition(":")[0].strip("[]")
        if self._server.closed or len(self._server.connections) >= CONNECTIONS:
            return transport.abort()
        self._server.connections.add(self)
        return self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

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
        """Answer the queries that are complete; whoever sends what is none is not listened to any longer."""
        while self._writable and self._transport and not self._transport.is_closing():
            message = self._next_message()
            if message is None:
                break
            response = self._server.respond_tcp(message, self._client)
            if response is None:
                self._transport.close()
                break
            self._transport.write(len(response).to_bytes(LENGTH, "big") + response)
            self._wait()

    def _next_message(self) -> bytes | None:
        end = LENGTH + int.from_bytes(self._buffer[:LENGTH], "big")
        if len(self._buffer) < max(LENGTH, end):
            return None
        message = bytes(self._buffer[LENGTH:end])
        del self._buffer[:end]
        return message

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.abort)
