"""How a client reaches an API server: sockets, TLS, and who it says it is."""

from __future__ import annotations

import os
import socket
import ssl
from functools import partial

import aiohttp
from aiohttp import hdrs

from netlab.api import tls_buffers
from netlab.errors import InvalidInput, Problem
from netlab.model.access import ServerAccess

CONNECT_SECONDS, NEAR_CONNECT_SECONDS = 10.0, 5.0
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""Seconds and tries: a server that is gone without a word is noticed after 45 s, as fast as kube-proxy does it."""
NEAR_KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 6),
    (socket.TCP_KEEPINTVL, 2),
    (socket.TCP_KEEPCNT, 2),
    (socket.TCP_USER_TIMEOUT, 10_000),
)
"""The same of a lab's own server: 10 s, also where something was sent and nobody confirms it (milliseconds; tcp(7)).

Who cuts a cable in a lab wants to see what comes of it.
"""


def open_session(access: ServerAccess) -> aiohttp.ClientSession:
    """A session for requests to `access.url`. InvalidInput: its certificates are none."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds(access))
    if access.socket:
        unix = aiohttp.UnixConnector(str(access.socket), limit=0)
        return aiohttp.ClientSession(connector=unix, timeout=timeout)
    secure = tls(access) if access.url.startswith("https:") else False
    tls_buffers.keep_small()
    options = NEAR_KEEPALIVE if access.in_lab else KEEPALIVE
    connector = aiohttp.TCPConnector(ssl=secure, limit=0, socket_factory=partial(_socket, options=options))
    return aiohttp.ClientSession(connector=connector, timeout=timeout)


def connect_seconds(access: ServerAccess) -> float:
    """How long to wait for a server to take a connection."""
    return NEAR_CONNECT_SECONDS if access.in_lab else CONNECT_SECONDS


def tls(access: ServerAccess) -> ssl.SSLContext:
    """What is believed and what is shown. InvalidInput."""
    try:
        context = ssl.create_default_context(cadata=access.authority or None)
        # Clusters' own authorities rarely have all that Python 3.13 began to ask for (RFC 5280, key identifiers).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not access.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if access.certificate:
            _show(context, access.certificate + "\n" + access.key)
    except (ssl.SSLError, ValueError) as error:
        message = f"the certificates for {access.name} cannot be used: {error}"
        raise InvalidInput([Problem("", 0, 0, "", message)]) from error
    return context


def identity(access: ServerAccess) -> dict[str, str]:
    """The header that says who asks. OSError where the token's file cannot be read."""
    token = access.token_file.read_text().strip() if access.token_file else access.token
    return {hdrs.AUTHORIZATION: f"Bearer {token}"} if token else {}


def _show(context: ssl.SSLContext, pem: str) -> None:
    """The library reads certificates out of files alone: this one is in memory and nobody else's."""
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _socket(
    address: tuple[int, int, int, str, tuple[object, ...]], *, options: tuple[tuple[int, int], ...]
) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in options:
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
