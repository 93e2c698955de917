"""Server-side apply, and the account of who set which field on which it rests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_asking import (
    APPLY,
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    SERVICES,
    Answer,
    Json,
    Server,
    a_server,
    config_map,
    deployment,
    service,
)
from hypothesis import given
from hypothesis import strategies as st

from netlab.api.openapi.shapes import shape_of
from netlab.api.ownership.paths import from_tree, to_tree
from netlab.api.ownership.values import difference, fields_of, tree_of_new


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with a_server(tmp_path) as server:
        yield server


def apply(server: Server, url: str, value: Json, *, manager: str = "a", force: bool = False) -> Answer:
    forced = "&force=true" if force else ""
    return server.ask("PATCH", f"{url}?fieldManager={manager}{forced}", value, kind=APPLY)


def account(value: Json) -> dict[tuple[str, str], Any]:
    return {(each["manager"], each["operation"]): each["fieldsV1"] for each in value["metadata"]["managedFields"]}


def test_applying_creates_and_says_who_has_what(server: Server) -> None:
    answer = apply(server, f"{SERVICES}/web", service(ports=[{"port": 80, "name": "http"}]))
    assert answer.status == 201
    assert answer.body["spec"]["clusterIP"]
    key = 'k:{"port":80,"protocol":"TCP"}'
    assert account(answer.body) == {
        ("a", "Apply"): {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:ports": {key: {".": {}, "f:name": {}, "f:port": {}}}},
        }
    }
    assert answer.body["metadata"]["managedFields"][0]["apiVersion"] == "v1"


def test_applying_the_same_again_writes_nothing(server: Server) -> None:
    first = apply(server, f"{SERVICES}/web", service()).body
    again = apply(server, f"{SERVICES}/web", service())
    assert (again.status, again.body) == (200, first)


def test_what_is_no_longer_applied_goes_and_what_others_set_stays(server: Server) -> None:
    apply(server, f"{CONFIG_MAPS}/settings", config_map(a="1", b="2"))
    server.ok("PATCH", f"{CONFIG_MAPS}/settings", {"data": {"c": "3"}}, kind=MERGE)
    assert apply(server, f"{CONFIG_MAPS}/settings", config_map(b="2")).body["data"] == {"b": "2", "c": "3"}


def test_a_port_that_is_no_longer_applied_goes_alone(server: Server) -> None:
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    apply(server, f"{SERVICES}/web", service(ports=ports))
    left = apply(server, f"{SERVICES}/web", service(ports=ports[1:])).body
    assert [port["name"] for port in left["spec"]["ports"]] == ["https"]


def test_a_field_of_somebody_else_is_a_conflict_unless_it_is_taken(server: Server) -> None:
    apply(server, f"{CONFIG_MAPS}/settings", config_map(a="1", b="1"), manager="first")
    answer = apply(server, f"{CONFIG_MAPS}/settings", config_map(a="2", b="1"), manager="second")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == 'Apply failed with 1 conflict: conflict with "first": .data.a'
    (cause,) = answer.body["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    taken = apply(server, f"{CONFIG_MAPS}/settings", config_map(a="2", b="1"), manager="second", force=True)
    assert taken.body["data"] == {"a": "2", "b": "1"}
    who = account(taken.body)
    assert who[("first", "Apply")] == {"f:data": {"f:b": {}}}
    assert who[("second", "Apply")] == {"f:data": {"f:a": {}, "f:b": {}}}


def test_two_who_want_the_same_share_it_and_it_goes_with_the_second(server: Server) -> None:
    for manager in ("first", "second"):
        assert apply(server, f"{CONFIG_MAPS}/settings", config_map(a="1"), manager=manager).status < 300
    assert apply(server, f"{CONFIG_MAPS}/settings", config_map(), manager="first").body["data"] == {"a": "1"}
    assert not apply(server, f"{CONFIG_MAPS}/settings", config_map(), manager="second").body.get("data")


def test_an_update_takes_what_it_changes_and_a_later_apply_conflicts(server: Server) -> None:
    apply(server, f"{DEPLOYMENTS}/web", deployment(replicas=2))
    patch = f"{DEPLOYMENTS}/web/scale?fieldManager=kubectl-scale"
    assert server.ask("PATCH", patch, {"spec": {"replicas": 5}}, kind=MERGE).status == 200
    answer = apply(server, f"{DEPLOYMENTS}/web", deployment(replicas=2))
    expected = 'conflict with "kubectl-scale" with subresource "scale" using apps/v1: .spec.replicas'
    assert (answer.status, answer.body["message"]) == (409, f"Apply failed with 1 conflict: {expected}")
    without = deployment()
    del without["spec"]["replicas"]
    assert apply(server, f"{DEPLOYMENTS}/web", without).body["spec"]["replicas"] == 5


def test_creation_is_accounted_with_defaults_and_without_what_the_server_gave_out(server: Server) -> None:
    made = server.ok("POST", f"{SERVICES}?fieldManager=kubectl-create", service(type="NodePort"))
    spec = account(made)[("kubectl-create", "Update")]["f:spec"]
    key = 'k:{"port":80,"protocol":"TCP"}'
    assert {"f:type", "f:sessionAffinity", "f:internalTrafficPolicy", "f:ports"} <= spec.keys()
    assert "f:clusterIP" not in spec
    assert "f:nodePort" not in spec["f:ports"][key]
    assert {".", key} == spec["f:ports"].keys()


def test_who_says_no_name_is_called_after_the_program(server: Server) -> None:
    made = server.ask("POST", CONFIG_MAPS, config_map(a="1"), agent="curl/8.1 (x)").body
    assert account(made) == {("curl", "Update"): {"f:data": {".": {}, "f:a": {}}}}
    assert "managedFields" not in server.ask("POST", SERVICES, service(), agent="netlab/0.1").body["metadata"]


def test_an_object_of_which_nobody_kept_account_is_somebody_s(server: Server) -> None:
    server.ask("POST", CONFIG_MAPS, config_map(a="1"), agent="netlab/0.1")
    answer = apply(server, f"{CONFIG_MAPS}/settings", config_map(a="2"))
    assert 'conflict with "before-first-apply" using v1: .data.a' in answer.body["message"]


def test_a_client_may_write_the_account_itself(server: Server) -> None:
    server.ok("POST", f"{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply", config_map(a="1"))
    entry = {"manager": "b", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:data": {"f:a": {}}}}  # fmt: skip
    server.ok("PATCH", f"{CONFIG_MAPS}/settings", {"metadata": {"managedFields": [entry]}}, kind=MERGE)
    assert apply(server, f"{CONFIG_MAPS}/settings", config_map(a="2"), manager="b").body["data"] == {"a": "2"}


def test_an_apply_needs_a_manager_and_may_not_bring_an_account(server: Server) -> None:
    assert server.ask("PATCH", f"{SERVICES}/web", service(), kind=APPLY).status == 400
    value = service()
    value["metadata"]["managedFields"] = [{"manager": "x"}]
    assert apply(server, f"{SERVICES}/web", value).status == 400
    assert apply(server, f"{SERVICES}/other", service()).status == 400
    assert server.ask("GET", f"{SERVICES}/web").status == 404


def test_what_is_applied_may_be_yaml_and_only_tried(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"
    tried = server.ask("PATCH", f"{CONFIG_MAPS}/settings?fieldManager=x&dryRun=All", text, kind=APPLY)
    assert (tried.status, tried.body["data"]) == (201, {"a": "b"})
    assert server.ask("GET", f"{CONFIG_MAPS}/settings").status == 404


def test_the_oldest_of_many_managers_are_put_together(server: Server) -> None:
    server.ok("POST", f"{CONFIG_MAPS}?fieldManager=m0", config_map(a0="x"))
    for index in range(1, 14):
        patch = {"data": {f"a{index}": "x"}}
        server.ok("PATCH", f"{CONFIG_MAPS}/settings?fieldManager=m{index}", patch, kind=MERGE)
    entries = account(server.ok("GET", f"{CONFIG_MAPS}/settings"))
    assert len(entries) == 10
    owned = [field for tree in entries.values() for field in tree["f:data"] if field != "."]
    assert sorted(owned) == sorted(f"f:a{index}" for index in range(14))


# --- sets of fields


_step = st.sampled_from(("f:a", "f:b", 'k:{"port":80}', 'v:"x"'))


@given(st.frozensets(st.tuples(_step) | st.tuples(_step, _step) | st.tuples(_step, _step, _step)))
def test_a_set_of_fields_comes_back_from_its_tree(paths: frozenset[tuple[str, ...]]) -> None:
    assert from_tree(to_tree(paths)) == paths


@pytest.mark.parametrize(
    ("api_version", "value"),
    [
        ("v1", service(ports=[{"port": 80, "name": "a"}, {"port": 81}], selector={"app": "x"}, externalIPs=[])),
        ("v1", config_map(a="1")),
        ("v1", config_map()),
        ("apps/v1", deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
    ],
)
def test_the_short_way_for_creations_leads_to_the_same_set(api_version: str, value: Json) -> None:
    shape = shape_of(api_version, value["kind"])
    assert from_tree(tree_of_new(value, shape)) == difference({}, value, shape).set


def test_what_differs_is_added_modified_or_removed() -> None:
    shape = shape_of("v1", "Service")
    before = service(ports=[{"port": 80, "name": "a"}], selector={"app": "x"})
    after = service(ports=[{"port": 80, "name": "b"}, {"port": 81}], selector={"app": "y"})
    found = difference(before, after, shape)
    # A selector is atomic: whoever changes a part of it has all of it.
    assert ("f:spec", "f:selector") in found.modified
    assert ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name") in found.modified
    assert ("f:spec", "f:ports", 'k:{"port":81,"protocol":"TCP"}') in found.added
    assert not difference(after, after, shape).all
    assert found.added <= fields_of(after, shape)
