"""The API server's doors: sockets that listen for TLS, on the lab's wires and wherever its owner asks for one.

They are opened by others, in whichever network namespace they are for, and come in by name while the server runs. What
is half open does not stay: TLS must be agreed upon, and a first request must come, within seconds.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netlab.api import tls_buffers
from netlab.api.http.front import Reception
from netlab.model.paths import LabPaths

SHUTDOWN_SECONDS = 2.0
BACKLOG = 1024
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of <openssl/x509_vfy.h>."""
OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)
"""Accepted connections inherit them (tcp(7)): one whose client is gone without a word is given up within 45 seconds."""
TakeDoor = Callable[[str, socket.socket], None]
OpenDoors = Callable[[TakeDoor], Callable[[], None]]
"""Has every door given to a TakeDoor by its name, those there are and those that come, until its result is called."""
log = logging.getLogger(__name__)


def no_doors(_take: TakeDoor) -> Callable[[], None]:
    """Where the unix socket is the one way in."""
    return lambda: None


def allow_open_files() -> None:
    """Let this process have as many open files as the machine allows: a connection is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@asynccontextmanager
async def doors(
    reception: Reception, paths: LabPaths, open_doors: OpenDoors, patience: Patience | None = None
) -> AsyncIterator[None]:
    """Serve by TLS at every door that is there or comes. Connections that came in by one are the server's to end."""
    tls_buffers.keep_small()
    served = Doors(reception, paths, patience or Patience())
    stop = open_doors(served.take)
    try:
        yield
    finally:
        stop()
        await served.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may take: for TLS to be agreed upon, and from the connection to the first request.

    A client that has asked once may be silent: it watches.
    """

    handshake_seconds: float = 10.0
    first_request_seconds: float = 30.0


class Doors:
    """The doors by name."""

    def __init__(self, reception: Reception, paths: LabPaths, patience: Patience) -> None:
        self._patience = patience
        self._reception = reception
        self._paths = paths
        self._open: dict[str, asyncio.Server] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def take(self, name: str, door: socket.socket) -> None:
        """Serve at a socket that listens, in place of another of that name."""
        task = asyncio.get_running_loop().create_task(self._serve(name, door))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a door stays shut", exc_info=error)

    async def close(self) -> None:
        """Listen no more."""
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for each in self._open.values():
            each.close()

    async def _serve(self, name: str, door: socket.socket) -> None:
        async with self._turn:  # one after another: the later one of a name is the one that stays
            await self._replace(name, door)

    async def _replace(self, name: str, door: socket.socket) -> None:
        for level, option, value in OPTIONS:
            door.setsockopt(level, option, value)
        if before := self._open.pop(name, None):
            before.close()
        else:
            log.info("serving by TLS on %s port %d (%s)", *door.getsockname()[:2], name)
        self._open[name] = await asyncio.get_running_loop().create_server(
            partial(self._reception.receive, self._patience.first_request_seconds),
            sock=door,
            backlog=BACKLOG,
            ssl=server_tls(authority=self._paths.authority, certificate=self._paths.server_certificate),
            ssl_handshake_timeout=self._patience.handshake_seconds,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )


def server_tls(*, authority: Path, certificate: Path) -> ssl.SSLContext:
    """What the server shows, and whom it believes: who shows a certificate of another authority's is refused.

    Who shows none, or one out of its time, is answered by HTTP (`netlab.api.authentication`): that they understand.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate)
    context.load_verify_locations(authority)
    context.num_tickets = 0  # a session that is taken up again would not be asked for its certificate
    context.options |= ssl.OP_NO_TICKET
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= NO_CHECK_TIME
    return context
