"""Processes that are stopped or die: rules stay in the kernel, packets flow on, whoever comes back catches up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import leaks
import pytest
from netlab_command import BY_WATCH, PREFIX, Caller, Lab, comes_true

from netlab.lab.breaking import FOLLOWED_WITHIN

NAME = f"{PREFIX}-faults"
FILE = f"""
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {NAME}}}
spec: {{nodes: [{{name: n1}}, {{name: n2}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shell}}
spec: {{nodeName: n1, containers: [{{name: shell, command: [sleep, infinity]}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-1, labels: {{app: web}}}}
spec: {{nodeName: n1, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-2, labels: {{app: web, only: two}}}}
spec: {{nodeName: n2, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{clusterIP: 10.96.0.80, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: two}}
spec: {{clusterIP: 10.96.0.82, selector: {{only: two}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""
LATER = """
apiVersion: v1
kind: Pod
metadata: {name: later, labels: {app: later}}
spec: {nodeName: n1, containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: later}
spec: {clusterIP: 10.96.0.99, selector: {app: later}, ports: [{port: 80, targetPort: 8080}]}
"""
CONNECT = """
import select, socket, sys
reached = lost = 0
while not select.select([sys.stdin], [], [], 0.002)[0]:
    try:
        socket.create_connection((sys.argv[1], 80), timeout=2).close()
        reached += 1
    except OSError as error:
        print(error, file=sys.stderr)
        lost += 1
    if reached + lost == 1:
        print("going", flush=True)
print(reached, lost)
"""


@pytest.fixture
def lab(root: Caller) -> Iterator[Lab]:
    """A lab of the test's own, since its processes do not stay the same."""
    with root.lab(NAME, FILE) as up:
        yield up


@contextmanager
def connecting(lab: Lab, *, from_: str, address: str) -> Iterator[list[int]]:
    """Inside the block one connection after another is made; then the list says how many were, how many failed."""
    counts: list[int] = []
    command = ("exec", "-l", lab.name, from_, "--", sys.executable, "-c", CONNECT, address)
    with lab.caller.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "going\n"
        yield counts
        process.stdin.close()
        counts += map(int, process.stdout.read().split())


def identities(lab: Lab) -> dict[str, str]:
    return {
        f"{kind}/{item['metadata']['name']}": item["metadata"]["uid"]
        for kind in ("nodes", "pods", "services", "endpointslices")
        for item in lab.json("get", kind)["items"]
    }


def proxy(lab: Lab, node: str) -> dict[str, object]:
    """What `netlab status` says of a node's kube-proxy."""
    found: dict[str, object] = next(n["proxy"] for n in lab.json("status")["nodes"] if n["name"] == node)
    return found


@pytest.mark.root
def test_a_kube_proxy_that_is_stopped_leaves_its_rules_and_catches_up_when_started_again(lab: Lab) -> None:
    before = lab.rules("n2")
    lab.ok("break", "kube-proxy-stopped", "--on", "n2")
    assert comes_true(lambda: proxy(lab, "n2")["running"] is False)
    assert proxy(lab, "n1")["running"] is True
    lab.ok("apply", "-f", "-", text=LATER)
    lab.ok("delete", "service", "two")
    assert comes_true(lambda: "10.96.0.99" in lab.rules("n1") and "10.96.0.82" not in lab.rules("n1"))
    assert lab.answering("pod/shell", "service/later:80") == {"later"}
    assert lab.rules("n2") == before
    assert lab.answering("node/n2", "service/web:80") == {"web-1", "web-2"}, "what was known goes on working"
    assert lab.answering("node/n2", "10.96.0.82:80") == {"web-2"}, "what was deleted too"
    assert lab.verdicts("node/n2", "service/later:80") == {"unreachable": 1}, "what came later does not"
    lab.ok("heal", "kube-proxy-stopped", "--on", "node/n2")
    assert comes_true(lambda: "10.96.0.99" in lab.rules("n2") and "10.96.0.82" not in lab.rules("n2"))
    assert lab.answering("node/n2", "service/later:80") == {"later"}
    assert comes_true(lambda: proxy(lab, "n2")["synced"] is True)


@pytest.mark.root
def test_a_kube_proxy_is_found_though_rules_of_its_node_broke_the_first_question(lab: Lab) -> None:
    """Without that rule whatever leaves is masqueraded, on lo too: such a connection to 10249 hears no answer."""
    lab.ok("break", "kube-proxy-stopped", "--on", "n2")
    lab.ok("exec", "node/n2", "--", "iptables-legacy", "-t", "nat", "-D", "KUBE-POSTROUTING", "1")
    started = time.monotonic()
    lab.ok("heal", "kube-proxy-stopped", "--on", "n2")
    assert time.monotonic() - started < FOLLOWED_WITHIN
    assert lab.run("rules", "n2", "--diff").status == 0


@pytest.mark.root
def test_a_kube_proxy_that_was_stopped_stays_so_when_the_file_is_applied_again(lab: Lab) -> None:
    lab.ok("break", "kube-proxy-stopped", "--on", "n2")
    lab.ok("break", "kube-proxy-stopped", "--on", "n2")
    lab.up()
    assert proxy(lab, "n2")["running"] is False
    assert lab.json("status")["phase"] == "Degraded"
    lab.ok("heal", "kube-proxy-stopped", "--on", "n2")
    lab.ok("heal", "kube-proxy-stopped", "--on", "n2")
    assert comes_true(lambda: lab.json("status")["phase"] == "Running")


@pytest.mark.root
@pytest.mark.parametrize("process", ["api", "fabric", "kubelet-n1", "kube-proxy-n1"])
def test_a_process_that_is_killed_is_started_again_and_nobody_notices(lab: Lab, process: str) -> None:
    objects, rules, pid = identities(lab), lab.rules("n1"), lab.processes()[process]
    # The servers of n1's Pods live in its kubelet: only those of the other node cannot be concerned.
    with connecting(lab, from_="node/n1", address="10.96.0.82") as counts:
        os.kill(pid, signal.SIGKILL)
        assert leaks.remaining([pid], timeout=BY_WATCH) == []
        assert comes_true(lambda: lab.processes().get(process, pid) != pid)
        assert comes_true(lambda: lab.run("status").status == 0)
    reached, lost = counts
    assert lost == 0
    assert reached > 1
    assert identities(lab) == objects
    assert lab.rules("n1") == rules
    assert comes_true(lambda: lab.json("status")["phase"] == "Running")
    lab.ok("apply", "-f", "-", text=LATER)
    assert comes_true(lambda: lab.verdicts("node/n2", "10.96.0.99:80") == {"reached": 1}), "changes are made as before"
    assert comes_true(lambda: lab.verdicts("pod/shell", "service/web:80", count=20) == {"reached": 20})
    assert json.loads(lab.ok("get", "pod", "web-1", "-o", "json"))["metadata"]["uid"] == objects["pods/web-1"]
