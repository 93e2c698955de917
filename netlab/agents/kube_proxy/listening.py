"""HTTP on addresses of the node. What cannot be listened on is said and done without, as kube-proxy does."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, create_server, socket

from aiohttp import web

EVERYWHERE = ("0.0.0.0", "::")
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What a kernel without IPv6, or with IPv6 turned off, says of `::`."""
log = logging.getLogger(__name__)


class Listener:
    """Some routes on one port of some addresses; `describe` is what they are, for the log."""

    def __init__(self, routes: Iterable[web.RouteDef], *, describe: str) -> None:
        self._describe = describe
        self._sockets: list[socket] = []
        app = web.Application()
        app.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def open(self, hosts: Iterable[str], port: int) -> bool:
        """Listen on each of the addresses; whether that went well on any."""
        await self._runner.setup()
        opened = [await self._listen(host, port) for host in hosts]
        if not any(opened):
            await self.close()
        return any(opened)

    async def close(self) -> None:
        """Stop listening, and end every connection that came in before."""
        loop = asyncio.get_running_loop()
        while self._sockets:
            loop.remove_reader(self._sockets.pop())
        # A connection just accepted becomes the server's two turns later. Where the server is gone by then, asyncio of
        # Python 3.11 leaves it open, and its client waits for an answer that never comes.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await self._runner.cleanup()

    async def _listen(self, host: str, port: int) -> bool:
        try:
            listening = create_server((host, port), family=AF_INET6 if ":" in host else AF_INET)
        except OSError as error:
            if host != "::" or error.errno not in ABSENT:
                log.error("%s: cannot listen on %s port %d: %s", self._describe, host, port, error.strerror or error)
            return False
        self._sockets.append(listening)
        await web.SockSite(self._runner, listening).start()
        return True
