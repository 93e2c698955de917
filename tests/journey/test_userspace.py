"""Proxy mode userspace in whole labs: beside another mode, and while a lab's mode changes under open connections."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from netlab_command import PREFIX, Caller, Lab, comes_true, topology

NAME = f"{PREFIX}-userspace"
VIP = "10.96.0.80"
ASK = f"""
import socket, sys
with socket.create_connection(({VIP!r}, 80), timeout=20) as connection:
    print("open", flush=True)
    for _ in sys.stdin:
        try:
            connection.sendall(b"GET /hostname HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n")
            answer = connection.recv(4096).decode().splitlines()
        except ConnectionError:
            answer = []
        print(answer[-1] if answer else "ended", flush=True)
"""
EMPTY_OR_RESET = (52, 56)
"""curl's exit statuses: the connection was closed before its request came in, or after."""
OWN_CHAINS = ("KUBE-PORTALS-", "KUBE-NODEPORT-")


def text(mode: str, *, node1: str | None = None, name: str = NAME) -> str:
    """The topology `userspace` in some mode, of which node1 may have its own."""
    found = topology("userspace", name=name).replace("proxy: {mode: userspace}", f"proxy: {{mode: {mode}}}")
    return found.replace("{name: node1}", f"{{name: node1, proxyMode: {node1}}}") if node1 else found


@pytest.fixture(scope="module")
def lab(root: Caller) -> Iterator[Lab]:
    """A lab that each test brings into the mode it needs."""
    with root.lab(NAME, text("userspace")) as up:
        yield up


def seen(lab: Lab, place: str, url: str) -> str:
    """The address under which a Pod that answers there knows the client."""
    return lab.ok("exec", place, "--", "curl", "--fail", "--silent", "--max-time", "10", f"{url}/clientip").strip()


def addresses(lab: Lab) -> dict[str, str]:
    return {pod["name"]: pod["address"] for pod in lab.json("status")["pods"]}


@contextmanager
def connection(lab: Lab, place: str) -> Iterator[subprocess.Popen[str]]:
    """An open connection from there to the Service: a line in asks, and a line out tells who answers."""
    command = ("exec", "-l", lab.name, place, "--", sys.executable, "-c", ASK)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with lab.caller.start(*command, **pipes) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.root
def test_nobody_reaches_a_pod_under_its_own_address(lab: Lab) -> None:
    lab.up(text("userspace"))
    own, nodes = addresses(lab), {"172.18.0.2", "172.18.0.3", "10.244.0.1", "10.244.1.1"}
    assert own["shell"] not in nodes
    for place, url in (
        *((place, VIP) for place in ("pod/shell", "pod/web-1", "node/node2")),
        *(("external/client", f"172.18.0.{number}:30080") for number in (2, 3)),
        ("pod/shell", "http://web"),
    ):
        assert {seen(lab, place, url) for _ in range(4)} <= nodes, (place, url)
    assert seen(lab, "pod/shell", f"{own['web-2']}:8080") == own["shell"], "no Service is between them"


@pytest.mark.root
def test_nodes_of_different_modes_serve_the_same_service_each_in_its_way(lab: Lab) -> None:
    lab.up(text("userspace", node1="iptables"))
    own = addresses(lab)
    assert {node["name"]: node["proxyMode"] for node in lab.json("status")["nodes"]} == {
        "node1": "iptables",
        "node2": "userspace",
    }
    assert not [line for line in lab.rules("node1").splitlines() if any(chain in line for chain in OWN_CHAINS)]
    assert "KUBE-SERVICES" not in lab.rules("node2")

    assert seen(lab, "pod/shell", VIP) == own["shell"], "node1 rewrites the destination alone"
    assert seen(lab, "node/node2", VIP) in {"172.18.0.3", "10.244.1.1"}
    assert seen(lab, "external/client", "172.18.0.3:30080") in {"172.18.0.3", "10.244.1.1"}
    assert lab.answering("pod/shell", "service/web:80") == {"web-1", "web-2"}
    assert lab.answering("node/node2", "service/web:80/udp") == {"web-1", "web-2"}


