"""Large labs, quick changes, long names, odd surroundings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from netlab_command import NETLAB, PREFIX, Caller, Lab, comes_true, topology

MANY = """
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {name}}}
spec:
  nodes: [{{name: n1}}, {{name: n2}}, {{name: n3}}]
  externals: [{{name: client}}]
  expect: [{{from: node/n1, to: service/web:80, verdict: reached}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{clusterIP: 10.96.0.80, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


def pods(lab: Lab) -> list[str]:
    return [item["metadata"]["name"] for item in lab.json("get", "pods")["items"]]


@pytest.mark.root
def test_two_hundred_pods_come_up_serve_and_go(root: Caller) -> None:
    name = f"{PREFIX}-large"
    with root.lab(name, MANY.format(name=name, replicas=200)) as lab:
        assert len(pods(lab)) == 200
        assert all(pod["ready"] for pod in lab.json("status")["pods"])
        assert len(lab.answering("node/n1", "service/web:80", count=600)) > 150
        assert lab.rules("n3").count('"default/web ->') == 200


def test_a_deployment_that_is_scaled_back_and_forth_ends_where_it_was_told_to(user: Caller) -> None:
    name = f"{PREFIX}-scaled"
    with user.lab(name, MANY.format(name=name, replicas=0)) as lab:
        assert lab.verdicts("node/n1", "service/web:80") == {"refused": 1}
        for replicas in (50, 3, 20, 3):
            lab.ok("scale", "deployment/web", "--replicas", str(replicas))
        assert comes_true(lambda: len(pods(lab)) == 3)
        assert comes_true(lambda: all(lab.rules(node).count('"default/web ->') == 3 for node in ("n1", "n2", "n3"))), (
            lab.rules("n1")
        )
        assert len(lab.answering("node/n2", "service/web:80", count=60)) == 3
        lab.up()
        assert comes_true(lambda: pods(lab) == [])


LONG = "a" * 63
ODD_NAMES = f"""
apiVersion: netlab/v1
kind: Topology
metadata: {{name: LAB}}
spec:
  nodes: [{{name: node-1.a}}, {{name: {"n" * 63}}}]
  externals: [{{name: {"x" * 63}}}]
  expect:
    - {{from: pod/node-1.b, to: "service/{LONG}:80", reaches: [pod/{LONG}, pod/node-1.b]}}
    - {{from: external/{"x" * 63}, to: "node/node-1.a:30080", reaches: [pod/{LONG}, pod/node-1.b]}}
    - {{from: "pod/{LONG}", to: "pod/node-1.b:8080", reaches: [pod/node-1.b]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {LONG}, labels: {{app: web}}}}
spec: {{nodeName: node-1.a, containers: [{{name: {"c" * 63}, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: node-1.b, labels: {{app: web}}}}
spec: {{nodeName: {"n" * 63}, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {LONG}}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]}}
"""


def long_lab_name() -> str:
    return f"{PREFIX}-{'l' * 63}"[:63]


@pytest.mark.root
def test_names_may_be_as_long_and_odd_as_kubernetes_allows_for_root(root: Caller) -> None:
    name = long_lab_name()
    with root.lab(name, ODD_NAMES.replace("LAB", name)) as lab:
        assert lab.failures() == []
        assert lab.run("exec", f"pod/{LONG}", "--", "hostname").out == f"{LONG}\n"
        assert lab.run("exec", "node/node-1.a", "--", "hostname").out == "node-1.a\n"
        assert lab.run("logs", f"pod/{LONG}").status == 0


def test_names_may_be_as_long_and_odd_as_kubernetes_allows_for_anybody(user: Caller) -> None:
    name = long_lab_name()
    with user.lab(name, ODD_NAMES.replace("LAB", name)) as lab:
        assert lab.failures() == []


def in_folder(caller: Caller, length: int) -> tuple[Caller, Path]:
    """The caller with a runtime directory whose path has so many characters."""
    start = f"{caller.home}/run/"
    folder = Path(start + "/".join(["d" * 20] * 20)[: length - len(start)].rstrip("/"))
    with caller.start("-p", str(folder), program="/bin/mkdir") as mkdir:
        assert mkdir.wait() == 0
    return replace(caller, environment={"XDG_RUNTIME_DIR": str(folder)}), folder


def test_a_runtime_directory_too_deep_for_a_socket_is_said_before_anything_is_made(user: Caller) -> None:
    somebody, folder = in_folder(user, 200)
    name = f"{PREFIX}-deep"
    done = somebody.run("up", "-", text=topology("minimal", name=name))
    assert (done.status, done.out) == (2, "")
    assert "XDG_RUNTIME_DIR" in done.err
    assert not list(folder.iterdir())
    assert somebody.run("ls").status == 0
    assert somebody.run("down", name).status == 4


def test_without_home_or_runtime_directory_a_lab_works(user: Caller) -> None:
    if user.is_root:
        pytest.skip("needs an ordinary user")
    somebody = replace(user, environment={"HOME": "", "XDG_RUNTIME_DIR": ""})
    name = f"{PREFIX}-homeless"
    done = somebody.run("up", "-", text=topology("minimal", name=name))
    try:
        assert done.status == 0, done.err
        assert somebody.run("check", name).status == 0
        directory = Path(next(lab["directory"] for lab in somebody.json("ls")["labs"] if lab["name"] == name))
        assert directory.parent.stat().st_mode & 0o777 == 0o700
    finally:
        assert somebody.run("down", name).status == 0
    assert not directory.exists()


@pytest.mark.root
def test_a_folder_that_somebody_else_prepared_is_not_used(user: Caller, stranger: Caller) -> None:
    """In /tmp, where a lab's folder is without XDG_RUNTIME_DIR, anybody may make a folder of any name."""
    trap = stranger.home / "trap"
    with stranger.start("-p", f"{trap}/netlab/trap", program="/bin/mkdir") as mkdir:
        assert mkdir.wait() == 0
    for folder in (stranger.home, trap, trap / "netlab"):
        folder.chmod(0o777)
    somebody = replace(user, environment={"XDG_RUNTIME_DIR": str(trap)})
    file = str(user.file("trap.yaml", topology("minimal", name="trap")))
    for command in (("up", file), ("down", "trap"), ("ls",), ("exec", "-l", "trap", "node/node1", "--", "true")):
        done = somebody.run(*command)
        assert (done.status, done.out) == (2, "")
        assert "somebody else" in done.err


def test_a_lab_comes_up_from_standard_input_and_with_all_streams_closed(user: Caller) -> None:
    name = f"{PREFIX}-streams"
    lab = Lab(user, name, user.file(f"{name}.yaml", topology("minimal", name=name)))
    try:
        assert user.run("up", "-", text=lab.file.read_text()).status == 0
        assert lab.failures() == []
    finally:
        assert user.run("down", name).status == 0
    with user.start("-c", '"$0" up "$1" <&- >&- 2>&-', NETLAB, str(lab.file), program="/bin/sh") as shell:
        status = shell.wait(timeout=60)
    try:
        assert status == 0
        assert lab.failures() == []
        assert lab.ok("exec", "pod/web", "--", "hostname") == "web\n"
    finally:
        assert user.run("down", name).status == 0
    assert lab.leftovers() == []
