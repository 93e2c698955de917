"""Watches under load: with fifty writers at once a watch tells every write, in order, and each once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from api_asking import CONFIG_MAPS, config_map

from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.store import Store

WRITERS, ROUNDS = 50, 12
DEADLINE = 60.0
Write = tuple[str, str, int]
"""What was done to which object, and the resourceVersion that came of it."""


@asynccontextmanager
async def a_session(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    store = Store(folder / "objects.db")
    path = folder / "api.sock"
    async with serving(Cluster(store), listen(path)):
        connector = aiohttp.UnixConnector(str(path), limit=0)
        async with aiohttp.ClientSession("http://api", connector=connector) as session:
            yield session
    store.close()


async def one_writer(session: aiohttp.ClientSession, number: int, writes: list[Write]) -> None:
    """Create an object of its own, change it, fight for a shared one, delete its own."""
    name = f"own-{number}"
    for round_ in range(ROUNDS):
        async with session.post(CONFIG_MAPS, json=config_map(name, round=str(round_))) as answer:
            writes.append(("ADDED", name, _version(await answer.json())))
        async with session.get(f"{CONFIG_MAPS}/shared") as answer:
            shared = await answer.json()
        shared["data"] = {"by": f"{number}-{round_}"}
        async with session.put(f"{CONFIG_MAPS}/shared", json=shared) as answer:
            # Whoever read it before another wrote it is refused, and has written nothing.
            assert answer.status in (200, 409)
            if answer.status == 200:
                writes.append(("MODIFIED", "shared", _version(await answer.json())))
        async with session.delete(f"{CONFIG_MAPS}/{name}") as answer:
            assert answer.status == 200
            writes.append(("DELETED", name, 0))


def _version(value: dict[str, Any]) -> int:
    return int(value["metadata"]["resourceVersion"])


async def watched(session: aiohttp.ClientSession, version: str, until: asyncio.Event) -> list[Write]:
    """What a watch from that version tells, up to the write of the object `last`."""
    query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
    seen: list[Write] = []
    async with session.get(CONFIG_MAPS, params=query) as answer:
        until.set()
        async for line in answer.content:
            event = json.loads(line)
            value = event["object"]
            if event["type"] == "BOOKMARK":
                continue
            if value["metadata"]["name"] == "last":
                return seen
            seen.append((event["type"], value["metadata"]["name"], _version(value)))
    raise AssertionError("the watch ended")


async def story(folder: Path) -> tuple[list[Write], list[list[Write]]]:
    writes: list[Write] = []
    async with a_session(folder) as session:
        async with session.post(CONFIG_MAPS, json=config_map("shared")) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        begun = [asyncio.Event() for _ in range(3)]
        early = [asyncio.ensure_future(watched(session, version, event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        await asyncio.gather(*(one_writer(session, number, writes) for number in range(WRITERS)))
        async with session.post(CONFIG_MAPS, json=config_map("last")) as answer:
            assert answer.status == 201
        late = await watched(session, version, asyncio.Event())
        return writes, [*await asyncio.gather(*early), late]


def test_every_watch_tells_every_write_of_fifty_writers_in_order(tmp_path: Path) -> None:
    writes, streams = asyncio.run(asyncio.wait_for(story(tmp_path), DEADLINE))
    first = streams[0]
    # One stream is as good as another, and one that begins afterwards and reads the journal tells the same.
    assert all(stream == first for stream in streams)
    versions = [version for _, _, version in first]
    assert versions == sorted(set(versions))
    told = [(type_, name) for type_, name, _ in first]
    assert sorted(told) == sorted((type_, name) for type_, name, _ in writes)
    known = {(type_, name, version) for type_, name, version in writes if version}
    assert known <= set(first)


def test_a_reader_that_does_not_read_is_told_to_list_anew_and_costs_no_more_than_the_limit(tmp_path: Path) -> None:
    async def slow() -> tuple[int, list[Any]]:
        async with a_session(tmp_path) as session:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "api.sock"), limit=1 << 26)
            writer.write(f"GET {CONFIG_MAPS}?watch=true HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            big = config_map(a="x" * 900_000)
            async with session.post(CONFIG_MAPS, json=big) as answer:
                assert answer.status == 201
            for number in range(30):
                big["data"]["b"] = str(number)
                async with session.put(f"{CONFIG_MAPS}/settings", json=big) as answer:
                    assert answer.status == 200
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            received = await asyncio.wait_for(reader.read(-1), DEADLINE)
            writer.close()
            lines = [line for line in received.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b'{"type"')]
            return len(received), [json.loads(line)["object"] for line in lines if b'"ERROR"' in line]

    size, errors = asyncio.run(asyncio.wait_for(slow(), DEADLINE))
    assert size < 20 * 1024 * 1024
    assert [error["code"] for error in errors] == [410]
