"""TCP of one Service port: accept, choose an endpoint, connect to it, copy."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable
from contextlib import ExitStack
from functools import partial

from netlab.agents.kube_proxy.userspace.allowance import Allowance
from netlab.agents.kube_proxy.userspace.listening_sockets import new_socket
from netlab.agents.kube_proxy.userspace.splice import splice
from netlab.model.rules import Protocol
from netlab.proxy.slices import Endpoint
from netlab.proxy.userspace import Balancer

DIAL_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""How long each try to connect may take; every try is with the next endpoint. As kube-proxy had it."""
BATCH = 64
"""Connections accepted before other sockets get their turn."""
FILES = 2
"""Of one connection: the client's, and the one to the endpoint."""
REST_SECONDS = 1.0
"""Of a listener that cannot accept: its client waits on, and would be reported again and again."""
log = logging.getLogger(__name__)


class TcpPortal:
    """The listener of one Service port and its connections, from now until it is closed.

    A client whose Service has no endpoint, or none that answers, is accepted and hung up on, as kube-proxy did: by
    the time that an endpoint is chosen, the kernel has answered the client's SYN.
    """

    def __init__(self, listener: socket.socket, balancer: Balancer, allowance: Allowance, *, name: str) -> None:
        self._listener, self._balancer, self._allowance, self._name = listener, balancer, allowance, name
        self._loop = asyncio.get_running_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._loop.add_reader(listener, self._accept)

    def endpoints_changed(self) -> None:
        """Connections to endpoints that are gone end when these end: nothing is done about them."""

    def close(self) -> Awaitable[object]:
        """Stop listening and end all connections now; what is returned ends when the last of them has."""
        self._loop.remove_reader(self._listener)
        if self._resting:
            self._resting.cancel()
        self._listener.close()
        for connection in self._connections:
            connection.cancel()
        return asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                client, (address, *_) = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("%s: cannot accept: %s", self._name, error.strerror or error)
                self._rest()
                return
            if self._allowance.take(FILES):
                self._begin(client, address)
            else:
                client.close()

    def _rest(self) -> None:
        self._loop.remove_reader(self._listener)
        self._resting = self._loop.call_later(REST_SECONDS, self._loop.add_reader, self._listener, self._accept)

    def _begin(self, client: socket.socket, address: str) -> None:
        client.setblocking(False)
        connection = self._loop.create_task(self._serve(client, address))
        self._connections.add(connection)
        connection.add_done_callback(partial(self._end, client))

    def _end(self, client: socket.socket, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        client.close()
        self._allowance.give(FILES)

    async def _serve(self, client: socket.socket, address: str) -> None:
        endpoint = await self._connect(address)
        if endpoint is not None:
            await splice(client, endpoint)

    async def _connect(self, client: str) -> socket.socket | None:
        """A connection to an endpoint; None where there is none, or none answers."""
        for seconds in DIAL_SECONDS:
            endpoint = self._balancer.pick(client, now=self._loop.time())
            if endpoint is None:
                return None
            try:
                return await self._dial(endpoint, seconds=seconds)
            except OSError as error:
                log.info("%s: %s does not answer: %s", self._name, endpoint.name, error.strerror or "timed out")
                self._balancer.forget(client)
        return None

    async def _dial(self, endpoint: Endpoint, *, seconds: float) -> socket.socket:
        with ExitStack() as unless_connected:
            connection = unless_connected.enter_context(new_socket(endpoint.address, Protocol.TCP))
            async with asyncio.timeout(seconds):
                await self._loop.sock_connect(connection, (str(endpoint.address), endpoint.port))
            unless_connected.pop_all()
        return connection
