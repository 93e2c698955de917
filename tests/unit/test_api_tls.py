"""The API server by TLS: who gets in, what half-open connections cost, and what a watch sees of a server that dies."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from netlab.api.certificates import Authority, Issued
from netlab.api.client import ApiClient
from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, run, serving
from netlab.api.journal import EventType
from netlab.api.secure import OpenDoors, Patience, TakeDoor, doors
from netlab.api.store import Store
from netlab.api.streams.access import Command, PodAccess
from netlab.errors import NotFound
from netlab.lab import credentials
from netlab.lab.entrances import bound
from netlab.model.access import ServerAccess
from netlab.model.objects import ConfigMap, Container, Namespace, ObjectMeta, Pod, PodSpec
from netlab.model.paths import LabPaths
from netlab.model.topology import TopologySpec

NOW = datetime.now(UTC)
DEADLINE = 20.0
NOBODY: Issued | None = None


def opened(*found: tuple[str, socket.socket]) -> OpenDoors:
    """Doors that are there from the beginning."""

    def open_doors(take: TakeDoor) -> Callable[[], None]:
        for name, door in found:
            take(name, door.dup())
        return lambda: None

    return open_doors


@contextlib.contextmanager
def a_door(paths: LabPaths) -> Any:
    """A listening socket on the loopback, with all certificates in place."""
    credentials.make(paths, TopologySpec(), now=NOW)
    with bound("127.0.0.1", 0) as door:
        door.listen()
        yield door


def access(paths: LabPaths, door: socket.socket, shown: Issued | str | None = "admin") -> ServerAccess:
    if isinstance(shown, str):
        certificate, key = paths.certificate(shown).read_text(), ""
    else:
        certificate, key = (shown.certificate, shown.key) if shown else ("", "")
    url = f"https://127.0.0.1:{door.getsockname()[1]}"
    return ServerAccess(url=url, authority=paths.authority.read_text(), certificate=certificate, key=key, in_lab=True)


@asynccontextmanager
async def served(
    paths: LabPaths, door: socket.socket, patience: Patience | None = None, pods: PodAccess | None = None
) -> AsyncIterator[web.AppRunner]:
    cluster = Cluster(Store())
    async with (
        serving(cluster, listen(paths.api_socket), access=pods) as reception,
        doors(reception, paths, opened(("it", door)), patience),
    ):
        yield reception.runner
    cluster.store.close()


async def asked(wanted: ServerAccess, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    async with ApiClient(wanted) as client, client.request(method, path, body=body) as response:
        return response.status, json.loads(await response.read())


def in_time(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario, DEADLINE))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces"),
        ("GET", "/version"),
        ("GET", "/healthz"),
        ("GET", "/"),
        ("GET", "/%2e%2e/x"),
        ("POST", "/settle"),
        ("POST", "/api/v1/namespaces"),
        ("DELETE", "/api/v1/namespaces/default"),
    ],
)
def test_without_a_certificate_nothing_is_answered_but_that_one_is_needed(
    tmp_path: Path, method: str, path: str
) -> None:
    paths = LabPaths("lab", tmp_path)

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door):
                body = b"{}" if method == "POST" else None
                status, said = await asked(access(paths, door, NOBODY), method, path, body)
                assert (status, said["reason"], said["message"]) == (401, "Unauthorized", "Unauthorized")
                assert (await asked(access(paths, door), "GET", "/api/v1/namespaces"))[0] == 200

    in_time(scenario())


def wrong_certificates(paths: LabPaths) -> dict[str, Issued]:
    own = Authority.read(paths.authority_key.read_text())
    return {
        "another authority's": Authority.make("netlab-lab", now=NOW).for_client("admin", now=NOW),
        "a server's": own.for_server(("admin",), now=NOW),
        "expired": own.for_client("admin", now=NOW - timedelta(days=366)),
        "not valid yet": own.for_client("admin", now=NOW + timedelta(days=1)),
    }


@pytest.mark.parametrize("wrong", ["another authority's", "a server's"])
def test_who_shows_a_certificate_that_is_none_of_a_client_is_refused_by_tls(tmp_path: Path, wrong: str) -> None:
    paths = LabPaths("lab", tmp_path)

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door) as runner:
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await asked(access(paths, door, wrong_certificates(paths)[wrong]), "GET", "/version")
                assert runner.server is not None
                assert runner.server.requests_count == 0
                assert (await asked(access(paths, door), "GET", "/version"))[0] == 200

    in_time(scenario())


@pytest.mark.parametrize("wrong", ["expired", "not valid yet"])
def test_who_shows_a_certificate_out_of_its_time_is_told_so_as_who_shows_none(tmp_path: Path, wrong: str) -> None:
    paths = LabPaths("lab", tmp_path)

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door):
                status, said = await asked(access(paths, door, wrong_certificates(paths)[wrong]), "GET", "/version")
                assert (status, said["reason"]) == (401, "Unauthorized")

    in_time(scenario())


def test_a_client_that_is_shown_another_servers_certificate_says_nothing_to_it(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)

    async def scenario() -> None:
        with a_door(paths) as door:
            stranger = Authority.make("netlab-lab", now=NOW).certificate
            async with served(paths, door) as runner:
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await asked(replace(access(paths, door), authority=stranger), "GET", "/version")
                assert runner.server is not None
                assert runner.server.requests_count == 0

    in_time(scenario())


class NoWay(PodAccess):
    """A way into Pods that leads into none."""

    def start(self, pod: Pod, argv: Sequence[str], *, terminal: bool, stdin: bool) -> Command:
        del argv, terminal, stdin
        raise NotFound(f"there is no network namespace of {pod.metadata.name}")


SPDY = (
    b"POST /api/v1/namespaces/default/pods/shell/exec?command=id&stdout=1 HTTP/1.1\r\nHost: api\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_without_a_certificate_nobody_changes_over_to_a_command_in_a_pod(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)

    async def answer(door: socket.socket, tls: ssl.SSLContext) -> bytes:
        reader, writer = await asyncio.open_connection(*door.getsockname(), ssl=tls)
        writer.write(SPDY)
        line = await reader.readline()
        writer.close()
        return line

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door, pods=NoWay()), ApiClient(access(paths, door)) as client:
                containers = (Container(name="shell"),)
                spec = PodSpec(node_name="node1", containers=containers)
                await client.create(Pod(metadata=ObjectMeta(name="shell", namespace="default"), spec=spec))
                admin = nobodys()
                admin.load_cert_chain(paths.certificate("admin"))
                assert b" 101 " in await answer(door, admin)
                assert b" 401 " in await answer(door, nobodys())

    in_time(scenario())


async def connect(door: socket.socket, tls: ssl.SSLContext | None = None) -> asyncio.StreamReader:
    """A connection that says no more than TLS does, if that."""
    reader, writer = await asyncio.open_connection(*door.getsockname(), ssl=tls)
    CONNECTIONS.append(writer)
    return reader


CONNECTIONS: list[asyncio.StreamWriter] = []


def nobodys() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def grown(before: int) -> int:
    """Bytes of this process, less what is only waiting to be collected."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


