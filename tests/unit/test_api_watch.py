"""The watch of the API server, over a real unix socket and a real SQLite file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from netlab.api.client import ApiClient
from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.http.watching import Watch
from netlab.api.journal import EventType
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.errors import ApiError
from netlab.model.objects import EndpointSlice, Namespace, ObjectMeta, Service

DEADLINE = 20.0


def a_slice(name: str, *, labels: dict[str, str] | None = None) -> EndpointSlice:
    """An object that no controller touches."""
    return EndpointSlice(metadata=ObjectMeta(name=name, namespace="default", labels=labels or {}), address_type="IPv4")


@asynccontextmanager
async def a_server(folder: Path, *, history: int = 10_000) -> AsyncIterator[ApiClient]:
    store = Store(folder / "objects.db", history=history)
    async with serving(Cluster(store), listen(folder / "api.sock")), ApiClient(folder / "api.sock") as client:
        yield client
    store.close()


def test_with_20_concurrent_writers_a_watch_sees_every_write_once_and_in_order(tmp_path: Path) -> None:
    async def write(client: ApiClient, writer: int) -> list[tuple[str, str]]:
        written = []
        for number in range(5):
            written_slice = await client.create(a_slice(f"w{writer}-{number}"))
            written.append(("ADDED", written_slice.metadata.resource_version or ""))
            labels = {"metadata": {"labels": {"round": str(number)}}}
            written_slice = await client.patch(EndpointSlice, written_slice.metadata.name, labels)
            written.append(("MODIFIED", written_slice.metadata.resource_version or ""))
        return written

    async def watch(client: ApiClient, count: int) -> list[tuple[str, str]]:
        seen = []
        async for event in client.watch(EndpointSlice, "0"):
            seen.append((str(event.type), event.version))
            if len(seen) == count:
                return seen
        return seen

    async def scenario() -> None:
        async with a_server(tmp_path) as client:
            watching = asyncio.create_task(watch(client, 200))
            results = await asyncio.gather(*(write(client, writer) for writer in range(20)))
            written = sorted((pair for result in results for pair in result), key=lambda pair: int(pair[1]))
            assert await asyncio.wait_for(watching, DEADLINE) == written

    asyncio.run(scenario())


def test_a_reflecting_client_goes_on_after_a_restart_of_the_server_without_losing_or_repeating_an_event(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        async def reflect(client: ApiClient) -> None:
            async for event in client.reflect(EndpointSlice):
                await seen.put((str(event.type), event.object.metadata.name if event.object else ""))

        async def next_event() -> tuple[str, str]:
            return await asyncio.wait_for(seen.get(), DEADLINE)

        async with ApiClient(tmp_path / "api.sock") as watcher:
            reflecting = asyncio.create_task(reflect(watcher))
            async with a_server(tmp_path) as client:
                await client.create(a_slice("before"))
                assert {await next_event(), await next_event()} == {("ADDED", "before"), ("SYNCED", "")}
            store = Store(tmp_path / "objects.db")
            store.create(a_slice("while-down"))
            store.delete(EndpointSlice, "before")
            store.close()
            async with a_server(tmp_path) as client:
                assert await next_event() == ("ADDED", "while-down")
                assert await next_event() == ("DELETED", "before")
                await client.create(a_slice("after"))
                assert await next_event() == ("ADDED", "after")
            reflecting.cancel()
            await asyncio.gather(reflecting, return_exceptions=True)
        assert seen.empty()

    asyncio.run(scenario())


def test_a_reflecting_client_that_was_away_too_long_lists_again_and_tells_the_difference(tmp_path: Path) -> None:
    async def scenario() -> None:
        events: list[tuple[str, str]] = []
        synced, done = asyncio.Event(), asyncio.Event()

        async def reflect(client: ApiClient) -> None:
            async for event in client.reflect(EndpointSlice):
                events.append((str(event.type), event.object.metadata.name if event.object else ""))
                if events[-1] == ("SYNCED", ""):
                    synced.set()
                if events[-1] == ("ADDED", "last"):
                    done.set()

        async with ApiClient(tmp_path / "api.sock") as watcher:
            async with a_server(tmp_path, history=5) as client:
                await client.create(a_slice("goes"))
                await client.create(a_slice("stays"))
                await client.create(a_slice("changes"))
                reflecting = asyncio.create_task(reflect(watcher))
                await asyncio.wait_for(synced.wait(), DEADLINE)
            store = Store(tmp_path / "objects.db", history=5)
            for number in range(30):
                changing = store.get(EndpointSlice, "changes")
                metadata = changing.metadata.model_copy(update={"labels": {"round": str(number)}})
                store.update(changing.model_copy(update={"metadata": metadata}))
            store.delete(EndpointSlice, "goes")
            store.close()
            async with a_server(tmp_path, history=5) as client:
                await client.create(a_slice("last"))
                await asyncio.wait_for(done.wait(), DEADLINE)
            reflecting.cancel()
            await asyncio.gather(reflecting, return_exceptions=True)
        assert events[3] == ("SYNCED", "")
        assert sorted(events[4:]) == [("ADDED", "last"), ("DELETED", "goes"), ("MODIFIED", "changes")]

    asyncio.run(scenario())


def test_a_watch_from_a_forgotten_version_ends_with_a_410_event(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path, history=5) as client:
            for number in range(20):
                await client.create(a_slice(f"p{number}"))
            with pytest.raises(ApiError, match=r"too old resource version: 1 \(\d+\)") as refusal:
                await anext(client.watch(EndpointSlice, "1"))
            assert (refusal.value.status, refusal.value.reason) == (410, "Expired")

    asyncio.run(scenario())


def test_a_watch_with_a_selector_tells_of_what_begins_and_ceases_to_match(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as client:
            start = await client.create(a_slice("p"))
            await client.patch(EndpointSlice, "p", {"metadata": {"labels": {"app": "web"}}})
            await client.patch(EndpointSlice, "p", {"metadata": {"labels": {"more": "x"}}})
            await client.patch(EndpointSlice, "p", {"metadata": {"labels": {"app": "other"}}})
            await client.create(a_slice("bystander"))
            last = await client.patch(EndpointSlice, "p", {"metadata": {"labels": {"app": "web"}}})
            seen = []
            async for event in client.watch(
                EndpointSlice, start.metadata.resource_version or "", label_selector="app=web"
            ):
                assert event.object is not None
                seen.append((str(event.type), event.object.metadata.labels["app"]))
                if event.version == last.metadata.resource_version:
                    break
            assert seen == [("ADDED", "web"), ("MODIFIED", "web"), ("DELETED", "web"), ("ADDED", "web")]

    asyncio.run(scenario())


def test_a_watch_can_send_what_there_is_and_mark_its_end_with_a_bookmark(tmp_path: Path) -> None:
    query = {
        "watch": "true",
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
        "timeoutSeconds": "1",
    }

    async def scenario() -> None:
        async with a_server(tmp_path) as client:
            await client.create(a_slice("one"))
            version = (await client.create(a_slice("two"))).metadata.resource_version
            connector = aiohttp.UnixConnector(str(tmp_path / "api.sock"))
            async with (
                aiohttp.ClientSession("http://api", connector=connector) as session,
                session.get("/apis/discovery.k8s.io/v1/endpointslices", params=query) as response,
            ):
                events = [json.loads(line) async for line in response.content]
        assert [event["type"] for event in events[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
        assert events[2]["object"] == {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}},
        }

    asyncio.run(scenario())


def test_a_watcher_that_does_not_read_is_cut_off_and_its_queue_does_not_grow() -> None:
    async def scenario() -> None:
        store = Store()
        watch = Watch(store, EndpointSlice, limit=10_000)
        for number in range(10):
            store.create(a_slice(f"p{number}"))
        assert not watch.overrun
        for number in range(10, 100):
            store.create(a_slice(f"p{number}"))
        assert watch.overrun
        assert await watch.take(0) == b""
        store.close()

    asyncio.run(scenario())


def test_a_client_that_stops_reading_is_cut_off_while_others_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as client:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "api.sock", limit=1024)
            writer.write(b"GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await client.create(Namespace(metadata=ObjectMeta(name="big")))
            sent = 0
            for number in range(200):
                ballast = f"{number:04}" * 50_000
                sent += len(ballast)
                await client.patch(Namespace, "big", {"metadata": {"annotations": {"ballast": ballast}}})
            received = 0
            while chunk := await asyncio.wait_for(reader.read(1 << 20), DEADLINE):
                received += len(chunk)
            writer.close()
            assert received < sent
            assert (await client.get(Namespace, "big")).metadata.annotations["ballast"].startswith("0199")

    asyncio.run(scenario())


def test_the_objects_and_the_history_survive_a_kill_of_the_process(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from netlab.api.store import Store
from netlab.model.objects import Namespace, ObjectMeta, Service
store = Store(Path({str(tmp_path / "objects.db")!r}))
store.create(Namespace(metadata=ObjectMeta(name="kept")))
store.create(Service.model_validate({{"metadata": {{"name": "web", "namespace": "kept"}}, "spec": {{"odd": [1]}}}}))
store.create(Namespace(metadata=ObjectMeta(name="gone")))
store.delete(Namespace, "gone")
os.kill(os.getpid(), signal.SIGKILL)
"""

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=dict(os.environ))
        assert await process.wait() == -signal.SIGKILL

    asyncio.run(scenario())
    store = Store(tmp_path / "objects.db")
    assert store.version == 4
    assert [value.metadata.name for value in store.list(Namespace)] == ["kept"]
    assert (store.get(Service, "web", "kept").spec.model_extra or {})["odd"] == [1]
    changes = store.changes_since(Namespace, 1)
    assert [(change.type, change.version) for change in changes] == [(EventType.ADDED, 3), (EventType.DELETED, 4)]
    store.close()


def test_forgetting_old_writes_keeps_every_object_and_every_later_event(tmp_path: Path) -> None:
    store = Store(tmp_path / "objects.db", history=10)
    store.create(a_slice("old"))
    for number in range(50):
        store.create(a_slice(f"p{number}"))
        if number % 2:
            store.delete(EndpointSlice, f"p{number}")
    names = [each.metadata.name for each in store.list(EndpointSlice)]
    recent = [(change.type, change.version) for change in store.changes_since(EndpointSlice, store.version - 10)]
    version = store.version
    store.close()
    again = Store(tmp_path / "objects.db", history=10)
    assert [each.metadata.name for each in again.list(EndpointSlice)] == names
    assert "old" in names
    assert again.version == version
    assert [(change.type, change.version) for change in again.changes_since(EndpointSlice, version - 10)] == recent
    assert len(recent) == 10
    with pytest.raises(Refusal, match="too old resource version"):
        again.changes_since(EndpointSlice, 1)
    again.close()
