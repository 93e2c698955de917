"""Ports of a Pod, forwarded to a client: a connection inside the Pod's network for each one of the client's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from netlab.api.streams.access import CHUNK, PodAccess
from netlab.api.streams.spdy import STREAMS_LIMIT, ByteStream, Connection
from netlab.api.streams.spdy_frames import FrameType
from netlab.api.streams.websockets import WebSocketSession
from netlab.errors import NetlabError
from netlab.model.objects import Pod

CONNECT_SECONDS = 10.0
WAITING = 64
"""Pieces from the client that may wait for the Pod to read them."""
Send = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Forward:
    """One forwarded connection: what the client sends waits in `incoming`; empty bytes are its end."""

    port: int
    incoming: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(maxsize=WAITING))
    task: asyncio.Task[None] | None = None


async def connect(access: PodAccess, pod: Pod, port: int) -> socket.socket:
    """A connection to a port of the Pod: on its loopback, as kubelets do it, or at its address. OSError, NotFound."""
    loop, problem = asyncio.get_running_loop(), OSError("it has no address")
    for address in ("127.0.0.1", "::1", pod.status.pod_ip):
        if not address:
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = access.socket_in(pod, family)
        try:
            connection.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(connection, (address, port)), CONNECT_SECONDS)
        except OSError as error:
            connection.close()
            problem = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise problem


async def carry(access: PodAccess, pod: Pod, forward: Forward, *, send: Send, complain: Send) -> None:
    """Connect to the port and carry bytes both ways until both sides have ended, or one is gone."""
    try:
        connection = await connect(access, pod, forward.port)
    except (OSError, NetlabError) as error:
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        await complain(
            f"an error occurred forwarding {forward.port}: failed to connect in pod {name}: {error}".encode()
        )
        return
    loop = asyncio.get_running_loop()
    with connection:
        inward = loop.create_task(_inward(connection, forward))
        try:
            while data := await loop.sock_recv(connection, CHUNK):
                await send(data)
        except OSError as error:
            await complain(f"an error occurred forwarding {forward.port}: {error}".encode())
        finally:
            inward.cancel()
            await asyncio.gather(inward, return_exceptions=True)


async def _inward(connection: socket.socket, forward: Forward) -> None:
    loop = asyncio.get_running_loop()
    while data := await forward.incoming.get():
        await loop.sock_sendall(connection, data)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


async def over_spdy(carrier: ByteStream, access: PodAccess, pod: Pod) -> None:
    """Serve a client that opens two streams a connection, `error` and `data`, under the same request's number."""
    connection = Connection(carrier)
    errors: dict[str, int] = {}
    forwards: dict[int, Forward] = {}
    try:
        async for frame, headers in connection.events():
            if frame.type is FrameType.SYN_STREAM:
                request, port = headers.get("requestid", headers.get("port", "")), headers.get("port", "")
                if len(errors) > STREAMS_LIMIT:
                    return
                if headers.get("streamtype") == "error":
                    errors[request] = frame.stream
                elif port.isdecimal() and len(forwards) < STREAMS_LIMIT:
                    forward = forwards[frame.stream] = Forward(int(port))
                    serving = _serve(connection, access, pod, forward, data=frame.stream, error=errors.pop(request, 0))
                    forward.task = asyncio.get_running_loop().create_task(serving)
            elif found := forwards.get(frame.stream):
                await _hand_over(found, frame.body, last=frame.last or frame.type is FrameType.RST_STREAM)
            for stream in [number for number, each in forwards.items() if each.task and each.task.done()]:
                del forwards[stream]
    finally:
        await _end_all(forwards.values())


async def _hand_over(forward: Forward, data: bytes, *, last: bool) -> None:
    """Put what came into the queue, unless the Pod's side ends meanwhile."""
    for piece in (*((data,) if data else ()), *((b"",) if last else ())):
        if forward.task is None or forward.task.done():
            return
        putting = asyncio.ensure_future(forward.incoming.put(piece))
        await asyncio.wait((putting, forward.task), return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()


async def _serve(
    connection: Connection, access: PodAccess, pod: Pod, forward: Forward, *, data: int, error: int
) -> None:
    async def send(piece: bytes) -> None:
        await connection.send(data, piece)

    async def complain(text: bytes) -> None:
        if error:
            await connection.send(error, text)

    with contextlib.suppress(ConnectionError):
        await carry(access, pod, forward, send=send, complain=complain)
        await connection.send(data, b"", last=True)
        if error:
            await connection.send(error, b"", last=True)


async def over_websocket(session: WebSocketSession, access: PodAccess, pod: Pod, ports: tuple[int, ...]) -> None:
    """Serve a client that names its ports beforehand: of each, channel 2n carries data and 2n+1 errors."""
    forwards = [Forward(port) for port in ports]
    loop = asyncio.get_running_loop()
    for index, forward in enumerate(forwards):
        for channel in (2 * index, 2 * index + 1):
            await session.write(channel, forward.port.to_bytes(2, "little"))
        forward.task = loop.create_task(_serve_channel(session, access, pod, forward, 2 * index))
    try:
        while (message := await session.read_raw())[0] is not None:
            number, data = message
            if number is not None and number % 2 == 0 and number // 2 < len(forwards) and data:
                await _hand_over(forwards[number // 2], data, last=False)
    finally:
        await _end_all(forwards)


async def _serve_channel(
    session: WebSocketSession, access: PodAccess, pod: Pod, forward: Forward, channel: int
) -> None:
    async def send(piece: bytes) -> None:
        await session.write(channel, piece)

    async def complain(text: bytes) -> None:
        await session.write(channel + 1, text)

    with contextlib.suppress(ConnectionError):
        await carry(access, pod, forward, send=send, complain=complain)
        await session.close()


async def _end_all(forwards: Iterable[Forward]) -> None:
    tasks = [each.task for each in forwards if each.task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
