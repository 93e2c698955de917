"""The API server for others: from Pods and from this machine, by certificate alone; and node agents that lose it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import leaks
import pytest
import yaml
from netlab_command import BY_WATCH, PREFIX, Caller, Done, Lab, comes_true, topology

from netlab.load.kubeconfig import load_kubeconfig
from netlab.model.access import ServerAccess

NAME = f"{PREFIX}-access"
ASK = """
import json, ssl, sys, urllib.error, urllib.request
url, authority, certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if certificate:
    context.load_cert_chain(certificate)
try:
    print(json.load(urllib.request.urlopen(url, context=context, timeout=5))["kind"])
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["reason"])
"""
LATER = """
apiVersion: v1
kind: Service
metadata: {name: later}
spec: {clusterIP: 10.96.0.99, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, topology("two-nodes", name=NAME)) as up:
        yield up


@pytest.fixture
def own(root: Caller) -> Iterator[Lab]:
    """A lab of the test's own, root's, since its cables and processes do not stay the same."""
    with root.lab(f"{NAME}-own", topology("two-nodes", name=f"{NAME}-own")) as up:
        yield up


def asked(lab: Lab, where: str, url: str, *, certificate: str = "") -> str:
    """What a program in the lab gets: the kind of the answer, or the status and the reason."""
    access = lab.directory / "access"
    shown = str(access / "clients" / f"{certificate}.pem") if certificate else ""
    arguments = (url, str(access / "authority.pem"), shown)
    return lab.ok("exec", where, "--", sys.executable, "-c", ASK, *arguments).strip()


