"""Creating, updating and deleting as clients ask for it: validation, dry runs, conflicts, grace, dependents, pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from api_asking import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    PODS,
    SERVICES,
    Json,
    Server,
    UnixConnection,
    a_server,
    config_map,
    deployment,
    service,
)

REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets"
PROTOBUF = "application/vnd.kubernetes.protobuf"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with a_server(tmp_path) as server:
        yield server


def names(listed: Json) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


# --- what a kind does not have


UNKNOWN = service(selektor={"app": "web"}, ports=[{"port": 80, "x": 1}])


def test_unknown_fields_are_left_out_and_warned_of(server: Server) -> None:
    answer = server.ask("POST", SERVICES, UNKNOWN)
    assert answer.status == 201
    assert "selektor" not in answer.body["spec"]
    assert 'unknown field \\"spec.selektor\\"' in answer.warnings


def test_unknown_fields_are_left_out_in_silence_where_that_is_asked_for(server: Server) -> None:
    answer = server.ask("POST", f"{SERVICES}?fieldValidation=Ignore", UNKNOWN)
    assert (answer.status, answer.warnings) == (201, "")
    assert "x" not in answer.body["spec"]["ports"][0]


def test_unknown_and_repeated_fields_are_refused_where_that_is_asked_for(server: Server) -> None:
    answer = server.ask("POST", f"{SERVICES}?fieldValidation=Strict", UNKNOWN)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert (
        'strict decoding error: unknown field "spec.ports[0].x", unknown field "spec.selektor"'
        in answer.body["message"]
    )
    twice = b'{"metadata":{"name":"web"},"spec":{"ports":[{"port":80}],"type":"ClusterIP","type":"NodePort"}}'
    answer = server.ask("POST", f"{SERVICES}?fieldValidation=Strict", twice)
    assert 'duplicate field "spec.type"' in answer.body["message"]
    assert server.ask("GET", f"{SERVICES}/web").status == 404
    assert server.ask("POST", f"{SERVICES}?fieldValidation=Sloppy", UNKNOWN).status == 422


def test_a_patch_is_validated_too(server: Server) -> None:
    server.ok("POST", SERVICES, service())
    answer = server.ask("PATCH", f"{SERVICES}/web?fieldValidation=Strict", {"spec": {"tipe": "NodePort"}}, kind=MERGE)
    assert (answer.status, "spec.tipe" in answer.body["message"]) == (400, True)


def test_a_field_of_another_type_is_refused_even_if_netlab_never_reads_it(server: Server) -> None:
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}], "dnsPolicy": 5}}
    answer = server.ask("POST", PODS, pod)
    assert answer.status == 400
    assert "cannot unmarshal number into Go struct field spec.dnsPolicy of type string" in answer.body["message"]


# --- bodies


def test_a_body_may_be_yaml(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n"
    assert server.ask("POST", CONFIG_MAPS, text, kind="application/yaml").body["data"] == {"a": "1"}
    assert server.ask("POST", CONFIG_MAPS, b"{a: [}", kind="application/yaml").status == 400
    two = text.replace(b"settings", b"other") + b"---\n" + text
    assert server.ask("POST", CONFIG_MAPS, two, kind="application/yaml").status == 400


KUBECTL_CREATE_DEPLOYMENT = (
    "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEoYBCAISDAoKCgNhcHASA3dl"
    "YhpsChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkwSLgoFbmdpbngSBW5naW54KgAyCgoAEAAYUCIAKgBCAGoAcgCAAQCIAQCQAQCi"
    "AQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA="
)
"""What kubectl 1.33 sends for `kubectl create deployment web --image=nginx --replicas=2 --port=80`."""


def test_a_body_may_be_in_protocol_buffers(server: Server) -> None:
    body = base64.b64decode(KUBECTL_CREATE_DEPLOYMENT)
    made = server.ask("POST", DEPLOYMENTS, body, kind=PROTOBUF)
    assert made.status == 201, made
    assert made.body["spec"]["replicas"] == 2
    assert made.body["spec"]["template"]["spec"]["containers"] == [
        {"image": "nginx", "name": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    ]


@pytest.mark.parametrize("body", [b"", b"k8s\0", b"k8s\0\xff\xff", b"{}", b"k8s\0" + b"\x0a\x05\x0a\x03abc" * 9])
def test_a_broken_body_in_protocol_buffers_is_refused(server: Server, body: bytes) -> None:
    assert server.ask("POST", SERVICES, body, kind=PROTOBUF).status == 400


def test_a_body_in_another_format_is_refused_and_a_huge_one_too(server: Server) -> None:
    refused = server.ask("POST", SERVICES, b"<a/>", kind="text/xml")
    assert (refused.status, refused.body["reason"]) == (415, "UnsupportedMediaType")
    huge = config_map(a="x" * (4 * 1024 * 1024))
    refused = server.ask("POST", CONFIG_MAPS, huge)
    assert (refused.status, refused.body["reason"]) == (413, "RequestEntityTooLarge")
    assert server.ok("GET", CONFIG_MAPS)["items"] == []


# --- dry runs, conflicts


def test_a_dry_run_answers_as_if_and_changes_nothing(server: Server) -> None:
    tried = server.ok("POST", f"{SERVICES}?dryRun=All", service())
    assert tried["spec"]["clusterIP"].startswith("10.")
    assert server.ask("GET", f"{SERVICES}/web").status == 404
    server.ok("POST", SERVICES, service())
    assert (
        server.ok("PATCH", f"{SERVICES}/web?dryRun=All", {"spec": {"type": "NodePort"}}, kind=MERGE)["spec"]["type"]
        == "NodePort"
    )
    server.ok("DELETE", f"{SERVICES}/web?dryRun=All")
    assert server.ok("GET", f"{SERVICES}/web")["spec"]["type"] == "ClusterIP"
    assert server.ask("POST", f"{SERVICES}?dryRun=Some", service("b")).status == 422


def test_an_update_of_an_old_version_is_a_conflict(server: Server) -> None:
    first = server.ok("POST", CONFIG_MAPS, config_map(a="1"))
    server.ok("PATCH", f"{CONFIG_MAPS}/settings", {"data": {"a": "2"}}, kind=MERGE)
    answer = server.ask("PUT", f"{CONFIG_MAPS}/settings", {**first, "data": {"a": "3"}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert server.ok("GET", f"{CONFIG_MAPS}/settings")["data"] == {"a": "2"}


def test_a_service_is_created_by_an_update_and_a_deployment_is_not(server: Server) -> None:
    assert server.ask("PUT", f"{SERVICES}/web", service()).status == 201
    assert server.ask("PUT", f"{DEPLOYMENTS}/web", deployment()).status == 404


def test_a_name_is_generated(server: Server) -> None:
    value = config_map()
    value["metadata"] = {"generateName": "settings-"}
    made = [server.ok("POST", CONFIG_MAPS, value)["metadata"]["name"] for _ in range(3)]
    assert len(set(made)) == 3
    assert all(name.startswith("settings-") and len(name) == 14 for name in made)


def test_ranges_and_addresses_are_not_made_by_hand(server: Server) -> None:
    value = {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.200.0.0/16"]}}
    answer = server.ask("POST", "/apis/networking.k8s.io/v1/servicecidrs", value)
    assert (answer.status, "spec.network.serviceCIDRs" in answer.body["message"]) == (403, True)
    address = server.ok("POST", SERVICES, service())["spec"]["clusterIP"]
    server.settle()
    found = server.ok("GET", f"/apis/networking.k8s.io/v1/ipaddresses/{address}")
    assert found["spec"]["parentRef"] == {"group": "", "resource": "services", "namespace": "default", "name": "web"}
    assert server.ask("DELETE", f"/apis/networking.k8s.io/v1/ipaddresses/{address}").status == 403
    server.ok("DELETE", f"{SERVICES}/web")
    server.settle()
    assert server.ask("GET", f"/apis/networking.k8s.io/v1/ipaddresses/{address}").status == 404


# --- deletion


def test_an_object_with_a_finalizer_goes_with_the_last_of_them(server: Server) -> None:
    value = config_map()
    value["metadata"]["finalizers"] = ["example.com/wait"]
    server.ok("POST", CONFIG_MAPS, value)
    marked = server.ok("DELETE", f"{CONFIG_MAPS}/settings")
    assert marked["metadata"]["deletionTimestamp"]
    server.ok("PATCH", f"{CONFIG_MAPS}/settings", {"metadata": {"finalizers": None}}, kind=MERGE)
    assert server.ask("GET", f"{CONFIG_MAPS}/settings").status == 404


def test_a_pod_has_the_grace_that_it_says_unless_the_client_says_otherwise(server: Server) -> None:
    for name in ("a", "b", "c"):
        spec = {"containers": [{"name": "c"}], "terminationGracePeriodSeconds": 7}
        server.ok("POST", PODS, {"metadata": {"name": name}, "spec": spec})
    server.settle()
    assert server.ok("DELETE", f"{PODS}/a")["metadata"]["deletionGracePeriodSeconds"] == 7
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 2}
    assert server.ok("DELETE", f"{PODS}/b", options)["metadata"]["deletionGracePeriodSeconds"] == 2
    server.ok("DELETE", f"{PODS}/c?gracePeriodSeconds=0")
    assert names(server.ok("GET", PODS)) == ["a", "b"]
    server.ok("DELETE", f"{PODS}/a?gracePeriodSeconds=0")
    assert names(server.ok("GET", PODS)) == ["b"]


def test_a_deletion_may_depend_on_the_object_being_that_one(server: Server) -> None:
    made = server.ok("POST", CONFIG_MAPS, config_map())
    answer = server.ask("DELETE", f"{CONFIG_MAPS}/settings", {"preconditions": {"uid": "another"}})
    assert (answer.status, "Precondition failed" in answer.body["message"]) == (409, True)
    server.ok("DELETE", f"{CONFIG_MAPS}/settings", {"preconditions": {"uid": made["metadata"]["uid"]}})


@pytest.mark.parametrize(("policy", "sets", "pods"), [("Background", 0, 0), ("Foreground", 0, 0), ("Orphan", 1, 2)])
def test_what_belongs_to_a_deployment_goes_with_it_or_is_left(
    server: Server, policy: str, sets: int, pods: int
) -> None:
    server.ok("POST", DEPLOYMENTS, deployment())
    server.settle()
    assert (len(server.ok("GET", REPLICA_SETS)["items"]), len(server.ok("GET", PODS)["items"])) == (1, 2)
    server.ok("DELETE", f"{DEPLOYMENTS}/web", {"propagationPolicy": policy})
    server.settle()
    for pod in server.ok("GET", PODS)["items"]:
        if pod["metadata"].get("deletionTimestamp"):  # as its kubelet says once it has ended
            server.ok("DELETE", f"{PODS}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
    server.settle()
    assert server.ask("GET", f"{DEPLOYMENTS}/web").status == 404
    left = server.ok("GET", REPLICA_SETS)["items"]
    assert (len(left), len(server.ok("GET", PODS)["items"])) == (sets, pods)
    assert all("ownerReferences" not in each["metadata"] or not each["metadata"]["ownerReferences"] for each in left)


def test_a_deployment_takes_orphans_in_that_fit(server: Server) -> None:
    server.ok("POST", DEPLOYMENTS, deployment())
    server.settle()
    before = names(server.ok("GET", PODS))
    server.ok("DELETE", f"{DEPLOYMENTS}/web?propagationPolicy=Orphan")
    server.settle()
    server.ok("POST", DEPLOYMENTS, deployment())
    server.settle()
    assert names(server.ok("GET", PODS)) == before


def test_a_collection_is_deleted_as_far_as_the_selector_goes(server: Server) -> None:
    for name in ("a", "b", "c"):
        value = config_map(name)
        value["metadata"]["labels"] = {"keep": "yes" if name == "b" else "no"}
        server.ok("POST", CONFIG_MAPS, value)
    gone = server.ok("DELETE", f"{CONFIG_MAPS}?labelSelector=keep%3Dno")
    assert (gone["kind"], names(gone)) == ("ConfigMapList", ["a", "c"])
    assert names(server.ok("GET", CONFIG_MAPS)) == ["b"]
    assert server.ask("DELETE", "/api/v1/configmaps").status == 405


def test_a_namespace_that_ends_takes_nothing_new_and_waits_for_finalizers(server: Server) -> None:
    server.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    value = config_map()
    value["metadata"]["finalizers"] = ["example.com/wait"]
    server.ok("POST", "/api/v1/namespaces/shop/configmaps", value)
    server.ok("DELETE", "/api/v1/namespaces/shop")
    server.settle()
    assert server.ok("GET", "/api/v1/namespaces/shop")["status"]["phase"] == "Terminating"
    refused = server.ask("POST", "/api/v1/namespaces/shop/services", service())
    assert (refused.status, "it is being terminated" in refused.body["message"]) == (403, True)
    path = "/api/v1/namespaces/shop/configmaps/settings"
    server.ok("PATCH", path, {"metadata": {"finalizers": None}}, kind=MERGE)
    server.settle()
    assert server.ask("GET", "/api/v1/namespaces/shop").status == 404


# --- pages


def test_a_list_comes_in_pages_of_one_moment(server: Server) -> None:
    for index in range(5):
        server.ok("POST", CONFIG_MAPS, config_map(f"c{index}"))
    first = server.ok("GET", f"{CONFIG_MAPS}?limit=2")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["c0", "c1"], 3)
    server.ok("DELETE", f"{CONFIG_MAPS}/c3")
    token = first["metadata"]["continue"]
    second = server.ok("GET", f"{CONFIG_MAPS}?limit=2&continue={token}")
    assert (names(second), second["metadata"]["resourceVersion"]) == (
        ["c2", "c3"],
        first["metadata"]["resourceVersion"],
    )
    last = server.ok("GET", f"{CONFIG_MAPS}?limit=2&continue={second['metadata']['continue']}")
    assert (names(last), "continue" in last["metadata"]) == (["c4"], False)


def test_a_token_that_leads_nowhere_is_refused(server: Server) -> None:
    for index in range(3):
        server.ok("POST", CONFIG_MAPS, config_map(f"c{index}"))
    assert server.ask("GET", f"{CONFIG_MAPS}?limit=1&continue=nonsense").status == 400
    token = server.ok("GET", f"{CONFIG_MAPS}?limit=1")["metadata"]["continue"]
    assert server.ask("GET", f"{SERVICES}?limit=1&continue={token}").status == 400
    for _ in range(70):
        server.ok("GET", f"{CONFIG_MAPS}?limit=1")
    gone = server.ask("GET", f"{CONFIG_MAPS}?limit=1&continue={token}")
    assert (gone.status, gone.body["reason"]) == (410, "Expired")


def test_a_list_of_an_exact_moment_is_to_be_had_of_the_present_alone(server: Server) -> None:
    version = server.ok("GET", CONFIG_MAPS)["metadata"]["resourceVersion"]
    exact = f"{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={version}"
    assert server.ask("GET", exact).status == 200
    server.ok("POST", CONFIG_MAPS, config_map())
    assert server.ask("GET", exact).status == 410
    assert server.ask("GET", f"{CONFIG_MAPS}?resourceVersionMatch=Exact").status == 400


def test_scale_is_read_patched_and_replaced(server: Server) -> None:
    server.ok("POST", DEPLOYMENTS, deployment())
    scale = server.ok("GET", f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 2)
    assert scale["status"]["selector"] == "app=web"
    server.ok("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}}, kind=MERGE)
    server.settle()
    assert len(server.ok("GET", PODS)["items"]) == 3
    answer = server.ask("PUT", f"{DEPLOYMENTS}/web/scale", {**scale, "spec": {"replicas": 1}})
    assert answer.status == 409


@pytest.mark.parametrize("what", ["", "/scale"])
def test_a_patch_that_names_no_version_is_not_refused_for_what_was_written_while_it_arrived(
    server: Server, what: str
) -> None:
    server.ok("POST", DEPLOYMENTS, deployment())
    server.settle()
    patch = json.dumps({"spec": {"replicas": 3}}).encode()
    with closing(UnixConnection(server.path)) as connection:
        connection.putrequest("PATCH", f"{DEPLOYMENTS}/web{what}")
        connection.putheader("Content-Type", MERGE)
        connection.putheader("Content-Length", str(len(patch)))
        connection.endheaders()
        connection.send(patch[:5])
        server.ok("PATCH", f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"written": "meanwhile"}}}, kind=MERGE)
        connection.send(patch[5:])
        assert connection.getresponse().status == 200
    found = server.ok("GET", f"{DEPLOYMENTS}/web")
    assert (found["spec"]["replicas"], found["metadata"]["labels"]["written"]) == (3, "meanwhile")


def test_endpoints_made_by_hand_become_slices_and_those_of_a_selector_are_made(server: Server) -> None:
    server.ok("POST", SERVICES, service("outside"))
    subsets = [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}]
    value = {"metadata": {"name": "outside"}, "subsets": subsets}
    server.ok("POST", "/api/v1/namespaces/default/endpoints", value)
    server.settle()
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    of_it = f"{slices}?labelSelector=kubernetes.io/service-name%3Doutside"
    (slice_,) = server.ok("GET", of_it)["items"]
    assert slice_["metadata"]["labels"]["kubernetes.io/service-name"] == "outside"
    assert slice_["endpoints"][0]["addresses"] == ["192.0.2.7"]
    server.ok("DELETE", "/api/v1/namespaces/default/endpoints/outside")
    server.settle()
    assert server.ok("GET", of_it)["items"] == []
