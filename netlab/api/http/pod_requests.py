"""Requests that reach into a Pod: its log, commands in it, its ports."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import MultiMapping
from yarl import URL

from netlab.api.cluster import Cluster
from netlab.api.http.requests import Target
from netlab.api.statuses import bad_request, no_such_resource, not_allowed
from netlab.api.streams import commands, forwarding, websockets
from netlab.api.streams.access import Command, PodAccess
from netlab.api.streams.channels import Channel, Session
from netlab.api.streams.logs import log_options, previous_life, send_log
from netlab.api.streams.spdy import ByteStream, SpdySession
from netlab.api.streams.websockets import WebSocketSession
from netlab.model.objects import Pod

CONNECTING = ("exec", "attach", "portforward")
TUNNEL = "SPDY/3.1+portforward.k8s.io"
"""Frames of SPDY as the messages of a WebSocket, as kubectl forwards ports since version 1.31."""
PORTS_LIMIT = 64


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """What a client wants run, or (without `argv`) to see of what runs."""

    pod: Pod
    container: str
    argv: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    terminal: bool

    @property
    def channels(self) -> frozenset[Channel]:
        """What the client opens for it."""
        wanted = {
            Channel.STDIN: self.stdin,
            Channel.STDOUT: self.stdout,
            Channel.STDERR: self.stderr and not self.terminal,
            Channel.RESIZE: self.terminal,
            Channel.ERROR: True,
        }
        return frozenset(channel for channel, is_wanted in wanted.items() if is_wanted)


def command_request(pod: Pod, query: MultiMapping[str], *, attach: bool) -> CommandRequest:
    """Read a query. Raises Refusal 400."""
    argv = tuple(query.getall("command", []))
    if not attach and not argv:
        raise bad_request('PodExecOptions.core "" is invalid: command: Required value')
    if any("\0" in each for each in argv):
        raise bad_request("a command's arguments cannot hold a zero byte")

    def flag(name: str) -> bool:
        return query.get(name, "").lower() in ("true", "1")

    return CommandRequest(
        pod=pod,
        container=container_of(pod, query.get("container", "")),
        argv=() if attach else argv,
        stdin=flag("stdin"),
        stdout=flag("stdout"),
        stderr=flag("stderr"),
        terminal=flag("tty"),
    )


def container_of(pod: Pod, name: str) -> str:
    """The container that is meant. Raises Refusal 400 where it must be named, or there is none of that name."""
    names = [each.name for each in pod.spec.containers]
    if name and name not in names:
        raise bad_request(f"container {name} is not valid for pod {pod.metadata.name}")
    if not name and len(names) > 1:
        listing = " ".join(names)
        why = f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{listing}]"
        raise bad_request(why)
    return name or names[0]


def check_running(pod: Pod) -> None:
    """Raise Refusal 400 unless the Pod has a node and has not ended."""
    if not pod.spec.node_name:
        raise bad_request(f"pod {pod.metadata.name} does not have a host assigned")
    if pod.has_ended:
        raise bad_request(f"cannot exec into a container in a completed pod; current phase is {pod.status.phase}")


async def handle_pod(
    request: web.Request, cluster: Cluster, target: Target, access: PodAccess | None
) -> web.StreamResponse:
    """Answer a request for a Pod's log, exec, attach or portforward. Raises Refusal."""
    pod = cluster.store.get(Pod, target.name or "", target.namespace)
    if access is None:
        raise no_such_resource()
    if target.subresource == "log":
        return await _log(request, cluster, pod, access)
    if request.method not in (hdrs.METH_GET, hdrs.METH_POST):
        raise not_allowed()
    check_running(pod)
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise bad_request("Upgrade request required")
    if target.subresource == "portforward":
        return await _forward(request, pod, access)
    wanted = command_request(pod, request.query, attach=target.subresource == "attach")
    socket = await websockets.opened(request, websockets.PROTOCOLS)
    session = WebSocketSession(socket)
    with contextlib.suppress(ConnectionError):
        # What tells a client that the connection stands: nothing, on the first channel to it.
        await session.write(Channel.STDOUT if wanted.stdout else Channel.ERROR, b"")
        await _serve(session, access, wanted)
    await session.close()
    return socket


async def _serve(session: Session, access: PodAccess, wanted: CommandRequest) -> None:
    def start() -> Command:
        if wanted.argv:
            return access.start(wanted.pod, wanted.argv, terminal=wanted.terminal, stdin=wanted.stdin)
        return access.attach(wanted.pod, wanted.container, stdin=wanted.stdin)

    await commands.run(session, start)


async def _log(request: web.Request, cluster: Cluster, pod: Pod, access: PodAccess) -> web.StreamResponse:
    if request.method != hdrs.METH_GET:
        raise not_allowed()
    options = log_options(request.query, pod.metadata.name)
    container = container_of(pod, options.container)
    if not pod.spec.node_name:
        raise bad_request(
            f'container "{container}" in pod "{pod.metadata.name}" is waiting to start: ContainerCreating'
        )
    file = access.log(pod, container)
    if options.previous:
        file = previous_life(pod, container, file)
    return await send_log(request, cluster.store, pod, file, options)


async def _forward(request: web.Request, pod: Pod, access: PodAccess) -> web.StreamResponse:
    asked = request.headers.get("Sec-WebSocket-Protocol", "")
    if TUNNEL in asked:
        socket = await websockets.opened(request, (TUNNEL,))
        await forwarding.over_spdy(_Tunnel(socket), access, pod)
        await socket.close()
        return socket
    ports = tuple(port for text in request.query.getall("ports", []) for port in text.split(","))
    if not ports or len(ports) > PORTS_LIMIT or not all(map(_is_port, ports)):
        raise bad_request('PodPortForwardOptions.core "" is invalid: ports: Required value: one or more port numbers')
    socket = await websockets.opened(request, (websockets.V4, websockets.BASE64, "portforward.k8s.io"))
    with contextlib.suppress(ConnectionError):
        await forwarding.over_websocket(WebSocketSession(socket), access, pod, tuple(map(int, ports)))
    await socket.close()
    return socket


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) < 65536


class _Tunnel:
    """A WebSocket's messages as a stream of bytes."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()).type is web.WSMsgType.BINARY:
            if message.data:  # an empty message is none: kubectl sends one for a frame without a body
                return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)


async def serve_spdy(carrier: ByteStream, url: URL, target: Target, *, pod: Pod, access: PodAccess) -> None:
    """Serve a client that has changed over to SPDY."""
    if target.subresource == "portforward":
        await forwarding.over_spdy(carrier, access, pod)
        return
    wanted = command_request(pod, url.query, attach=target.subresource == "attach")
    session = SpdySession(carrier, wanted.channels)
    with contextlib.suppress(ConnectionError):
        if await session.opened():
            await _serve(session, access, wanted)
    await session.close()
