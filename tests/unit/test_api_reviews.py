"""Who am I, and what may I do: questions that are objects, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_asking import Server, a_server

from netlab.api.authentication import Identity
from netlab.api.http.reviews import review
from netlab.api.review_kinds import SelfSubjectReview

AUTHORIZATION, AUTHENTICATION = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
ACCESS = f"{AUTHORIZATION}/selfsubjectaccessreviews"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with a_server(tmp_path_factory.mktemp("reviews")) as server:
        yield server


@pytest.mark.parametrize(
    "spec", [{"resourceAttributes": {"verb": "get", "resource": "pods"}}, {"nonResourceAttributes": {"path": "/x"}}]
)
def test_everything_may_be_done(server: Server, spec: dict[str, object]) -> None:
    answer = server.ask("POST", ACCESS, {"spec": spec})
    assert (answer.status, answer.body["status"]["allowed"], answer.body["spec"]) == (201, True, spec)
    assert answer.body["kind"] == "SelfSubjectAccessReview"
    rules = server.ok("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert rules["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


def test_who_asks_is_who_the_certificate_names() -> None:
    told = review(SelfSubjectReview, Identity("system:kube-proxy", ("system:nodes",)), {})
    assert told == {
        "status": {"userInfo": {"username": "system:kube-proxy", "groups": ["system:nodes", "system:authenticated"]}}
    }


def test_the_lab_s_owner_is_known_by_the_socket(server: Server) -> None:
    told = server.ok("POST", f"{AUTHENTICATION}/selfsubjectreviews", {"kind": "SelfSubjectReview"})
    assert told["status"]["userInfo"]["username"] == "system:admin"


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (("POST", ACCESS, {"spec": {}}), 422, "exactly one of nonResourceAttributes or resourceAttributes"),
        (("POST", ACCESS, {"spec": {"resourceAttributes": {}, "nonResourceAttributes": {}}}), 422, "exactly one of"),
        (("POST", ACCESS, {"spec": []}), 400, "cannot be handled as a SelfSubjectAccessReview"),
        (("POST", ACCESS, {"kind": "Pod"}), 400, "cannot be handled as a SelfSubjectAccessReview"),
        (("POST", f"{ACCESS}?fieldValidation=Strict", {"speck": {}}), 400, 'unknown field "speck"'),
        (("POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {}}), 400, "no namespace on request"),
        (("GET", ACCESS, None), 405, "does not allow this method"),
        (("GET", f"{ACCESS}/one", None), 404, "could not find the requested resource"),
        (("POST", f"{AUTHORIZATION}/subjectaccessreviews", {}), 404, "could not find the requested resource"),
    ],
)
def test_what_is_no_such_question_is_refused(
    server: Server, request_: tuple[str, str, dict[str, object] | None], status: int, message: str
) -> None:
    answer = server.ask(*request_)
    assert (answer.status, message in answer.body["message"]) == (status, True), answer.body


def test_reviews_are_described_as_what_can_be_created_alone(server: Server) -> None:
    entries = {entry["name"]: entry for entry in server.ok("GET", AUTHORIZATION)["resources"]}
    assert entries["selfsubjectaccessreviews"]["verbs"] == ["create"]
    paths = server.ok("GET", "/openapi/v3/apis/authentication.k8s.io/v1")["paths"]
    assert {path: sorted(item) for path, item in paths.items()} == {f"{AUTHENTICATION}/selfsubjectreviews": ["post"]}