async def until(condition: Callable[[], bool]) -> None:
    """What a connection held goes with the loop's next turns."""
    while not condition():
        await asyncio.sleep(0.05)


def test_half_open_connections_end_in_time_and_cost_nothing_that_stays(tmp_path: Path) -> None:
    paths, patience = (
        LabPaths("lab", tmp_path),
        Patience(handshake_seconds=0.5, first_request_seconds=0.5),
    )

    async def wave(door: socket.socket) -> None:
        """100 that never begin with TLS, 100 that never ask for anything, and one that asks meanwhile."""
        silent = [await connect(door) for _ in range(100)]
        silent += await asyncio.gather(*(connect(door, nobodys()) for _ in range(100)))
        assert (await asked(access(paths, door), "GET", "/api/v1/namespaces"))[0] == 200
        assert all(await asyncio.gather(*map(ended, silent)))
        for writer in CONNECTIONS:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in CONNECTIONS), return_exceptions=True)
        CONNECTIONS.clear()

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door, patience) as runner:
                await wave(door)
                tracemalloc.start()
                gc.collect()
                before, files = tracemalloc.get_traced_memory()[0], len(os.listdir("/proc/self/fd"))
                await wave(door)
                await until(lambda: grown(before) < 500_000)
                tracemalloc.stop()
                assert runner.server is not None
                assert runner.server.connections == []
                assert len(os.listdir("/proc/self/fd")) == files

    in_time(scenario())


