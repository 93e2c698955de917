"""Who asks: nobody gets in without a certificate of the lab's authority, not even to read.

A connection over the lab's unix socket needs none: the kernel lets its owner alone connect. What TLS itself refuses, a
certificate of somebody else's or one that has expired, never comes here (`netlab.api.secure`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from netlab.api.statuses import Refusal

FIRST_REQUEST_SECONDS = 30.0
"""From a connection's beginning to its first request, TLS included. A client that has asked once may be silent."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Relative = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and the groups that it is in, by the names that Kubernetes gives them."""

    user: str
    groups: tuple[str, ...]


OWNER = Identity("system:admin", ("system:masters",))
"""Who asks over the unix socket."""


class FirstRequests:
    """Connections that have not asked for anything yet."""

    def __init__(self) -> None:
        self._timers: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def expect(self, connection: web.RequestHandler) -> None:
        """End the connection unless its first request comes in time."""
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(FIRST_REQUEST_SECONDS, self._end, connection)

    def came(self, connection: web.RequestHandler) -> None:
        """A request has come by the connection."""
        if timer := self._timers.pop(connection, None):
            timer.cancel()

    def _end(self, connection: web.RequestHandler) -> None:
        del self._timers[connection]
        connection.force_close()


FIRST_REQUESTS = web.AppKey("FIRST_REQUESTS", FirstRequests)


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request pass if it is known who asks. Raises Refusal 401."""
    request.app[FIRST_REQUESTS].came(request.protocol)
    if identify(request) is None:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    return await handler(request)


def identify(request: web.Request) -> Identity | None:
    """Who asks, by the connection that the request came by; None: nobody that is known."""
    transport = request.transport
    if transport is None:
        return None
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_UNIX:
        return OWNER
    certificate = transport.get_extra_info("peercert")
    return _subject(certificate) if certificate else None


def _subject(certificate: Mapping[str, Sequence[Relative]]) -> Identity | None:
    """As `ssl.SSLSocket.getpeercert` gives it: a sequence of names, each a sequence of one or more pairs."""
    pairs = [pair for relative in certificate.get("subject", ()) for pair in relative]
    users = [value for name, value in pairs if name == "commonName"]
    groups = tuple(value for name, value in pairs if name == "organizationName")
    return Identity(users[-1], groups) if users else None
