"""What the API server says of itself: discovery, old and new, and OpenAPI, in JSON and in protocol buffers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_asking import Json, Server, a_server

from netlab.api.openapi.definitions import definitions, references
from netlab.api.openapi.documents import second_document
from netlab.api.protobuf.wire import fields

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with a_server(tmp_path_factory.mktemp("described")) as server:
        yield server


def test_the_old_discovery_names_every_kind_its_short_names_and_subresources(server: Server) -> None:
    assert server.ok("GET", "/api")["versions"] == ["v1"]
    groups = {group["name"]: group["preferredVersion"]["version"] for group in server.ok("GET", "/apis")["groups"]}
    assert (
        groups["apps"] == groups["discovery.k8s.io"] == groups["networking.k8s.io"] == groups["events.k8s.io"] == "v1"
    )
    core = {entry["name"]: entry for entry in server.ok("GET", "/api/v1")["resources"]}
    assert {"namespaces", "nodes", "pods", "services", "endpoints", "events", "configmaps"} < core.keys()
    assert core["services"]["shortNames"] == ["svc"]
    assert not core["nodes"]["namespaced"]
    assert {"pods/log", "pods/exec", "pods/attach", "pods/portforward", "services/status"} < core.keys()
    apps = {entry["name"]: entry for entry in server.ok("GET", "/apis/apps/v1")["resources"]}
    assert (apps["deployments/scale"]["group"], apps["deployments/scale"]["kind"]) == ("autoscaling", "Scale")
    networking = {entry["name"] for entry in server.ok("GET", "/apis/networking.k8s.io/v1")["resources"]}
    assert {"servicecidrs", "ipaddresses"} <= networking
    assert server.ok("GET", "/apis/apps")["kind"] == "APIGroup"


@pytest.mark.parametrize("path", ["/apis/batch", "/apis/batch/v1", "/api/v2", "/openapi/v3/apis/batch/v1"])
def test_what_is_not_served_is_not_described(server: Server, path: str) -> None:
    answer = server.ask("GET", path)
    assert (answer.status, answer.body["details"]) == (404, {})


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_the_new_discovery_says_all_in_two_documents(server: Server, version: str) -> None:
    accept = f"{AGGREGATED.format(version)},application/json"
    answer = server.ask("GET", "/apis", accept=accept)
    assert answer.headers["content-type"] == AGGREGATED.format(version)
    assert answer.body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    (apps,) = (item for item in answer.body["items"] if item["metadata"]["name"] == "apps")
    (deployments,) = (each for each in apps["versions"][0]["resources"] if each["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert {each["subresource"] for each in deployments["subresources"]} == {"scale", "status"}
    (core,) = server.ok("GET", "/api", accept=accept)["items"]
    assert {"pods", "services"} < {each["resource"] for each in core["versions"][0]["resources"]}


def test_openapi_2_describes_every_field_and_how_lists_are_merged(server: Server) -> None:
    document = server.ok("GET", "/openapi/v2")
    ports = document["definitions"]["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["port", "protocol"]
    assert "exposed by this service" in ports["description"]
    patch = document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}


def test_every_reference_of_openapi_leads_to_a_definition(server: Server) -> None:
    document = second_document("v1")
    assert set(references(dict(document))) <= definitions().keys()
    for entry in server.ok("GET", "/openapi/v3")["paths"].values():
        part = server.ok("GET", entry["serverRelativeURL"])
        schemas = part["components"]["schemas"]
        wanted = {name.rpartition("/")[2] for name in _references(part)}
        assert wanted <= schemas.keys()


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_openapi_2_in_protocol_buffers_holds_what_the_json_does(server: Server) -> None:
    answer = server.ask("GET", "/openapi/v2", accept=PROTOBUF)
    # An at-sign is no part of a media type: the server spells it without, and clients go by that.
    assert answer.headers["content-type"] == PROTOBUF.replace("@", ".")
    message: dict[int, bytes] = {number: value for number, value in fields(answer.body) if isinstance(value, bytes)}
    assert message[1] == b"2.0"
    names = {_name(value) for _, value in fields(message[9])}
    document: Json = server.ok("GET", "/openapi/v2")
    assert names == document["definitions"].keys()
    assert {_name(value) for _, value in fields(message[8])} == document["paths"].keys()


def _name(message: int | bytes) -> str:
    assert isinstance(message, bytes)
    return next(value.decode() for number, value in fields(message) if number == 1 and isinstance(value, bytes))


def test_the_version_is_that_of_the_api(server: Server) -> None:
    version = server.ok("GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")