def test_a_watch_may_be_silent_for_longer_than_a_first_request_may_take(tmp_path: Path) -> None:
    paths, patience = LabPaths("lab", tmp_path), Patience(first_request_seconds=0.2)

    async def scenario() -> None:
        with a_door(paths) as door:
            async with served(paths, door, patience), ApiClient(access(paths, door)) as client:
                events = client.watch(Namespace, (await client.list(Namespace))[1])
                first = asyncio.create_task(anext(events))
                done, _ = await asyncio.wait((first,), timeout=0.5)
                assert not done
                await client.create(Namespace(metadata=ObjectMeta(name="late")))
                event = await first
                assert event.object
                assert event.object.metadata.name == "late"
                await events.aclose()

    in_time(scenario())


def test_a_door_takes_the_place_of_an_earlier_one_of_its_name(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)

    async def scenario() -> None:
        taken: list[TakeDoor] = []

        def open_doors(take: TakeDoor) -> Callable[[], None]:
            taken.append(take)
            return lambda: None

        cluster = Cluster(Store())
        with a_door(paths) as first, a_door(paths) as second:
            async with serving(cluster, listen(paths.api_socket)) as reception, doors(reception, paths, open_doors):
                taken[0]("it", first.dup())
                assert (await asked(access(paths, first), "GET", "/version"))[0] == 200
                first_address = access(paths, first)
                taken[0]("it", second.dup())
                first.close()
                assert (await asked(access(paths, second), "GET", "/version"))[0] == 200
                with pytest.raises(aiohttp.ClientConnectorError):
                    await asked(first_address, "GET", "/version")
        cluster.store.close()

    in_time(scenario())


def start_process(paths: LabPaths, listener: socket.socket, door: socket.socket) -> int:
    """The server as a child: its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            run(paths, listener, open_doors=opened(("it", door)))
        finally:
            os._exit(0)
    return pid


def test_a_watch_goes_on_where_it_was_however_often_the_server_is_killed(tmp_path: Path) -> None:
    """Every write that was acknowledged is told once, in the order of versions; none that was not there is told."""
    paths = LabPaths("lab", tmp_path)

    async def follow(client: ApiClient, seen: list[tuple[EventType, str, int]], caught_up: asyncio.Event) -> None:
        async for event in client.reflect(ConfigMap):
            if event.object:
                seen.append((event.type, event.object.metadata.name, int(event.version)))
                if event.object.metadata.name == "last":
                    caught_up.set()

    async def write(client: ApiClient, done: list[tuple[EventType, str]], after: int, enough: asyncio.Event) -> None:
        """Create, change and delete, until the server is gone; what it confirmed."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            for number in range(after, after + 1000):
                name = f"n{number}"
                await client.create(ConfigMap(metadata=ObjectMeta(name=name, namespace="default")))
                done.append((EventType.ADDED, name))
                await client.patch(ConfigMap, name, {"metadata": {"labels": {"a": "b"}}})
                done.append((EventType.MODIFIED, name))
                await client.delete(ConfigMap, name)
                done.append((EventType.DELETED, name))
                if len(done) > after / 1000 * 40 + 40:
                    enough.set()

    async def scenario(listener: socket.socket, door: socket.socket) -> None:
        seen: list[tuple[EventType, str, int]] = []
        done: list[tuple[EventType, str]] = []
        caught_up, pid = asyncio.Event(), start_process(paths, listener, door)
        admin = access(paths, door)
        async with ApiClient(admin) as watcher, ApiClient(admin) as client:
            following = asyncio.create_task(follow(watcher, seen, caught_up))
            for life in range(3):
                enough = asyncio.Event()
                writing = asyncio.create_task(write(client, done, 1000 * life, enough))
                await enough.wait()
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                await writing
                pid = start_process(paths, listener, door)
            await client.create(ConfigMap(metadata=ObjectMeta(name="last", namespace="default")))
            await caught_up.wait()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        versions = [version for _, name, version in seen if name.startswith("n")]
        told = [(type_, name) for type_, name, _ in seen]
        assert versions == sorted(set(versions))
        assert len(told) == len(set(told))
        assert [each for each in told if each in set(done)] == done
        assert len(set(told) - set(done)) <= 3 + 1, "what was written and not confirmed, and the last"

    with a_door(paths) as door, contextlib.closing(listen(paths.api_socket)) as listener:
        listener.listen()
        in_time(scenario(listener, door))
