"""Channels over a WebSocket: each message begins with the number of its channel.

Source: the protocols `v4.channel.k8s.io`, `v5.channel.k8s.io` (which can close a channel) and, with text instead of
bytes, `base64.channel.k8s.io`.
"""

from __future__ import annotations

import base64
import binascii

from aiohttp import WSMsgType, web

from netlab.api.streams.channels import Channel

V5, V4, V1 = "v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"
BASE64 = "base64.channel.k8s.io"
PROTOCOLS = (V5, V4, V1, "v3.channel.k8s.io", "v2.channel.k8s.io", BASE64)
CLOSE = 255
"""A channel by which version 5 closes another."""
MESSAGE_LIMIT = 4 * 1024 * 1024


async def opened(request: web.Request, protocols: tuple[str, ...]) -> web.WebSocketResponse:
    """The WebSocket that a request asks for, in the first of these protocols that the client knows."""
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=MESSAGE_LIMIT, autoping=True)
    await socket.prepare(request)
    return socket


class WebSocketSession:
    """One client's channels."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._text = socket.ws_protocol == BASE64

    async def read(self) -> tuple[Channel, bytes] | None:
        """As Session says."""
        while True:
            number, data = await self.read_raw()
            if number is None:
                return None
            if number == CLOSE and data[:1] == bytes([Channel.STDIN]):
                return Channel.STDIN, b""
            if number in (Channel.STDIN, Channel.RESIZE) and data:
                return Channel(number), data

    async def read_raw(self) -> tuple[int | None, bytes]:
        """The number of a channel, of whatever meaning, and what came over it; None once the client is gone."""
        message = await self._socket.receive()
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            return None, b""
        # Some clients send text as text; of the protocols in bytes it is the same bytes.
        data = message.data.encode() if message.type is WSMsgType.TEXT else bytes(message.data)
        if not data:
            return CLOSE, b""
        if not self._text:
            return data[0], data[1:]
        try:
            return int(data[:1]), base64.b64decode(data[1:])
        except (binascii.Error, ValueError):
            return None, b""

    async def write(self, channel: int, data: bytes) -> None:
        """As Session says."""
        if self._text:
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def close(self) -> None:
        """As Session says."""
        await self._socket.close()
