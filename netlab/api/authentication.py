"""Who asks: nobody gets in without a certificate of the lab's authority, not even to read.

A connection over the lab's unix socket needs none: the kernel lets its owner alone connect. Who shows a certificate of
another authority's is refused by TLS and never comes here (`netlab.api.secure`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from netlab.api.statuses import Refusal

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
    """Connections by which nobody who is known has asked for anything yet."""

    def __init__(self) -> None:
        self._timers: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def expect(self, connection: web.RequestHandler, *, seconds: float) -> None:
        """End the connection unless its first request comes in that time."""
        self._timers[connection] = asyncio.get_running_loop().call_later(seconds, self._end, connection)

    def came(self, connection: web.RequestHandler) -> None:
        """Somebody who is known has asked by the connection."""
        if timer := self._timers.pop(connection, None):
            timer.cancel()

    def _end(self, connection: web.RequestHandler) -> None:
        del self._timers[connection]
        connection.force_close()


FIRST_REQUESTS = web.AppKey("FIRST_REQUESTS", FirstRequests)


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request pass if it is known who asks. Raises Refusal 401."""
    if request.transport is None or identify(request.transport) is None:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    request.app[FIRST_REQUESTS].came(request.protocol)
    return await handler(request)


def identify(transport: asyncio.BaseTransport) -> Identity | None:
    """Who asks by that connection; None: nobody that is known."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_UNIX:
        return OWNER
    certificate = transport.get_extra_info("peercert")
    return subject(certificate) if certificate and _in_its_time(certificate) else None


def _in_its_time(certificate: Mapping[str, Any]) -> bool:
    begins, ends = (ssl.cert_time_to_seconds(certificate[name]) for name in ("notBefore", "notAfter"))
    return begins <= time.time() <= ends


def subject(certificate: Mapping[str, Any]) -> Identity | None:
    """Whose a certificate is, as `ssl.SSLSocket.getpeercert` gives it; None: nobody's."""
    names: Sequence[Relative] = certificate.get("subject", ())
    pairs = [pair for relative in names for pair in relative]
    users = [value for name, value in pairs if name == "commonName"]
    groups = tuple(value for name, value in pairs if name == "organizationName")
    return Identity(users[-1], groups) if users else None