@pytest.mark.root
def test_up_with_another_mode_ends_what_was_copied_and_keeps_what_was_translated(lab: Lab) -> None:
    lab.up(text("userspace"))
    with connection(lab, "pod/shell") as copied:
        assert ask(copied).startswith("web-")
        lab.up(text("iptables"))
        assert ask(copied) == "ended"
    assert not [line for line in lab.rules("node1").splitlines() if any(chain in line for chain in OWN_CHAINS)]

    with connection(lab, "pod/shell") as translated:
        answering = ask(translated)
        lab.up(text("userspace"))
        assert ask(translated) == answering
    assert "KUBE-SERVICES" not in lab.rules("node1")
    assert lab.failures() == []


@pytest.mark.root
def test_a_process_that_dies_takes_the_services_of_its_node_along_until_it_is_back(root: Caller) -> None:
    name = f"{NAME}-dies"
    with root.lab(name, text("userspace", name=name)) as lab:
        lab.ok("break", "kube-proxy-stopped", "--on", "node1")
        assert VIP in lab.rules("node1")
        assert lab.verdicts("pod/shell", "service/web:80", count=3) == {"refused": 3}
        assert lab.verdicts("node/node1", "service/web:80", count=3) == {"refused": 3}
        assert lab.verdicts("node/node2", "service/web:80", count=3) == {"reached": 3}

        lab.ok("heal", "kube-proxy-stopped", "--on", "node1")
        assert comes_true(lambda: lab.verdicts("pod/shell", "service/web:80") == {"reached": 1})
        assert lab.failures() == []


DUAL_STACK = """
    podLink: ptp
    podCIDRs: [10.244.0.0/16, 'fd00:10:244::/56']
    serviceCIDRs: [10.96.0.0/12, 'fd00:10:96::/112']
    nodeCIDRs: [172.18.0.0/24, 'fd00:172:18::/64']
"""


@pytest.mark.root
def test_both_families_and_pods_on_cables_of_their_own_are_served(root: Caller) -> None:
    """The node's end of such a cable has no address to redirect to."""
    name = f"{NAME}-ptp"
    found = text("userspace", name=name).replace("spec:\n", f"spec:\n  network:{DUAL_STACK}", 1)
    found = found.replace("  clusterIP: 10.96.0.80\n", "  ipFamilyPolicy: RequireDualStack\n")
    with root.lab(name, found) as lab:
        assert lab.failures() == []
        assert "--to-ports" not in lab.rules("node1")
        for url in ("http://172.18.0.2:30080", "http://[fd00:172:18::2]:30080"):
            assert seen(lab, "external/client", url) in {"172.18.0.2", "fd00:172:18::2"}


@pytest.mark.root
def test_a_service_without_pods_is_answered_and_hung_up_on(lab: Lab) -> None:
    lab.up(text("userspace"))
    empty = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {clusterIP: 10.96.0.81, ports: [{port: 80}]}\n"
    )
    lab.ok("apply", "-f", "-", text=empty)
    try:
        assert comes_true(lambda: lab.verdicts("pod/shell", "service/empty:80") == {"reached": 1})
        done = lab.run("exec", "pod/shell", "--", "curl", "--silent", "--max-time", "10", "10.96.0.81")
        assert (done.status in EMPTY_OR_RESET, done.out) == (True, "")
    finally:
        lab.ok("delete", "service", "empty")


@pytest.mark.root
def test_sctp_is_not_served_and_told_as_an_event(lab: Lab) -> None:
    lab.up(text("userspace"))
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: signals}\n"
        "spec: {clusterIP: 10.96.0.82, ports: [{port: 80, protocol: SCTP}]}\n"
    )
    lab.ok("apply", "-f", "-", text=service)
    try:
        assert comes_true(lambda: "mode userspace does not do SCTP" in lab.ok("get", "events"))
        assert "10.96.0.82" not in lab.rules("node1")
    finally:
        lab.ok("delete", "service", "signals")
