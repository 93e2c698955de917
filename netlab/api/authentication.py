"""Who asks: nobody gets in without a certificate of the lab's authority, not even to read.

A connection over the lab's unix socket needs none: the kernel lets its owner alone connect. Who shows a certificate of
another authority's is refused by TLS and never comes here (`netlab.api.secure`).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
    """Which connections have asked for nothing yet, or nobody who is known by them."""

    def __init__(self) -> None:
        self._known: set[web.RequestHandler] = set()
        self._since: dict[web.RequestHandler, float] = {}

    def came(self, connection: web.RequestHandler) -> None:
        """Somebody who is known has asked by the connection."""
        self._known.add(connection)

    def overdue(
        self, connections: Iterable[web.RequestHandler], *, now: float, seconds: float
    ) -> tuple[web.RequestHandler, ...]:
        """Of all connections that there are now, those that have been there for so long without a first request."""
        present = set(connections)
        self._known &= present
        self._since = {each: self._since.get(each, now) for each in present - self._known}
        return tuple(each for each, since in self._since.items() if now - since >= seconds)


FIRST_REQUESTS = web.AppKey("FIRST_REQUESTS", FirstRequests)


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request pass if it is known who asks. Raises Refusal 401."""
    if identify(request) is None:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    request.app[FIRST_REQUESTS].came(request.protocol)
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
