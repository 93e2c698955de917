"""JSON patches and strategic merge patches: over HTTP, and the rules of the latter by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_asking import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    OPERATIONS,
    SERVICES,
    STRATEGIC,
    Server,
    a_server,
    deployment,
    service,
)

from netlab.api.openapi.shapes import shape_of
from netlab.api.patches.strategic import strategic_merge
from netlab.api.statuses import Refusal

POD = shape_of("v1", "Pod")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with a_server(tmp_path) as server:
        yield server


def test_operations_are_all_done_or_none(server: Server) -> None:
    server.ok("POST", SERVICES, service())
    good = [
        {"op": "test", "path": "/spec/ports/0/port", "value": 80},
        {"op": "add", "path": "/spec/ports/-", "value": {"name": "https", "port": 443}},
        {"op": "add", "path": "/spec/ports/0/name", "value": "http"},
        {"op": "replace", "path": "/metadata/labels/app", "value": "shop"},
    ]
    patched = server.ok("PATCH", f"{SERVICES}/web", good, kind=OPERATIONS)
    assert [port["port"] for port in patched["spec"]["ports"]] == [80, 443]
    bad = [{"op": "remove", "path": "/metadata/labels/app"}, {"op": "test", "path": "/spec/type", "value": "NodePort"}]
    answer = server.ask("PATCH", f"{SERVICES}/web", bad, kind=OPERATIONS)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].endswith("testing value /spec/type failed: test failed")
    assert server.ok("GET", f"{SERVICES}/web")["metadata"]["labels"] == {"app": "shop"}


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"op": "add"}, 400),
        ([{"op": "fly", "path": "/a"}], 422),
        ([{"op": "remove", "path": "/spec/nothing"}], 422),
        ([{"op": "replace", "path": "", "value": 5}], 422),
        ([{"op": "add", "path": "/spec/ports/7", "value": {}}], 422),
        ([{"op": "replace", "path": "/metadata/name", "value": "other"}], 400),
        ([{"op": "test", "path": "/kind", "value": "Service"}] * 10_001, 413),
        ([{"op": "copy", "from": "/metadata", "path": f"/metadata/{key}"} for key in range(40)], 413),
        ([{"op": "copy", "from": "/nothing", "path": "/metadata/annotations"}], 422),
    ],
)
def test_operations_that_cannot_be_done_are_refused(server: Server, patch: Any, status: int) -> None:
    before = server.ok("POST", SERVICES, service())
    answer = server.ask("PATCH", f"{SERVICES}/web", patch, kind=OPERATIONS)
    assert (answer.status, answer.body["kind"]) == (status, "Status")
    assert server.ok("GET", f"{SERVICES}/web") == before


def test_an_object_cannot_be_patched_beyond_the_limit_of_a_body(server: Server) -> None:
    value = {"metadata": {"name": "big"}, "data": {"a": "x" * 2_000_000}}
    before = server.ok("POST", CONFIG_MAPS, value)
    answer = server.ask("PATCH", f"{CONFIG_MAPS}/big", {"data": {"b": "x" * 2_000_000}}, kind=MERGE)
    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")
    assert server.ok("GET", f"{CONFIG_MAPS}/big") == before


def test_a_strategic_patch_merges_ports_by_their_numbers(server: Server) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443}]
    server.ok("POST", SERVICES, service(ports=ports))
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 9090}, {"port": 53, "name": "dns", "protocol": "UDP"}]}}
    patched = server.ok("PATCH", f"{SERVICES}/web", patch, kind=STRATEGIC)["spec"]["ports"]
    assert {port["name"]: port["targetPort"] for port in patched} == {"http": 9090, "https": 443, "dns": 53}
    gone = {"spec": {"ports": [{"port": 443, "$patch": "delete"}]}}
    patched = server.ok("PATCH", f"{SERVICES}/web", gone, kind=STRATEGIC)["spec"]["ports"]
    assert [port["name"] for port in patched] == ["http", "dns"]


def test_a_strategic_patch_changes_one_container_s_image_and_the_strategy(server: Server) -> None:
    server.ok("POST", DEPLOYMENTS, deployment())
    patch = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "c", "image": "other"}]}},
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
        }
    }
    spec = server.ok("PATCH", f"{DEPLOYMENTS}/web", patch, kind=STRATEGIC)["spec"]
    assert spec["template"]["spec"]["containers"][0]["image"] == "other"
    assert spec["strategy"] == {"type": "Recreate"}


def test_a_patch_without_a_merge_key_or_with_an_unknown_directive_is_refused(server: Server) -> None:
    server.ok("POST", SERVICES, service())
    for patch in ({"spec": {"ports": [{"targetPort": 1}]}}, {"spec": {"$patch": "explode"}}):
        assert server.ask("PATCH", f"{SERVICES}/web", patch, kind=STRATEGIC).status == 400


CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "null removes a field",
        {"spec": {"hostname": "a", "subdomain": "b"}},
        {"spec": {"hostname": None}},
        {"spec": {"subdomain": "b"}},
    ),
    (
        "a map is merged",
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"b": "2"}}},
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
    ),
    (
        "a map is replaced",
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"$patch": "replace", "b": "2"}}},
        {"metadata": {"labels": {"b": "2"}}},
    ),
    (
        "a list of plain values is merged",
        {"metadata": {"finalizers": ["a"]}},
        {"metadata": {"finalizers": ["b", "a"]}},
        {"metadata": {"finalizers": ["a", "b"]}},
    ),
    (
        "a plain value is taken out",
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
        {"metadata": {"finalizers": ["b"]}},
    ),
    (
        "a list is replaced",
        {"spec": {"containers": [{"name": "a"}]}},
        {"spec": {"containers": [{"$patch": "replace"}, {"name": "b"}]}},
        {"spec": {"containers": [{"name": "b"}]}},
    ),
    (
        "an atomic list is replaced",
        {"spec": {"containers": [{"name": "a", "args": ["x"]}]}},
        {"spec": {"containers": [{"name": "a", "args": ["y"]}]}},
        {"spec": {"containers": [{"name": "a", "args": ["y"]}]}},
    ),
    (
        "items come in the order that is asked for",
        {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}},
        {
            "spec": {
                "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                "containers": [{"name": "c"}],
            }
        },
        {"spec": {"containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}]}},
    ),
    (
        "an order alone orders what is there",
        {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}},
        {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        {"spec": {"containers": [{"name": "b"}, {"name": "a"}]}},
    ),
    (
        "what is new has no nulls and directives",
        {},
        {"spec": {"hostname": None, "containers": [{"name": "a", "image": None}]}},
        {"spec": {"containers": [{"name": "a"}]}},
    ),
]


@pytest.mark.parametrize(("live", "patch", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_strategic_merge(live: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert strategic_merge(live, patch, POD) == expected


def test_a_strategic_patch_leaves_what_it_is_made_on_as_it_was() -> None:
    live: dict[str, Any] = {"spec": {"containers": [{"name": "a", "image": "1"}]}}
    strategic_merge(live, {"spec": {"containers": [{"name": "a", "image": "2"}]}}, POD)
    assert live["spec"]["containers"] == [{"name": "a", "image": "1"}]
    with pytest.raises(Refusal, match="declared merge key"):
        strategic_merge(live, {"spec": {"containers": [{"image": "2"}]}}, POD)
