"""The API server as a process: HTTP on the lab's unix socket until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from netlab.api.authentication import FIRST_REQUESTS, FirstRequests, authenticated
from netlab.api.cluster import Cluster
from netlab.api.encoding import OBJECT_LIMIT
from netlab.api.http import describing, reviews
from netlab.api.http.bodies import WARNINGS
from netlab.api.http.front import Reception
from netlab.api.http.handlers import ACCESS, CLUSTER, PAGES, Access, handle
from netlab.api.http.pages import Pages
from netlab.api.pacing import Pacer
from netlab.api.secure import OpenDoors, allow_open_files, doors, no_doors
from netlab.api.statuses import Refusal, no_such_resource
from netlab.api.store import Store
from netlab.api.streams.access import PodAccess
from netlab.model.paths import LabPaths

log = logging.getLogger(__name__)

BODY_LIMIT = OBJECT_LIMIT
"""Bytes of a request's body."""
BACKLOG = 128
STOP = web.AppKey("STOP", asyncio.Event)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(
    paths: LabPaths,
    listener: socket.socket | None = None,
    *,
    open_doors: OpenDoors = no_doors,
    access: PodAccess | None = None,
) -> None:
    """Serve the lab's objects until SIGTERM or SIGINT; `access` is the way into its Pods.

    `listener` is a listening socket that outlives this process: clients of a server that died wait for the next one.
    Without it the socket is made at `paths.api_socket`. `open_doors` brings the sockets that listen for TLS.
    """
    allow_open_files()
    asyncio.run(_run(paths, listener or listen(paths.api_socket), open_doors, access))


async def _run(paths: LabPaths, listener: socket.socket, open_doors: OpenDoors, access: PodAccess | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = Store(paths.database)
    async with (
        serving(Cluster(store), listener, stop=stop, access=access) as reception,
        doors(reception, paths, open_doors),
    ):
        log.info("serving on %s, resourceVersion %d", paths.api_socket, store.version)
        await stop.wait()
    store.close()
    log.info("stopped")


@contextlib.asynccontextmanager
async def serving(
    cluster: Cluster,
    listener: socket.socket,
    *,
    stop: asyncio.Event | None = None,
    access: PodAccess | None = None,
) -> AsyncIterator[Reception]:
    """Serve a cluster on a listening socket, which is closed at the end. `stop` is set where it cannot go on."""
    pacer = Pacer(cluster.settle, cluster.seconds_left)
    cluster.work_to_do = pacer.request
    app = application(cluster, stop or asyncio.Event(), access)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        reception = Reception(runner, cluster, access)
        door = await asyncio.get_running_loop().create_unix_server(reception.receive, sock=listener, backlog=BACKLOG)
        yield reception
        door.close()
    finally:
        await runner.cleanup()
        pacer.close()


def listen(path: Path) -> socket.socket:
    """A listening socket with mode 0600 from its first moment, in place of what a dead server left there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def application(cluster: Cluster, stop: asyncio.Event, access: PodAccess | None = None) -> web.Application:
    """The routes."""
    app = web.Application(middlewares=[_refusals, authenticated], client_max_size=BODY_LIMIT)
    app[CLUSTER], app[STOP], app[PAGES], app[ACCESS] = cluster, stop, Pages(), Access(access)
    app[FIRST_REQUESTS] = FirstRequests()
    app.on_response_prepare.append(_warn)
    describing.add_routes(app.router)
    reviews.add_routes(app.router)
    for path in ("/healthz", "/livez", "/readyz"):
        app.router.add_get(path, _healthy)
    app.router.add_post("/settle", _settle)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What goes wrong, as a Status object."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refused(refusal)
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {BODY_LIMIT}"
        return _refused(Refusal(413, "RequestEntityTooLarge", message))
    except web.HTTPNotFound:
        return _refused(no_such_resource())
    except sqlite3.Error as error:
        log.error("the database cannot be written, stopping: %s", error)
        request.app[STOP].set()
        return _refused(Refusal(500, "InternalError", f"Internal error occurred: the database: {error}"))


async def _warn(request: web.Request, response: web.StreamResponse) -> None:
    """What the request is warned of, in headers as kubectl prints them (RFC 7234, 5.5)."""
    for text in request.get(WARNINGS, ()):
        quoted = json.dumps(text, ensure_ascii=True)[1:-1]
        response.headers.add("Warning", f'299 - "{quoted}"')


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(body=refusal.body().encode(), status=refusal.status, content_type="application/json")


async def _settle(request: web.Request) -> web.Response:
    """Answer once the controllers have done all that follows from what was written before; netlab's own."""
    request.app[CLUSTER].settle()
    return web.Response(text="settled")


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