def listening() -> set[str]:
    """Where anybody listens for TCP in this network namespace, as HOST:PORT."""
    lines = subprocess.run(["ss", "-Htnl"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[3] for line in lines}


def kubeconfig(lab: Lab) -> ServerAccess:
    return load_kubeconfig(lab.caller.file("kubeconfig", lab.ok("kubeconfig")))


def tls(access: ServerAccess, folder: Path, *, shown: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=access.authority)
    if shown:
        pem = folder / "shown.pem"
        pem.write_text(access.certificate + access.key)
        context.load_cert_chain(pem)
    return context


def answer(access: ServerAccess, context: ssl.SSLContext, request: bytes) -> bytes:
    """What the server says to a request, until it ends the connection."""
    host, port = access.url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"


@pytest.mark.root
def test_pods_and_nodes_find_the_server_as_a_service_and_an_outsider_on_the_node(lab: Lab) -> None:
    by_name, by_address = "https://kubernetes.default/api/v1/pods", "https://10.96.0.1/api/v1/pods"
    on_the_wire = "https://172.18.0.2:6443/api/v1/pods"
    assert asked(lab, "pod/shell", by_name, certificate="admin") == "PodList"
    assert asked(lab, "pod/web-2", by_address, certificate="kubelet-node2") == "PodList"
    assert asked(lab, "node/node2", by_address, certificate="kube-proxy-node2") == "PodList"
    assert asked(lab, "external/client", on_the_wire, certificate="admin") == "PodList"
    assert lab.json("trace", "pod/shell", "service/kubernetes:443")["agrees"] is True
    for where, url in (("pod/shell", by_name), ("node/node1", on_the_wire), ("external/client", on_the_wire)):
        assert asked(lab, where, url) == "401 Unauthorized"


@pytest.mark.root
def test_a_kubeconfig_opens_one_port_of_the_loopback_for_who_has_its_certificate(lab: Lab, tmp_path: Path) -> None:
    before = listening()
    first, second = kubeconfig(lab), kubeconfig(lab)
    assert first == second
    assert listening() - before == {first.url.removeprefix("https://")}
    assert first.url.startswith("https://127.0.0.1:")

    told = answer(first, tls(first, tmp_path, shown=True), get(b"/api/v1/nodes"))
    assert told.startswith(b"HTTP/1.1 200 OK")
    for path in (b"/api/v1/nodes", b"/version", b"/api/../version", b"//", b"/%2e%2e/%2e%2e/etc/passwd", b"/healthz"):
        told = answer(first, tls(first, tmp_path, shown=False), get(path))
        assert told.startswith(b"HTTP/1.1 401 Unauthorized")
    told = answer(first, tls(first, tmp_path, shown=True), get(b"/%2e%2e/%2e%2e/etc/passwd"))
    assert told.startswith(b"HTTP/1.1 404 Not Found")


@pytest.mark.root
def test_a_kubeconfig_is_written_for_its_owner_alone_and_over_nothing_that_is_not_the_labs(lab: Lab) -> None:
    target, other = lab.caller.home / "written", lab.caller.file("other", "apiVersion: v1\nkind: Config\n")
    for _ in range(2):
        assert lab.ok("kubeconfig", "--write", str(target)) == ""
        assert target.stat().st_mode & 0o777 == 0o600
    assert load_kubeconfig(target) == kubeconfig(lab)
    done = lab.run("kubeconfig", "--write", str(other))
    assert (done.status, other.read_text()) == (2, "apiVersion: v1\nkind: Config\n")
    assert "is there already and is no kubeconfig of lab" in done.err
    inside = yaml.safe_load(lab.ok("kubeconfig", "--internal"))
    assert inside["clusters"][0]["cluster"]["server"] == "https://172.18.0.2:6443"


def kubectl(lab: Lab, *arguments: str, **options: Any) -> Done:
    return lab.caller.run("kubectl", "--lab", lab.name, *arguments, **options)


@pytest.mark.root
def test_kubectl_gets_its_words_as_they_are_and_its_exit_status_is_netlabs(lab: Lab) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    named = kubectl(lab, "get", "service", "-n", "default", "-l", "provider=kubernetes", "-o", "name")
    assert (named.status, named.out) == (0, "service/kubernetes\n")
    assert kubectl(lab, "-n", "kube-system", "get", "service", "-o", "name").out == "service/kube-dns\n"
    assert kubectl(lab, "get", "service", "nobody").status == 1
    assert not (lab.caller.home / ".kube").exists(), "what kubectl has learnt of a lab goes with the lab"


@pytest.mark.root
def test_without_kubectl_it_is_said_where_to_get_one(lab: Lab) -> None:
    done = kubectl(lab, "get", "pods", **{"program": lab_program(lab)})
    assert (done.status, done.out) == (3, "")
    assert "apt-get install kubernetes-client" in done.err


def lab_program(lab: Lab) -> str:
    """`netlab` with a PATH on which there is nothing else."""
    script = lab.caller.file(
        "netlab-alone", f'#!/bin/sh\nPATH=/nonexistent exec {Path(sys.executable).parent}/netlab "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


@pytest.mark.root
def test_200_half_open_connections_keep_nobody_else_out_and_the_lab_lives_on(lab: Lab, tmp_path: Path) -> None:
    access = kubeconfig(lab)
    host, port = access.url.removeprefix("https://").split(":")
    shown, nobody = tls(access, tmp_path, shown=True), tls(access, tmp_path, shown=False)
    api = lab.processes()["api"]
    with ExitStack() as held:
        for number in range(200):
            connection = held.enter_context(socket.create_connection((host, int(port)), timeout=10))
            if number % 2:
                secure = held.enter_context(nobody.wrap_socket(connection, server_hostname=host))
                secure.sendall(b"POST /api/v1/pods HTTP/1.1\r\nContent-Le")
        assert answer(access, shown, get(b"/api/v1/nodes")).startswith(b"HTTP/1.1 200 OK")
        assert lab.failures() == []
    assert comes_true(lambda: open_sockets(api, int(port)) == 0)
    assert lab.processes()["api"] == api


def open_sockets(pid: int, port: int) -> int:
    """How many connections to the port a process has."""
    found = subprocess.run(
        ["ss", "-Htnp", "state", "connected", f"( sport = :{port} )"], check=True, capture_output=True, text=True
    )
    return sum(f"pid={pid}," in line for line in found.stdout.splitlines())


def cable(lab: Lab, node: str, state: str) -> None:
    """Pull a node's cable out of the wire, or plug it in again."""
    command = ["ip", "-n", f"{lab.name}.fabric", "link", "set", node, state]
    subprocess.run(command, check=True)


def proxy(lab: Lab, node: str) -> dict[str, Any]:
    """What `netlab status` says of a node's kube-proxy."""
    found: dict[str, Any] = next(n["proxy"] for n in lab.json("status")["nodes"] if n["name"] == node)
    return found


@pytest.mark.root
def test_a_node_that_is_cut_off_keeps_its_rules_says_so_and_catches_up_when_joined(own: Lab) -> None:
    before = own.rules("node2")
    cable(own, "node2", "down")
    own.ok("apply", "-f", "-", text=LATER)
    assert comes_true(lambda: "10.96.0.99" in own.rules("node1"))
    assert comes_true(lambda: bool(proxy(own, "node2")["lost"]), within=2 * BY_WATCH)
    assert "lost the API server https://172.18.0.2:6443" in own.ok("logs", "node/node2")
    assert "cut off" in own.ok("status")
    assert (own.rules("node2"), proxy(own, "node1")["lost"]) == (before, "")
    cable(own, "node2", "up")
    assert comes_true(lambda: "10.96.0.99" in own.rules("node2"))
    assert comes_true(lambda: proxy(own, "node2")["lost"] == "" and proxy(own, "node2")["synced"])
    assert "reached the API server https://172.18.0.2:6443 again" in own.ok("logs", "node/node2")
    assert own.answering("node/node2", "service/later:80") == {"web-1", "web-2"}


@pytest.mark.root
def test_a_server_that_is_killed_is_back_at_every_door_with_every_object(own: Lab, tmp_path: Path) -> None:
    access = kubeconfig(own)
    context = tls(access, tmp_path, shown=True)

    def services() -> list[str]:
        body = answer(access, context, get(b"/api/v1/services")).partition(b"\r\n\r\n")[2]
        return [f"{item['metadata']['name']} {item['metadata']['uid']}" for item in json.loads(body)["items"]]

    before, pid = services(), own.processes()["api"]
    os.kill(pid, signal.SIGKILL)
    assert own.answering("node/node2", "service/web:80") == {"web-1", "web-2"}
    assert leaks.remaining([pid], timeout=BY_WATCH) == []
    assert services() == before
    assert kubeconfig(own) == access
    own.ok("apply", "-f", "-", text=LATER)
    for node in ("node1", "node2"):
        assert comes_true(lambda node=node: "10.96.0.99" in own.rules(node))  # type: ignore[misc]
    assert asked(own, "pod/shell", "https://kubernetes.default/api/v1/pods", certificate="admin") == "PodList"
