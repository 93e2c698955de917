"""The same packets through two proxies: nodes of a lab, labs beside one another, a program in kube-proxy's place."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from netlab_command import NETLAB, PREFIX, Caller, Lab, comes_true

MANIFEST = """
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {name}}}
spec:
  nodes: [{{name: n1}}, {{name: n2, {second}}}]
  externals: [{{name: client}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: shell-1}}
spec: {{nodeName: n1, containers: [{{name: shell}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: shell-2}}
spec: {{nodeName: n2, containers: [{{name: shell}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-1, labels: {{app: web}}}}
spec: {{nodeName: n1, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web-2, labels: {{app: web}}}}
spec: {{nodeName: n2, containers: [{{name: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: NodePort, clusterIP: 10.96.0.80, selector: {{app: web}},
        ports: [{{port: 80, targetPort: 8080, nodePort: 30080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: local}}
spec: {{type: NodePort, clusterIP: 10.96.0.81, selector: {{app: web}}, externalTrafficPolicy: Local,
        sessionAffinity: ClientIP, ports: [{{port: 80, targetPort: 8080, nodePort: 30081}}]}}
"""
NOT_A_PORT = "a port that service/web does not have"


def manifest(name: str, second: str = "labels: {}") -> str:
    return MANIFEST.format(name=name, second=second)


def compared(caller: Caller, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = caller.run("compare", *arguments, "-o", "json")
    return done.status, json.loads(done.out)


def test_nodes_that_do_the_same_fare_the_same_and_what_differs_is_told(user: Caller) -> None:
    name = f"{PREFIX}-compare"
    with user.lab(name, manifest(name)) as lab:
        status, found = compared(user, "n1", "node/n2", "-l", name)
        assert (status, found["differences"], found["notes"]) == (0, [], [])
        assert found["compared"] == 18

        lab.ok("set-mode", "nftables", "--on", "n2")
        status, found = compared(user, "n1", "n2", "-l", name)
        by_packets = {each["packets"]: (each["a"], each["b"]) for each in found["differences"]}
        assert status == 1
        assert by_packets[f"the node -> {NOT_A_PORT}"] == ("unreachable", "refused")
        assert all("does not have" in packets for packets in by_packets)

        lab.ok("delete", "pod", "web-2")
        status, found = compared(user, "n1", "n2", "-l", name)
        local = {each["packets"]: (each["a"], each["b"]) for each in found["differences"]}
        assert local["external/client -> node port 30081 (service/local)"] == (
            "reached by one of its Pods, coming from the sender",
            "dropped",
        )
        assert user.run("compare", "n1", "n3", "-l", name).status == 4


def test_two_labs_are_compared_by_what_both_have(user: Caller) -> None:
    one, two = f"{PREFIX}-cmp1", f"{PREFIX}-cmp2"
    with user.lab(one, manifest(one)), user.lab(two, manifest(two)) as second:
        assert compared(user, one, two)[0] == 0
        second.ok("delete", "service", "local")
        status, found = compared(user, one, two)
        assert (status, found["differences"]) == (0, [])
        assert "can be sent in one of the labs alone" in found["notes"][0]
        second.ok("exec", "node/n2", "--", "iptables", "-I", "INPUT", "-p", "icmp", "-j", "DROP")
        second.ok("exec", "node/n2", "--", "iptables", "-I", "FORWARD", "-p", "tcp", "-j", "DROP")
        status, found = compared(user, one, two)
        assert status == 1
        differences = {each["packets"]: each["b"] for each in found["differences"]}
        assert "dropped" in differences["external/client -> node port 30080 (service/web) of n2"]


def place_of(lab: Lab) -> str:
    """What runs in the place of the second node's kube-proxy."""
    (node,) = [node for node in lab.json("status")["nodes"] if node["name"] == "n2"]
    return " ".join(node["proxyCommand"])


def test_a_program_takes_the_place_of_kube_proxy_and_gives_it_back(user: Caller) -> None:
    name = f"{PREFIX}-place"
    with user.lab(name, manifest(name)) as lab:
        says = 'echo "$(NODE_NAME) $NODE_NAME"; exec sleep 1000'
        lab.up(manifest(name, f"proxyCommand: [sh, -c, '{says}']"))
        assert place_of(lab).startswith("sh -c")
        assert "KUBE-" not in lab.rules("n2")
        assert lab.verdicts("node/n2", "service/web:80") == {"unreachable": 1}
        assert lab.verdicts("node/n1", "service/web:80") == {"reached": 1}
        assert "\nn2 n2\n" in lab.ok("logs", "node/n2")
        done = lab.run("rules", "n2", "--diff")
        assert (done.status, "on n2 sh runs in the place of kube-proxy" in done.err) == (2, True)
        cause = json.loads(lab.run("why", "node/n2", "service/web:80", "-o", "json").out)["cause"]
        assert cause not in ("rules-flushed", "kube-proxy-stopped", "api-unreachable")
        before = lab.processes()["sleep"]
        os.kill(before, signal.SIGKILL)
        assert comes_true(lambda: lab.processes().get("sleep", before) != before)
        lab.up(manifest(name))
        assert lab.answering("node/n2", "service/web:80") == {"web-1", "web-2"}
        assert "sleep" not in lab.processes()


@pytest.mark.parametrize("second", ["proxyCommand: [no-such-program]", 'proxyCommand: [""]'])
def test_a_program_that_is_not_there_is_named_and_nothing_is_started(user: Caller, second: str) -> None:
    name = f"{PREFIX}-absent"
    done = user.run("up", str(user.file("absent.yaml", manifest(name, second))))
    assert done.status == 2
    assert "spec.nodes[1].proxyCommand: there is no program" in done.err
    assert name not in user.ok("ls")


def test_a_kube_proxy_on_its_own_serves_in_the_place_of_the_labs_by_the_kubeconfig_it_is_given(user: Caller) -> None:
    name = f"{PREFIX}-own"
    own = f"[{NETLAB}, proxy, --kubeconfig, $(KUBECONFIG), --hostname-override, $(NODE_NAME), --proxy-mode, nftables]"
    with user.lab(name, manifest(name, f"proxyCommand: {own}")) as lab:
        assert comes_true(lambda: lab.verdicts("node/n2", "service/web:80") == {"reached": 1})
        assert lab.answering("node/n2", "service/web:80") == {"web-1", "web-2"}
        status, found = compared(user, "n1", "n2", "-l", name)
        assert status == 1
        assert all("does not have" in each["packets"] for each in found["differences"])
