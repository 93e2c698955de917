"""Events: told of an object, counted, read under the names of either of their two APIs, and not piling up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from netlab.api.client import ApiClient
from netlab.api.cluster import Cluster
from netlab.api.controllers.alarms import Alarms
from netlab.api.controllers.events import EventLimiter
from netlab.api.controllers.loop import Controllers
from netlab.api.http.server import listen, serving
from netlab.api.recording import Recorder
from netlab.api.store import Store
from netlab.model.objects import Event, Node, ObjectMeta, Service

Json = dict[str, Any]
CORE = "http://api/api/v1/namespaces/default/events"
NEW = "http://api/apis/events.k8s.io/v1/namespaces/default/events"
NOTE = {
    "metadata": {"name": "web.1"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "regarding": {"kind": "Service", "namespace": "default", "name": "web"},
    "reason": "BadPort",
    "action": "Sync",
    "note": "it has none",
    "type": "Warning",
    "reportingController": "kube-proxy",
    "reportingInstance": "node1",
    "unknown": {"kept": True},
}


@asynccontextmanager
async def a_server(folder: Path) -> AsyncIterator[tuple[ApiClient, aiohttp.ClientSession]]:
    path, store = folder / "api.sock", Store()
    async with (
        serving(Cluster(store), listen(path)),
        ApiClient(path) as client,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        yield client, session
    store.close()


async def ask(session: aiohttp.ClientSession, method: str, url: str, body: Json | None = None) -> tuple[int, Json]:
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    data = json.dumps(body) if body is not None else None
    async with session.request(method, url, data=data, headers={"Content-Type": kind}) as response:
        answer: Json = await response.json()
        return response.status, answer


def a_service(name: str = "web") -> Service:
    return Service.model_validate(
        {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
    )


def test_what_is_told_of_a_service_is_an_event_about_it(tmp_path: Path) -> None:
    async def story() -> Event:
        async with a_server(tmp_path) as (client, _):
            service = await client.create(a_service())
            recorder = Recorder(client=client, component="kube-proxy", host="node1", now=lambda: "2026-01-01T00:00:00Z")
            return await recorder.record(service, "Warning", reason="BadPort", message="it has none")

    event = asyncio.run(story())
    about = event.involved_object
    assert (about.api_version, about.kind, about.namespace, about.name) == ("v1", "Service", "default", "web")
    assert (event.type, event.reason, event.message, event.count) == ("Warning", "BadPort", "it has none", 1)
    assert (event.source.component, event.source.host) == ("kube-proxy", "node1")
    assert event.metadata.namespace == "default"
    assert event.metadata.name.startswith("web.")


def test_the_same_told_again_is_counted_and_something_else_is_another_event(tmp_path: Path) -> None:
    async def story() -> list[tuple[str | None, int | None, str | None]]:
        times = iter(f"2026-01-01T00:00:0{second}Z" for second in range(9))
        async with a_server(tmp_path) as (client, _):
            recorder = Recorder(client=client, component="kube-proxy", host="node1", now=lambda: next(times))
            service = await client.create(a_service())
            for message in ("a", "a", "b"):
                await recorder.record(service, "Warning", reason="BadPort", message=message)
            events, _ = await client.list(Event)
            return [(event.message, event.count, event.first_timestamp) for event in events]

    assert sorted(asyncio.run(story())) == [("a", 2, "2026-01-01T00:00:00Z"), ("b", 1, "2026-01-01T00:00:03Z")]


def test_what_is_told_of_a_node_or_of_a_name_of_any_length_has_a_place(tmp_path: Path) -> None:
    async def story() -> list[str | None]:
        async with a_server(tmp_path) as (client, _):
            recorder = Recorder(client=client, component="kube-proxy")
            for name in ("node1", "a" * 253, "a" * 235 + "-." + "b" * 10):
                about = Node(metadata=ObjectMeta(name=name))
                await recorder.record(about, "Normal", reason="Synced", message="x" * 5000)
            return [event.metadata.namespace for event in (await client.list(Event))[0]]

    assert asyncio.run(story()) == ["default"] * 3


def test_an_event_is_read_and_written_under_the_names_of_either_api(tmp_path: Path) -> None:
    async def story() -> tuple[Json, Json, Json, Json]:
        async with a_server(tmp_path) as (_, session):
            status, created = await ask(session, "POST", NEW, NOTE | {"apiVersion": "events.k8s.io/v1"})
            assert status == 201
            _, core = await ask(session, "GET", f"{CORE}/web.1")
            await ask(session, "PATCH", f"{NEW}/web.1", {"note": "it has two", "deprecatedCount": 2})
            _, patched = await ask(session, "GET", f"{CORE}/web.1")
            _, listed = await ask(session, "GET", f"{NEW}?fieldSelector=regarding.name=web,type=Warning")
        return created, core, patched, listed

    created, core, patched, listed = asyncio.run(story())
    said = {name: field for name, field in NOTE.items() if name != "unknown"}
    assert created | {"metadata": NOTE["metadata"]} == said | {"apiVersion": "events.k8s.io/v1", "kind": "Event"}
    assert (created["apiVersion"], core["apiVersion"]) == ("events.k8s.io/v1", "v1")
    assert (core["involvedObject"], core["message"], core["reportingComponent"]) == (
        NOTE["regarding"],
        "it has none",
        "kube-proxy",
    )
    assert "unknown" not in core
    assert (patched["message"], patched["count"]) == ("it has two", 2)
    assert (listed["kind"], listed["apiVersion"]) == ("EventList", "events.k8s.io/v1")
    assert [(item["note"], item["deprecatedCount"]) for item in listed["items"]] == [("it has two", 2)]


def test_a_watch_speaks_the_names_of_the_api_that_it_was_opened_at(tmp_path: Path) -> None:
    async def story() -> list[Json]:
        seen: list[Json] = []
        query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
        async with a_server(tmp_path) as (_, session):
            await ask(session, "POST", NEW, NOTE)
            async with session.get(f"{NEW}?{query}&fieldSelector=reason=BadPort") as response:
                await ask(session, "PATCH", f"{CORE}/web.1", {"reason": "Better"})
                async for line in response.content:
                    seen.append(json.loads(line))
                    if len(seen) == 3:
                        return seen
        return seen

    events = asyncio.run(story())
    assert sorted(event["type"] for event in events) == ["ADDED", "BOOKMARK", "DELETED"]
    assert {event["object"]["apiVersion"] for event in events} == {"events.k8s.io/v1"}
    assert {event["object"]["note"] for event in events if event["type"] != "BOOKMARK"} == {"it has none"}


@pytest.mark.parametrize(
    ("url", "change", "message"),
    [
        (
            CORE,
            {"involvedObject": {"kind": "Service", "namespace": "shop", "name": "web"}},
            'Event "web.1" is invalid: involvedObject.namespace: Invalid value: "shop": does not match event.namespace',
        ),
        (NEW, {"eventTime": None}, 'Event "web.1" is invalid: eventTime: Required value'),
        (NEW, {"reportingController": None}, 'Event "web.1" is invalid: reportingController: Required value'),
        (
            NEW,
            {"note": "x" * 1025},
            'Event "web.1" is invalid: note: Invalid value: "": can have at most 1024 characters',
        ),
        (
            NEW,
            {"type": "Shout"},
            'Event "web.1" is invalid: type: Unsupported value: "Shout": supported values: "Normal", "Warning"',
        ),
    ],
)
def test_a_wrong_event_is_refused_in_the_words_of_kubernetes(
    tmp_path: Path, url: str, change: Json, message: str
) -> None:
    async def story() -> tuple[int, Json]:
        async with a_server(tmp_path) as (_, session):
            return await ask(session, "POST", url, NOTE | change)

    status, answer = asyncio.run(story())
    assert (status, answer["message"]) == (422, message)


def test_the_oldest_events_go_when_there_are_too_many() -> None:
    store = Store()
    controllers = Controllers(store, (EventLimiter(store, limit=3),), Alarms(store.now))
    for number in range(5):
        store.create(Event(metadata=ObjectMeta(name=f"e{number}", namespace="default")))
        controllers.settle()
    assert [event.metadata.name for event in store.list(Event)] == ["e2", "e3", "e4"]
    store.close()


def test_an_event_outlives_its_object() -> None:
    store = Store()
    cluster = Cluster(store, Random(1))
    cluster.create(a_service())
    about = {"kind": "Service", "namespace": "default", "name": "web"}
    body = {"metadata": {"name": "web.1", "namespace": "default"}, "involvedObject": about}
    cluster.create(Event.model_validate(body))
    cluster.delete(Service, "web")
    assert [event.key for event in store.list(Event)] == ["default/web.1"]
    store.close()
