"""Listening on a port, and ending that: nobody who connected is left waiting."""

from __future__ import annotations

import asyncio
import gc
from socket import create_connection, create_server

import pytest
from aiohttp import web

from netlab.agents.kube_proxy.listening import Listener

LOOPBACK = "127.0.0.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def free_port() -> int:
    with create_server((LOOPBACK, 0)) as found:
        return int(found.getsockname()[1])


async def given_to_a_client_that_came_before_the_end(turns: int) -> bytes:
    """What is read by who connected, and asked, that many turns of the event loop before the listener was closed."""
    listener, port = Listener([web.get("/", respond)], describe="test"), free_port()
    assert await listener.open([LOOPBACK], port)
    with create_connection((LOOPBACK, port), timeout=5) as client:
        client.sendall(REQUEST)
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        try:
            return await asyncio.to_thread(client.recv, 15)
        except ConnectionResetError:
            return b""


async def respond(_: web.Request) -> web.Response:
    return web.Response(text="here")


@pytest.mark.parametrize("turns", range(6))
def test_who_connects_just_before_the_end_is_answered_or_sent_away_but_never_left_waiting(turns: int) -> None:
    gc.disable()  # which would close a forgotten connection sooner or later
    try:
        assert asyncio.run(given_to_a_client_that_came_before_the_end(turns)) in (b"", b"HTTP/1.1 200 OK")
    finally:
        gc.enable()
