"""The first look at a connection: who asks to change over to SPDY is served here, everybody else by aiohttp.

aiohttp lets a client change over to WebSockets alone. Older kubectls know only SPDY for commands and forwarded ports,
on a connection that they open for that and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from netlab.api.authentication import FIRST_REQUESTS, identify
from netlab.api.cluster import Cluster
from netlab.api.http.pod_requests import CONNECTING, check_running, command_request, serve_spdy
from netlab.api.http.requests import Target, parse_path
from netlab.api.statuses import Refusal
from netlab.api.streams.access import PodAccess
from netlab.model.objects import Pod

log = logging.getLogger(__name__)
HEAD_LIMIT = 64 * 1024
HEAD_END = b"\r\n\r\n"
COMMANDS = "v4.channel.k8s.io"
FORWARDS = "portforward.k8s.io"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request to change over to SPDY, which can be met."""

    url: URL
    target: Target
    pod: Pod
    protocol: str

    @property
    def answer(self) -> bytes:
        """What the client waits for."""
        lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1",
                 f"X-Stream-Protocol-Version: {self.protocol}")  # fmt: skip
        return "\r\n".join(lines).encode() + HEAD_END


def upgrade_in(head: bytes, cluster: Cluster) -> Upgrade | None:
    """The change to SPDY that the head of a request asks for; None where it asks for none, or in vain."""
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    if dict(headers).get("upgrade", "").lower() != "spdy/3.1" or first.count(" ") != 2:
        return None
    asked = {
        part.strip() for name, value in headers if name == "x-stream-protocol-version" for part in value.split(",")
    }
    with contextlib.suppress(Refusal, ValueError):
        url = URL(first.split(" ")[1], encoded=True)
        target = parse_path(url.raw_path)
        if target.kind is not Pod or target.subresource not in CONNECTING or target.name is None:
            return None
        pod = cluster.store.get(Pod, target.name, target.namespace)
        check_running(pod)
        protocol = FORWARDS if target.subresource == "portforward" else COMMANDS
        if protocol == COMMANDS:
            command_request(pod, url.query, attach=target.subresource == "attach")
        return Upgrade(url, target, pod, protocol) if protocol in asked else None
    return None


@dataclass(frozen=True, slots=True)
class Reception:
    """Where connections of every kind come in; `access` is the way into Pods."""

    runner: web.AppRunner
    cluster: Cluster
    access: PodAccess | None

    def receive(self, seconds: float | None = None) -> Front:
        """A new connection's protocol; `seconds` is what it may take until its first request."""
        return Front(self, seconds)

    def server(self, seconds: float | None) -> web.RequestHandler:
        """The protocol of a connection that aiohttp serves."""
        assert self.runner.server is not None, "the runner is set up"
        connection = self.runner.server()
        if seconds is not None:
            self.runner.app[FIRST_REQUESTS].expect(connection, seconds=seconds)
        return connection


class Front(asyncio.Protocol):
    """One connection, until it is clear who serves it. It may take `seconds` to ask for something, or for ever."""

    def __init__(self, reception: Reception, seconds: float | None) -> None:
        self._reception = reception
        self._seconds = seconds
        self._waiting: asyncio.TimerHandle | None = None
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio.Protocol says."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._seconds is not None:
            self._waiting = asyncio.get_running_loop().call_later(self._seconds, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio.Protocol says."""
        self._wait_no_more()

    def data_received(self, data: bytes) -> None:
        """As asyncio.Protocol says."""
        self._seen += data
        end = self._seen.find(HEAD_END)
        if end < 0 and len(self._seen) < HEAD_LIMIT and self._seen[:4] in (b"GET ", b"POST"):
            return
        self._wait_no_more()
        upgrade = self._upgrade(self._seen[:end]) if end >= 0 else None
        if upgrade is None:
            self._hand_over()
        else:
            self._change_over(upgrade, self._seen[end + len(HEAD_END) :])

    def _wait_no_more(self) -> None:
        if self._waiting:
            self._waiting.cancel()

    def _upgrade(self, head: bytes) -> Upgrade | None:
        """Who may not ask is told so by aiohttp's side."""
        if self._reception.access is None or self._transport is None or identify(self._transport) is None:
            return None
        return upgrade_in(head, self._reception.cluster)

    def _hand_over(self) -> None:
        assert self._transport is not None
        server = self._reception.server(self._seconds)
        self._transport.set_protocol(server)
        server.connection_made(self._transport)
        server.data_received(self._seen)

    def _change_over(self, upgrade: Upgrade, rest: bytes) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        self._transport.write(upgrade.answer)
        if rest:
            reader.feed_data(rest)
        carrier = _Carrier(reader, asyncio.StreamWriter(self._transport, protocol, reader, loop))
        task = loop.create_task(self._serve(upgrade, carrier))
        _serving.add(task)
        task.add_done_callback(_serving.discard)

    async def _serve(self, upgrade: Upgrade, carrier: _Carrier) -> None:
        assert self._reception.access is not None
        assert self._transport is not None
        try:
            await serve_spdy(
                carrier,
                upgrade.url,
                upgrade.target,
                pod=upgrade.pod,
                access=self._reception.access,
            )
        finally:
            self._transport.close()


_serving: set[asyncio.Task[None]] = set()


class _Carrier:
    """A connection's bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        return await self._reader.read(HEAD_LIMIT)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
