"""The API server over HTTP: what it answers to good requests, to bad ones, and to both clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from api_asking import a_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.api.client import ApiClient
from netlab.api.http.server import listen, run
from netlab.api.journal import EventType
from netlab.api.sync_client import Outcome, SyncClient
from netlab.errors import ApiError, NotFound
from netlab.model.objects import ConfigMap, Deployment, EndpointSlice, Namespace, ObjectMeta, Pod, Service
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology

DEADLINE = 20.0
Json = dict[str, Any]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    with a_server(tmp_path) as server:
        yield server.path


@pytest.fixture
def client(served: Path) -> Iterator[SyncClient]:
    with SyncClient(served) as client:
        yield client


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("api", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(self._path))


def ask(
    path: Path, method: str, url: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, Any]:
    with closing(_Connection(path)) as connection:
        connection.request(method, url, body=body, headers={"Content-Type": kind})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if response.getheader("Content-Type", "").endswith("json") else text


def a_service(name: str = "web", **spec: Any) -> Service:
    spec = {"ports": [{"port": 80}], **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def a_pod(name: str, **labels: str) -> Pod:
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return Pod.model_validate({"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "web"}]}})


SERVICES = "/api/v1/namespaces/default/services"


def test_the_socket_is_its_owners_alone(served: Path) -> None:
    assert stat.S_IMODE(served.stat().st_mode) == 0o600


def test_a_list_names_its_kind_and_version_and_holds_the_objects(served: Path, client: SyncClient) -> None:
    created = client.create(a_service())
    status, body = ask(served, "GET", "/api/v1/services")
    assert status == 200
    assert (body["kind"], body["apiVersion"]) == ("ServiceList", "v1")
    assert int(body["metadata"]["resourceVersion"]) >= int(created.metadata.resource_version or 0)
    assert [item["metadata"]["name"] for item in body["items"]] == ["kubernetes", "web"]
    assert (body["items"][1]["kind"], body["items"][1]["apiVersion"]) == ("Service", "v1")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=web", ["a", "b"]),
        ("app==web,tier!=front", ["b"]),
        ("app in (web, db)", ["a", "b", "c"]),
        ("app notin (web)", ["c", "d"]),
        ("tier", ["a"]),
        ("!app", ["d"]),
        ("", ["a", "b", "c", "d"]),
    ],
)
def test_a_list_by_labels_holds_what_matches(client: SyncClient, selector: str, names: list[str]) -> None:
    for pod in (a_pod("a", app="web", tier="front"), a_pod("b", app="web"), a_pod("c", app="db"), a_pod("d")):
        client.create(pod)
    found, _ = client.list(Pod, label_selector=selector)
    assert [pod.metadata.name for pod in found] == names


def test_a_list_by_fields_holds_what_matches(client: SyncClient) -> None:
    client.create(a_service("headless", clusterIP="None"))
    client.create(a_service("normal"))
    client.create(Namespace(metadata=ObjectMeta(name="shop")))
    found, _ = client.list(Service, field_selector="spec.clusterIP!=None")
    assert [service.metadata.name for service in found] == ["kubernetes", "normal"]
    found, _ = client.list(Service, field_selector="metadata.name=headless,metadata.namespace=default")
    assert [service.metadata.name for service in found] == ["headless"]
    assert client.list(Service, namespace="shop")[0] == ()


def test_a_write_from_an_old_version_is_a_conflict_and_one_from_the_newest_is_not(client: SyncClient) -> None:
    first = client.create(a_service())
    labelled = first.metadata.model_copy(update={"labels": {"a": "b"}})
    second = client.update(first.model_copy(update={"metadata": labelled}))
    with pytest.raises(ApiError) as refusal:
        client.update(first)
    assert (refusal.value.status, refusal.value.reason) == (409, "Conflict")
    assert str(refusal.value) == (
        'Operation cannot be fulfilled on services "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert client.get(Service, "web") == second


def test_a_write_that_changes_nothing_makes_no_new_version(client: SyncClient) -> None:
    first = client.create(a_service())
    assert client.update(a_service()).metadata.resource_version == first.metadata.resource_version


def test_the_status_of_a_pod_is_changed_by_its_subresource_alone(client: SyncClient) -> None:
    client.create(a_pod("p"))
    client.patch(Pod, "p", {"status": {"phase": "Running"}})
    assert client.get(Pod, "p").status.phase == "Pending"
    patch: Json = {"status": {"phase": "Running"}, "metadata": {"labels": {"a": "b"}}, "spec": {"hostname": "x"}}
    changed = client.patch(Pod, "p", patch, subresource="status")
    assert (changed.status.phase, changed.metadata.labels, changed.spec.hostname) == ("Running", {}, None)


def test_a_deployment_is_scaled_by_its_subresource(served: Path, client: SyncClient) -> None:
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web"}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": pod}
    client.create(Deployment.model_validate({"metadata": {"name": "web"}, "spec": spec}))
    client.settle()  # else the Deployment's status may change between a GET and a PUT: 409
    url = "/apis/apps/v1/namespaces/default/deployments/web/scale"
    status, scale = ask(served, "GET", url)
    assert (status, scale["kind"], scale["spec"]["replicas"]) == (200, "Scale", 1)
    scale["spec"]["replicas"] = 3
    assert ask(served, "PUT", url, json.dumps(scale).encode())[1]["spec"]["replicas"] == 3
    patch = json.dumps({"spec": {"replicas": 2}}).encode()
    assert ask(served, "PATCH", url, patch, "application/merge-patch+json")[0] == 200
    assert client.get(Deployment, "web").spec.replicas == 2


def test_a_deleted_object_is_gone_and_the_answer_says_what_it_was(served: Path, client: SyncClient) -> None:
    created = client.create(a_service())
    status, body = ask(served, "DELETE", f"{SERVICES}/web")
    assert (status, body["metadata"]["uid"]) == (200, created.metadata.uid)
    with pytest.raises(NotFound, match=r'^services "web" not found$'):
        client.get(Service, "web")
    shop = client.create(Namespace(metadata=ObjectMeta(name="shop")))
    map_ = client.create(ConfigMap(metadata=ObjectMeta(name="settings", namespace="shop")))
    status, body = ask(served, "DELETE", "/api/v1/namespaces/shop/configmaps/settings")
    assert (status, body["status"]) == (200, "Success")
    assert body["details"] == {"name": "settings", "kind": "configmaps", "uid": map_.metadata.uid}
    assert shop.status.phase == "Active"


def test_an_object_with_a_finalizer_goes_when_the_finalizer_does(client: SyncClient) -> None:
    service = a_service()
    held = service.metadata.model_copy(update={"finalizers": ("example.com/hold",)})
    client.create(service.model_copy(update={"metadata": held}))
    client.delete(Service, "web")
    assert client.get(Service, "web").metadata.deletion_timestamp is not None
    client.patch(Service, "web", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        client.get(Service, "web")


def test_a_pod_deleted_with_grace_is_marked_and_goes_without(client: SyncClient) -> None:
    client.create(a_pod("p"))
    for event in client.watch(Pod):
        if event.object and event.object.status.pod_ips:
            break
    client.delete(Pod, "p", grace_seconds=30)
    metadata = client.get(Pod, "p").metadata
    assert metadata.deletion_timestamp is not None
    assert metadata.deletion_grace_period_seconds == 30
    client.delete(Pod, "p", grace_seconds=0)
    with pytest.raises(NotFound):
        client.get(Pod, "p")


def test_a_name_can_be_left_to_the_server(client: SyncClient) -> None:
    made = {client.create(Namespace(metadata=ObjectMeta(generate_name="try-"))).metadata.name for _ in range(20)}
    assert len(made) == 20
    assert all(name.startswith("try-") and len(name) == 9 for name in made)


@pytest.mark.parametrize(
    "case",
    [
        ("GET", "/api/v1/things", None, 404, "NotFound", "the server could not find the requested resource"),
        ("GET", "/nonsense", None, 404, "NotFound", "the server could not find the requested resource"),
        ("GET", "/apis/apps/v1/pods", None, 404, "NotFound", "the server could not find the requested resource"),
        ("GET", f"{SERVICES}/web/log", None, 404, "NotFound", "the server could not find the requested resource"),
        ("GET", "/api/v1/namespaces/x/nodes", None, 404, "NotFound", "the server could not find the requested"),
        ("GET", f"{SERVICES}/..%2f..%2fnodes", None, 404, "NotFound", 'services "../../nodes" not found'),
        ("GET", f"{SERVICES}/web", None, 404, "NotFound", 'services "web" not found'),
        ("PUT", SERVICES, "{}", 405, "MethodNotAllowed", "the server does not allow this method"),
        ("POST", "/api/v1/services", "{}", 405, "MethodNotAllowed", "the server does not allow this method"),
        ("POST", SERVICES, "{", 400, "BadRequest", "the body is not JSON"),
        ("POST", SERVICES, "[]", 400, "BadRequest", "the body is not a JSON object"),
        ("POST", SERVICES, "", 400, "BadRequest", "the body is not JSON"),
        ("POST", SERVICES, "[" * 100_000, 400, "BadRequest", "the body is not JSON"),
        ("POST", SERVICES, '{"null":' * 100_000, 400, "BadRequest", "the body is not JSON"),
        ("POST", SERVICES, '{"kind":"Pod"}', 400, "BadRequest", 'Pod in version "v1" cannot be handled as a Service'),
        (
            "POST",
            SERVICES,
            '{"apiVersion":"v2","kind":"Service"}',
            400,
            "BadRequest",
            "the API version in the data (v2) does not match the expected API version (v1)",
        ),
        (
            "POST",
            SERVICES,
            '{"metadata":{"name":"web"},"spec":{"ports":[{"port":"80"}]}}',
            400,
            "BadRequest",
            'Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string into Go struct '
            "field spec.ports[0].port of type int",
        ),
        (
            "POST",
            SERVICES,
            '{"metadata":{"name":"web","labels":{"a":1}}}',
            400,
            "BadRequest",
            "json: cannot unmarshal number into Go struct field metadata.labels.a of type string",
        ),
        (
            "POST",
            SERVICES,
            '{"metadata":{"name":"web"},"spec":{"type":"clusterip","ports":[{"port":70000,"targetPort":-1}]}}',
            422,
            "Invalid",
            'Service "web" is invalid: [spec.type: Unsupported value: "clusterip": supported values: "ClusterIP", '
            '"ExternalName", "LoadBalancer", "NodePort", spec.ports[0].port: Invalid value: 70000: must be between '
            "1 and 65535, inclusive, "
            "spec.ports[0].targetPort: Invalid value: -1: must be between 1 and 65535, inclusive]",
        ),
        (
            "POST",
            SERVICES,
            '{"metadata":{"name":"web"},"spec":{"ports":[{}]}}',
            422,
            "Invalid",
            'Service "web" is invalid: spec.ports[0].port: Required value',
        ),
        (
            "POST",
            SERVICES,
            "{}",
            422,
            "Invalid",
            'Service "" is invalid: [metadata.name: Required value: name or generateName is required, '
            "spec.ports: Required value]",
        ),
        (
            "POST",
            SERVICES,
            '{"metadata":{"name":"web","namespace":"other"}}',
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "PUT",
            f"{SERVICES}/web",
            '{"metadata":{"name":"other"}}',
            400,
            "BadRequest",
            "the name of the object (other) does not match the name on the URL (web)",
        ),
        ("GET", "/api/v1/pods?labelSelector=a%3Db%2C%2C", None, 400, "BadRequest", "unable to parse requirement"),
        ("GET", "/api/v1/pods?labelSelector=a+in+b", None, 400, "BadRequest", "unable to parse requirement"),
        ("GET", "/api/v1/pods?fieldSelector=spec.x%3D1", None, 400, "BadRequest", "field label not supported: spec.x"),
        ("GET", "/api/v1/pods?resourceVersion=x", None, 400, "BadRequest", "invalid resourceVersion: 'x'"),
        ("GET", "/api/v1/pods?resourceVersion=999999", None, 504, "Timeout", "Too large resource version: 999999"),
        ("GET", "/api/v1/pods?watch=1&sendInitialEvents=true", None, 400, "BadRequest", "resourceVersionMatch"),
        ("DELETE", f"{SERVICES}/web?gracePeriodSeconds=-1", None, 400, "BadRequest", "gracePeriodSeconds"),
    ],
    ids=lambda case: f"{case[0]} {case[1]} with the body {str(case[2])[:60]} gives {case[3]}",
)
def test_a_bad_request_is_refused_with_a_status_that_says_why(
    served: Path, case: tuple[str, str, str | None, int, str, str]
) -> None:
    method, url, body, status, reason, message = case
    code, answer = ask(served, method, url, body.encode() if body is not None else None)
    assert (code, answer["kind"], answer["status"], answer["reason"], answer["code"]) == (
        status,
        "Status",
        "Failure",
        reason,
        status,
    )
    assert message in answer["message"]


def test_an_invalid_object_lists_the_fields_that_are_wrong(served: Path) -> None:
    wrong = b'{"metadata":{"name":"web"},"spec":{"ports":[{"port":80},{"port":80}]}}'
    _, answer = ask(served, "POST", SERVICES, wrong)
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "spec.ports[0].name",
        "spec.ports[1].name",
        "spec.ports[1]",
    ]
    assert answer["details"]["causes"][0]["reason"] == "FieldValueRequired"


def test_a_body_that_is_too_large_is_refused_and_the_server_goes_on(served: Path) -> None:
    status, answer = ask(served, "POST", SERVICES, b'{"x":"' + b"x" * (4 << 20) + b'"}')
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")
    assert ask(served, "GET", "/healthz") == (200, b"ok")


@pytest.mark.parametrize(
    "patch",
    [{"metadata": {"name": "other"}}, {"metadata": {"namespace": "kube-system"}}, {"kind": "Pod"}, {"metadata": None}],
    ids=["another name", "another namespace", "another kind", "no metadata"],
)
def test_a_patch_cannot_make_an_object_another_one(client: SyncClient, patch: Json) -> None:
    client.create(a_service("other"))
    before = client.create(a_service())
    with pytest.raises(ApiError) as refusal:
        client.patch(Service, "web", patch)
    assert refusal.value.status == 400
    assert client.get(Service, "web") == before


def test_a_patch_of_a_type_that_is_not_known_is_refused(served: Path, client: SyncClient) -> None:
    client.create(a_service())
    status, answer = ask(served, "PATCH", f"{SERVICES}/web", b"[]", "application/x-patch")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_keys = st.sampled_from(
    ("metadata", "name", "labels", "spec", "ports", "port", "targetPort", "type", "clusterIP", "clusterIPs", "selector")
) | st.text(max_size=4)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4), max_leaves=12
)


def test_whatever_json_comes_the_answer_is_a_status_or_an_object(tmp_path: Path) -> None:
    urls = st.sampled_from(
        (
            SERVICES,
            "/api/v1/namespaces/default/pods",
            "/api/v1/namespaces",
            "/apis/apps/v1/namespaces/default/deployments",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            "/apis/netlab/v1/topologies",
        )
    )

    with a_server(tmp_path) as server:
        path = server.path

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(url=urls, spec=_json, body=_json)
        def post(url: str, spec: object, body: object) -> None:
            name = {"metadata": {"name": "fuzz", "labels": {"a": "b"}}, "spec": spec}
            for value in (body, name):
                status, answer = ask(path, "POST", url, json.dumps(value).encode())
                assert status in (201, 400, 403, 409, 422), answer
                if status == 201:
                    ask(path, "DELETE", f"{url}/{answer['metadata']['name']}")

        post()
        assert ask(path, "GET", "/readyz") == (200, b"ok")


# --- apply


def a_manifest(**spec: Any) -> Service:
    return a_service(selector={"app": "web"}, **spec)


def test_apply_creates_then_changes_nothing_then_changes_what_the_file_changed(client: SyncClient) -> None:
    created = client.apply(a_manifest())
    assert created.outcome is Outcome.CREATED
    again = client.apply(a_manifest())
    assert (again.outcome, again.object) == (Outcome.UNCHANGED, created.object)
    changed = client.apply(a_manifest(type="NodePort"))
    assert (changed.outcome, changed.object.spec.type) == (Outcome.CONFIGURED, "NodePort")
    assert changed.object.spec.cluster_ip == created.object.spec.cluster_ip
    assert client.apply(a_manifest(type="NodePort")).outcome is Outcome.UNCHANGED


def test_apply_removes_what_the_file_dropped_and_leaves_what_others_set(client: SyncClient) -> None:
    client.apply(a_manifest(sessionAffinity="ClientIP", externalIPs=["192.0.2.1"]))
    client.patch(Service, "web", {"metadata": {"labels": {"mine": "yes"}}, "spec": {"publishNotReadyAddresses": True}})
    applied = client.apply(a_manifest())
    assert applied.outcome is Outcome.CONFIGURED
    assert applied.object.metadata.labels == {"mine": "yes"}
    assert applied.object.spec.publish_not_ready_addresses is True
    assert applied.object.spec.external_ips == ()
    assert applied.object.spec.session_affinity == "None"


def test_apply_of_an_object_that_was_not_applied_before_keeps_what_it_has(client: SyncClient) -> None:
    client.create(a_service(selector={"app": "web", "tier": "x"}))
    applied = client.apply(a_manifest())
    assert applied.object.spec.selector == {"app": "web", "tier": "x"}
    assert client.apply(a_manifest()).outcome is Outcome.UNCHANGED


def test_apply_of_what_the_server_refuses_says_why_and_changes_nothing(client: SyncClient) -> None:
    before = client.apply(a_manifest()).object
    with pytest.raises(ApiError, match=r"spec.externalIPs\[0\]: Invalid value"):
        client.apply(a_manifest(externalIPs=["nonsense"]))
    with pytest.raises(NotFound, match=r'^namespaces "shop" not found$'):
        client.apply(Service.model_validate({"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}))
    assert client.get(Service, "web") == before


def test_apply_of_a_topology_adds_a_node_and_moves_nobody(client: SyncClient) -> None:
    topology = Topology(metadata=ObjectMeta(name="lab"))
    before = client.get(Topology, "lab").spec.nodes
    assert client.apply(topology).outcome is Outcome.UNCHANGED
    nodes = [{"name": "new"}, {"name": "node1"}, {"name": "node2"}]
    grown = Topology.model_validate({"metadata": {"name": "lab"}, "spec": {"nodes": nodes}})
    applied = client.apply(grown)
    assert applied.outcome is Outcome.CONFIGURED
    assert {node.name: node for node in applied.object.spec.nodes}["node1"] == before[0]


# --- both clients, and the process


def test_the_sync_client_watches_until_the_time_is_up(client: SyncClient) -> None:
    client.create(a_pod("first"))
    _, version = client.list(EndpointSlice)
    events = client.watch(Service, version=version, timeout_seconds=1)
    client.create(a_service())
    client.delete(Service, "web")
    assert [event.type for event in events] == [EventType.ADDED, EventType.DELETED]


def test_the_async_client_does_what_the_sync_one_does(served: Path) -> None:
    async def scenario() -> None:
        async with ApiClient(served) as client:
            created = await client.create(a_service())
            assert await client.get(Service, "web") == created
            changed = await client.patch(Service, "web", {"metadata": {"labels": {"a": "b"}}})
            with pytest.raises(ApiError, match="the object has been modified"):
                await client.update(created)
            found, _ = await client.list(Service, label_selector="a=b")
            assert found == (changed,)
            await client.delete(Service, "web")
            with pytest.raises(NotFound):
                await client.get(Service, "web")

    asyncio.run(scenario())


def start_process(paths: LabPaths, listener: socket.socket) -> int:
    """The server as a child: its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            run(paths, listener)
        finally:
            os._exit(0)
    return pid


