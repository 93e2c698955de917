"""A connection of SPDY/3.1 as Kubernetes uses it: the client opens streams, each with a `streamtype`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from netlab.api.streams.channels import Channel
from netlab.api.streams.spdy_frames import (
    Frame,
    FrameReader,
    FrameType,
    FrameWriter,
    HeaderReader,
    data_frame,
    goaway,
    pong,
)

STREAMS_LIMIT = 1024
"""Streams of one connection at a time."""
PIECE = 16384
OPENING_SECONDS = 30.0


class ByteStream(Protocol):
    """What carries the frames. ConnectionError where the other side is gone."""

    async def read(self) -> bytes:
        """What comes next; empty at the end."""

    async def write(self, data: bytes) -> None:
        """Send it, waiting while the other side is busy."""


class Connection:
    """The frames of one connection."""

    def __init__(self, carrier: ByteStream) -> None:
        self._carrier = carrier
        self._frames, self._headers, self._writer = FrameReader(), HeaderReader(), FrameWriter()
        self._last_stream = 0

    async def events(self) -> AsyncIterator[tuple[Frame, Mapping[str, str]]]:
        """What the client opens, with the headers, and what it sends, until it is gone or speaks otherwise."""
        with contextlib.suppress(ConnectionError, ValueError):
            while data := await self._carrier.read():
                for frame in self._frames.feed(data):
                    match frame.type:
                        case FrameType.SYN_STREAM:
                            headers = self._headers.read(frame)
                            self._last_stream = max(self._last_stream, frame.stream)
                            await self._carrier.write(self._writer.reply(frame.stream, {}))
                            yield frame, headers
                        case FrameType.PING:
                            await self._carrier.write(pong(frame))
                        case FrameType.GOAWAY:
                            return
                        case FrameType.DATA | FrameType.RST_STREAM:
                            yield frame, {}

    async def send(self, stream: int, data: bytes, *, last: bool = False) -> None:
        """Send data on a stream, and with `last` no more after it."""
        for start in range(0, max(1, len(data)), PIECE):
            piece = data[start : start + PIECE]
            await self._carrier.write(data_frame(stream, piece, last=last and start + PIECE >= len(data)))

    async def end(self) -> None:
        """Say that all is done."""
        with contextlib.suppress(ConnectionError):
            await self._carrier.write(goaway(self._last_stream))


_TYPES = {
    "stdin": Channel.STDIN,
    "stdout": Channel.STDOUT,
    "stderr": Channel.STDERR,
    "error": Channel.ERROR,
    "resize": Channel.RESIZE,
}


class SpdySession:
    """One client's channels for a command, each a stream."""

    def __init__(self, carrier: ByteStream, expected: frozenset[Channel]) -> None:
        self._connection = Connection(carrier)
        self._expected = expected
        self._streams: dict[Channel, int] = {}
        self._said: asyncio.Queue[tuple[Channel, bytes] | None] = asyncio.Queue(maxsize=64)
        self._opened = asyncio.Event()
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def opened(self) -> bool:
        """Wait until the client has opened all that it needs; whether it has."""
        waiting = asyncio.ensure_future(self._opened.wait())
        await asyncio.wait((waiting, self._listening), timeout=OPENING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return self._opened.is_set()

    async def _listen(self) -> None:
        names: dict[int, Channel] = {}
        async for frame, headers in self._connection.events():
            if (
                frame.type is FrameType.SYN_STREAM
                and (channel := _TYPES.get(headers.get("streamtype", ""))) is not None
            ):
                if len(names) > len(Channel):
                    break
                names[frame.stream], self._streams[channel] = channel, frame.stream
                if self._expected <= self._streams.keys():
                    self._opened.set()
            channel = names.get(frame.stream)
            if channel in (Channel.STDIN, Channel.RESIZE) and frame.type is FrameType.DATA:
                if frame.body:
                    await self._said.put((channel, frame.body))
                if frame.last and channel is Channel.STDIN:
                    await self._said.put((channel, b""))
        await self._said.put(None)

    async def read(self) -> tuple[Channel, bytes] | None:
        """As Session says."""
        return await self._said.get()

    async def write(self, channel: Channel, data: bytes) -> None:
        """As Session says."""
        if (stream := self._streams.get(channel)) is not None:
            await self._connection.send(stream, data)

    async def close(self) -> None:
        """As Session says: first all streams, then the connection; the client hangs up."""
        with contextlib.suppress(ConnectionError):
            for stream in self._streams.values():
                await self._connection.send(stream, b"", last=True)
            await self._connection.end()
        await asyncio.wait((self._listening,), timeout=1.0)
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
