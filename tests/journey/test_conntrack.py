"""`netlab conntrack`: what a node remembers, with names, and nothing that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from netlab_command import PREFIX, Caller, Lab, topology

NAME = f"{PREFIX}-conntrack"


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    with user.lab(NAME, topology("dual-stack", name=NAME)) as up:
        yield up


def flows(lab: Lab, *arguments: str) -> list[dict[str, Any]]:
    document = lab.json("conntrack", *arguments)
    assert (document["apiVersion"], document["kind"]) == ("netlab/v1", "FlowTable")
    found: list[dict[str, Any]] = document["flows"]
    return found


def address(lab: Lab, pod: str) -> str:
    return str(next(row["address"] for row in lab.json("status")["pods"] if row["name"] == pod).split(", ")[0])


def test_a_flow_to_a_service_names_client_service_and_the_pod_that_answers(lab: Lab) -> None:
    reached = lab.answering("pod/client", "service/web:80", count=1)
    here = next(row["node"] for row in lab.json("status")["pods"] if row["name"] == "client")
    (flow,) = flows(lab, here, "--service", "web", "--proto", "tcp")
    assert flow["original"]["source"] | {"port": 0} == {
        "address": address(lab, "client"),
        "port": 0,
        "name": "pod/client",
    }
    assert flow["original"]["destination"] == {"address": "10.96.0.80", "port": 80, "name": "service/web"}
    assert {flow["pod"]} == {f"pod/{name}" for name in reached}
    assert flow["reply"]["source"]["port"] == 8080
    assert (flow["service"], flow["translated"], flow["masqueraded"]) == ("service/web", True, False)
    assert 0 < flow["timeoutSeconds"] <= 432000
    assert "destination translated" in flow["status"]
    assert "source translated" not in flow["status"]


def test_what_goes_to_a_pod_itself_is_no_services_and_is_not_translated(lab: Lab) -> None:
    lab.verdicts("pod/client", "pod/web-1:8080")
    here = next(row["node"] for row in lab.json("status")["pods"] if row["name"] == "client")
    found = [flow for flow in flows(lab, here) if flow["original"]["destination"]["name"] == "pod/web-1"]
    assert found
    assert {(flow["service"], flow["translated"], flow["pod"]) for flow in found} == {(None, False, "pod/web-1")}
    assert flows(lab, here, "--service", "nothing") == []


def test_a_protocol_is_chosen(lab: Lab) -> None:
    lab.verdicts("node/node1", "pod/web-1/icmp")
    assert {flow["protocol"] for flow in flows(lab, "node1", "--proto", "icmp")} == {"icmp"}
    assert {flow["protocol"] for flow in flows(lab, "node/node1", "--proto", "udp")} <= {"udp"}


def test_a_packet_that_nobody_answers_is_unreplied(lab: Lab) -> None:
    send = "import socket; socket.socket(2, 2).sendto(b'x', ('10.96.0.80', 9))"
    lab.ok("exec", "node/node1", "--", "/usr/bin/python3", "-c", send)
    found = [flow for flow in flows(lab, "node1", "--proto", "udp") if flow["original"]["destination"]["port"] == 9]
    assert {flow["state"] for flow in found} <= {"UNREPLIED"}


def test_both_families_are_told(lab: Lab) -> None:
    first, second = lab.json("get", "service", "web")["spec"]["clusterIPs"]
    for target in (f"{first}:80", f"[{second}]:80"):
        assert lab.verdicts("node/node1", target) == {"reached": 1}
    found = [
        flow for flow in flows(lab, "node1", "--service", "web") if flow["original"]["source"]["name"] == "node/node1"
    ]
    assert {flow["family"] for flow in found} == {"IPv4", "IPv6"}
    assert "(service/web)" in lab.ok("conntrack", "node1")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [(("node9",), 4, "node/node9"), (("node1", "--proto", "gre"), 2, "gre"), ((), 2, "NODE")],
)
def test_what_there_is_not_is_said(lab: Lab, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = lab.run("conntrack", *arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
