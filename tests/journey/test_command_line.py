"""A lab worked with from the command line: what is typed, what is printed, what is true afterwards."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from netlab_command import Caller, Lab

NAME = "nlcli"
LAB = f"""\
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {NAME}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec: {{nodeName: node1, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""
MORE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80}]}
"""


@pytest.fixture
def lab(user: Caller) -> Iterator[Lab]:
    """A lab of an ordinary user's."""
    with user.lab(NAME, LAB) as lab:
        yield lab


def test_up_prints_the_lab_and_a_next_command_that_works(lab: Lab) -> None:
    done = lab.up()
    assert f"lab {NAME}: Running (without root)" in done.out
    command = done.err.partition("next: netlab ")[2].split()
    assert lab.caller.run(*command).status == 0


def test_up_as_json_prints_nothing_else_on_standard_output(lab: Lab) -> None:
    assert lab.caller.json("up", str(lab.file))["phase"] == "Running"


def test_ls_and_status_agree_about_what_runs(lab: Lab) -> None:
    assert [each["name"] for each in lab.caller.json("ls")["labs"]] == [NAME]
    assert lab.caller.json("status")["lab"] == NAME
    assert "web" in lab.caller.ok("status", NAME)


def test_objects_are_made_changed_scaled_and_deleted(lab: Lab) -> None:
    file = str(lab.caller.file("more.yaml", MORE))
    assert lab.ok("apply", "-f", file) == "deployment/api created\nservice/api created\n"
    assert lab.ok("apply", "-f", "-", text=MORE) == "deployment/api unchanged\nservice/api unchanged\n"
    assert lab.ok("scale", "deployment/api", "--replicas", "3") == "deployment/api scaled to 3\n"
    assert lab.json("get", "deploy/api")["spec"]["replicas"] == 3
    assert lab.ok("delete", "-f", file) == "deployment/api deleted\nservice/api deleted\n"
    assert lab.run("get", "deploy", "api").status == 4


def test_get_prints_what_kubectl_prints(lab: Lab) -> None:
    header, api, row = lab.ok("get", "svc").splitlines()
    assert header.split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert api.split()[:5] == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]
    assert row.split()[:2] == ["web", "ClusterIP"]
    assert lab.ok("get", "all", "-A").count("default ") == 3
    assert yaml.safe_load(lab.ok("get", "pod", "web", "-o", "yaml"))["status"]["phase"] == "Running"
    assert [each["kind"] for each in lab.json("get", "no,po")["items"]] == ["Node", "Node", "Pod"]


def test_what_no_object_has_is_no_list(lab: Lab) -> None:
    done = lab.run("get", "po", "--selector", "app=nobody")
    assert (done.status, done.out, done.err) == (0, "", "no pods in namespace default\n")


def test_exec_hands_on_streams_and_exit_status(lab: Lab) -> None:
    done = lab.run("exec", "pod/web", "--", "sh", "-c", "hostname; cat; echo oops >&2; exit 7", text="hello\n")
    assert (done.status, done.out, done.err) == (7, "web\nhello\n", "oops\n")


def test_a_bare_name_is_a_pod(lab: Lab) -> None:
    assert lab.ok("exec", "web", "--", "hostname") == "web\n"


def test_a_shell_has_a_terminal_where_the_caller_has_one_and_reads_what_was_typed_ahead(lab: Lab) -> None:
    master, slave = pty.openpty()
    lab.caller.environment["SHELL"] = "/bin/sh"
    process = lab.caller.start("shell", "pod/web", stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    os.write(master, b"tty; hostname; exit 9\n")
    printed = _read_to_the_end(master)
    assert (process.wait(30), "/dev/pts/" in printed, "\nweb\r" in printed) == (9, True, True), printed


def _read_to_the_end(descriptor: int) -> str:
    found = b""
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # EIO: nobody has the other end open any more
            part = b""
        if not part:
            os.close(descriptor)
            return found.decode()
        found += part


def test_logs_are_those_of_the_container_and_of_a_node_s_proxy(lab: Lab) -> None:
    assert "TCP port 8080" in lab.ok("logs", "web")
    assert len(lab.ok("logs", "node/node1", "--tail", "1").splitlines()) == 1
    assert "netlab.agents.kubelet" in lab.ok("logs", "node/node1", "-c", "kubelet")
    assert lab.run("logs", "web", "-c", "sidecar").status == 2
    assert lab.run("logs", "pod/nobody").status == 4


def test_logs_follow_until_they_are_interrupted(lab: Lab) -> None:
    with lab.caller.start("logs", "-l", NAME, "web", "-f", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "8080" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT


def test_probe_s_exit_status_is_whether_the_verdict_was_the_expected_one(lab: Lab) -> None:
    assert lab.run("probe", "node/node2", "service/web:80").status == 0
    assert lab.run("probe", "node/node2", "service/web:80", "--expect", "refused").status == 1
    assert lab.run("probe", "node/node2", "pod/web:81").status == 1
    assert lab.run("probe", "node/node2", "pod/web:81", "--expect", "refused").status == 0
    assert lab.run("probe", "node/node2", "pod/nobody:80").status == 4


def test_a_stopped_proxy_keeps_its_rules_and_a_healed_one_catches_up(lab: Lab) -> None:
    lab.ok("break", "kube-proxy-stopped", "--on", "node1")
    before = lab.rules("node1")
    lab.ok("apply", "-f", "-", text=MORE)
    lab.up()
    assert (lab.rules("node1"), "default/api" in lab.rules("node2")) == (before, True)
    assert lab.json("status")["nodes"][0]["proxy"]["running"] is False
    lab.ok("heal", "kube-proxy-stopped", "--on", "node1")
    lab.up()
    assert "default/api" in lab.rules("node1")


def test_a_fault_on_a_node_that_is_not_there_is_status_4(lab: Lab) -> None:
    assert lab.run("break", "kube-proxy-stopped", "--on", "node9").status == 4


def test_down_takes_the_file_and_all(user: Caller) -> None:
    with user.lab(NAME, LAB) as lab:
        assert user.ok("down", str(lab.file)) == ""
        assert lab.leftovers() == []
        lab.up()
        assert user.run("down", "--all").status == 0
        assert user.json("ls")["labs"] == []
        lab.up()


def test_doctor_finds_everything_where_the_other_tests_pass(user: Caller) -> None:
    report = json.loads(user.ok("doctor", "-o", "json"))
    assert (report["rootless"], report["ready"]) == (True, True)
    assert Path("/proc/self/ns/net").exists()
