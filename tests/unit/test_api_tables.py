"""Tables, as `kubectl get` asks for them, and metadata alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from api_asking import SERVICES, TABLE, Server, UnixConnection, a_server, config_map, deployment, service

from netlab.model.timestamp import age


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with a_server(tmp_path) as server:
        yield server


def columns(table: dict[str, list[dict[str, object]]], *, wide: bool = False) -> list[object]:
    return [each["name"] for each in table["columnDefinitions"] if wide or each["priority"] == 0]


def test_services_are_shown_in_kubectl_s_columns_with_their_metadata(server: Server) -> None:
    server.ok("POST", SERVICES, service(type="NodePort", selector={"app": "web"}))
    table = server.ok("GET", f"{SERVICES}?labelSelector=app%3Dweb", accept=f"{TABLE},application/json")
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert columns(table) == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"]
    assert columns(table, wide=True)[-1] == "Selector"
    (row,) = table["rows"]
    name, kind, address, external, ports, _, selector = row["cells"]
    assert (name, kind, external, selector) == ("web", "NodePort", "<none>", "app=web")
    assert address.startswith("10.")
    assert ports.startswith("80:3")
    assert ports.endswith("/TCP")
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["labels"] == {"app": "web"}
    assert "spec" not in row["object"]


def test_a_row_carries_as_much_of_its_object_as_is_asked_for(server: Server) -> None:
    server.ok("POST", SERVICES, service())
    assert "object" not in server.ok("GET", f"{SERVICES}/web?includeObject=None", accept=TABLE)["rows"][0]
    whole = server.ok("GET", f"{SERVICES}/web?includeObject=Object", accept=TABLE)["rows"][0]
    assert whole["object"]["spec"]["ports"]
    assert server.ask("GET", f"{SERVICES}?includeObject=All", accept=TABLE).status == 400
    assert server.ok("GET", f"{SERVICES}/web", accept=TABLE)["rows"][0]["cells"][0] == "web"


def test_a_scale_has_columns_of_its_own(server: Server) -> None:
    server.ok("POST", "/apis/apps/v1/namespaces/default/deployments", deployment())
    server.settle()
    for kind, name in (("deployments", "web"), ("replicasets", _replica_set(server))):
        scale = server.ok("GET", f"/apis/apps/v1/namespaces/default/{kind}/{name}/scale", accept=TABLE)
        assert columns(scale) == ["Name", "Desired", "Available", "Age"]
        assert scale["rows"][0]["cells"][:3] == [name, 2, 2]
        assert scale["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def _replica_set(server: Server) -> str:
    (found,) = server.ok("GET", "/apis/apps/v1/replicasets")["items"]
    return str(found["metadata"]["name"])


def test_every_kind_has_a_table(server: Server) -> None:
    server.ok("POST", "/apis/apps/v1/namespaces/default/deployments", deployment())
    server.ok("POST", "/api/v1/namespaces/default/configmaps", config_map(a="1", b="2"))
    server.ok("POST", SERVICES, service(selector={"app": "web"}))
    server.settle()
    for path, expected in (
        ("/apis/apps/v1/deployments", ["web", "0/2", 2, 0]),
        ("/apis/apps/v1/replicasets", [2, 2, 0]),
        ("/api/v1/pods", ["0/1", "Pending", "0"]),
        ("/api/v1/configmaps", ["settings", 2]),
        ("/api/v1/endpoints", ["web", "<none>"]),
        ("/api/v1/nodes", ["node1", "Unknown", "<none>"]),
        ("/api/v1/namespaces", ["default", "Active"]),
        ("/api/v1/events", ["Normal", "ScalingReplicaSet", "deployment/web"]),
        ("/apis/discovery.k8s.io/v1/endpointslices", ["IPv4", "80"]),
        ("/apis/networking.k8s.io/v1/servicecidrs", ["kubernetes", "10.96.0.0/12"]),
        ("/apis/networking.k8s.io/v1/ipaddresses", ["services/default/web"]),
        ("/apis/netlab/v1/topologies", ["lab"]),
    ):
        table = server.ok("GET", path, accept=TABLE)
        assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"]), path
        cells = [cell for row in table["rows"] for cell in row["cells"]]
        assert all(cell in cells for cell in expected), (path, cells)


def test_metadata_alone_is_to_be_had_too_and_what_is_not_there_is_refused(server: Server) -> None:
    server.ok("POST", SERVICES, service())
    partial = server.ok("GET", SERVICES, accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert partial["kind"] == "PartialObjectMetadataList"
    assert partial["items"][0].keys() == {"kind", "apiVersion", "metadata"}
    refused = server.ask("GET", SERVICES, accept="application/vnd.kubernetes.protobuf")
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")


def test_of_a_watch_in_tables_the_first_event_alone_has_the_columns(server: Server) -> None:
    for name in ("a", "b"):
        server.ok("POST", SERVICES, service(name))
    with closing(UnixConnection(server.path)) as connection:
        url = f"{SERVICES}?watch=1&fieldSelector=metadata.name!%3Dkubernetes"
        connection.request("GET", url, headers={"Accept": TABLE})
        response = connection.getresponse()
        events = [json.loads(response.readline()) for _ in range(2)]
    assert [event["object"]["rows"][0]["cells"][0] for event in events] == ["a", "b"]
    assert [bool(event["object"]["columnDefinitions"]) for event in events] == [True, False]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (599, "9m59s"), (601, "10m"), (3 * 3600, "3h"),
     (3 * 3600 + 120, "3h2m"), (9 * 3600, "9h"), (49 * 3600, "2d1h"), (9 * 86400, "9d"), (800 * 86400, "2y70d")],
)  # fmt: skip
def test_ages_are_spelled_as_kubectl_spells_them(seconds: int, text: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(start.isoformat(), now=datetime.fromtimestamp(start.timestamp() + seconds, UTC)) == text
