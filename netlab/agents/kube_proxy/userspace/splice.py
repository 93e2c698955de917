"""Two TCP connections as one: what comes in by either goes out by the other, until both have ended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = 1 << 16
"""Bytes that are copied at once."""
KEEPALIVE_SECONDS = 15
"""How soon and how often a silent client or endpoint is asked whether it is still there, as Go does of itself."""


async def splice(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways, and the end of each way as well; where one connection breaks, the other is ended.

    Both are closed afterwards, however that comes.
    """
    try:
        async with _streams(one) as (from_one, to_one), _streams(other) as (from_other, to_other):
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(from_one, to_other))
                both.create_task(_copy(from_other, to_one))
            for sink in (to_one, to_other):
                sink.close()
            for sink in (to_one, to_other):
                await sink.wait_closed()
    except* OSError:
        pass  # one of them broke, and neither is of use any more
    finally:
        one.close()
        other.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """All that comes, no faster than it is taken; then its end, while the other way may go on (half-close)."""
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


@asynccontextmanager
async def _streams(connected: socket.socket) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
        connected.setsockopt(socket.IPPROTO_TCP, option, KEEPALIVE_SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, writer = await asyncio.open_connection(sock=connected)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