def test_the_process_serves_on_a_socket_that_outlives_it_and_ends_at_sigterm(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)
    with closing(listen(paths.api_socket)) as listener:
        listener.listen()
        for life in range(2):
            pid = start_process(paths, listener)
            with SyncClient(paths.api_socket) as client:
                client.create(Namespace(metadata=ObjectMeta(name=f"life-{life}")))
                names = [namespace.metadata.name for namespace in client.list(Namespace)[0]]
                assert names == ["default", "kube-system", *(f"life-{number}" for number in range(life + 1))]
                os.kill(pid, signal.SIGTERM)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_no_acknowledged_write_is_lost_or_told_twice_when_the_server_is_killed_in_the_midst(tmp_path: Path) -> None:
    paths = LabPaths("lab", tmp_path)

    async def write(client: ApiClient, writer: int, acknowledged: list[str], enough: asyncio.Event) -> None:
        for number in range(1000):
            name = f"w{writer}-{number}"
            try:
                await client.create(Namespace(metadata=ObjectMeta(name=name)))
            except (aiohttp.ClientError, OSError):
                return
            acknowledged.append(name)
            if len(acknowledged) == 60:
                enough.set()

    async def follow(client: ApiClient, seen: list[str], caught_up: asyncio.Event) -> None:
        async for event in client.reflect(Namespace):
            if event.object:
                assert event.type is EventType.ADDED
                seen.append(event.object.metadata.name)
                if seen[-1] == "last":
                    caught_up.set()

    async def scenario(listener: socket.socket) -> None:
        acknowledged: list[str] = []
        seen: list[str] = []
        enough, caught_up, pid = asyncio.Event(), asyncio.Event(), start_process(paths, listener)
        async with ApiClient(paths.api_socket) as watcher, ApiClient(paths.api_socket) as client:
            following = asyncio.create_task(follow(watcher, seen, caught_up))
            writers = [asyncio.create_task(write(client, number, acknowledged, enough)) for number in range(20)]
            await asyncio.wait_for(enough.wait(), DEADLINE)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            await asyncio.wait_for(asyncio.gather(*writers), DEADLINE)
            pid = start_process(paths, listener)
            await client.create(Namespace(metadata=ObjectMeta(name="last")))
            await asyncio.wait_for(caught_up.wait(), DEADLINE)
            listed = [namespace.metadata.name for namespace in (await client.list(Namespace))[0]]
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        assert set(acknowledged) <= set(listed)
        assert sorted(seen) == listed

    with closing(listen(paths.api_socket)) as listener:
        listener.listen()
        asyncio.run(scenario(listener))
