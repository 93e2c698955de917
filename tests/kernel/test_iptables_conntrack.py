"""Flows that real packets made, as conntrack knows them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from socket import AF_INET, SOCK_DGRAM, create_connection, create_server, socket

import pytest

from netlab.kernel import conntrack
from netlab.kernel.namespaces import Namespaces
from netlab.model.rules import Family

pytestmark = pytest.mark.root
NODE, VIRTUAL = IPv4Address("10.9.9.9"), IPv4Address("10.96.0.1")


@pytest.fixture(autouse=True)
def node() -> Iterator[None]:
    """A namespace with an address, and a virtual one whose UDP port 53 is translated to the real one's 5353."""
    with Namespaces() as namespaces:
        namespaces.create("nlipt.conntrack")
        try:
            for command in (
                "ip link set lo up",
                f"ip address add {NODE}/32 dev lo",
                f"ip route add {VIRTUAL} dev lo",
                f"iptables-legacy -t nat -A OUTPUT -d {VIRTUAL} -p udp --dport 53 -j DNAT --to-destination {NODE}:5353",
            ):
                subprocess.run(command.split(), check=True)
            yield
        finally:
            namespaces.delete("nlipt.conntrack")


def send(port: int) -> None:
    """A datagram from that port of the node to port 53 of the virtual address."""
    with socket(AF_INET, SOCK_DGRAM) as sender:
        sender.bind((str(NODE), port))
        sender.sendto(b"?", (str(VIRTUAL), 53))


def udp_ports() -> list[int]:
    return sorted(flow.original.source_port for flow in conntrack.flows(Family.IPV4) if flow.protocol == "udp")


def test_a_translated_flow_shows_whom_it_was_sent_to_and_who_answers() -> None:
    send(7777)

    flow = conntrack.find("udp", (NODE, 7777), (VIRTUAL, 53))

    assert flow is not None
    assert flow.original == conntrack.Tuple(NODE, 7777, VIRTUAL, 53)
    assert flow.reply == conntrack.Tuple(NODE, 5353, NODE, 7777)
    assert conntrack.Status.DESTINATION_TRANSLATED in flow.status
    assert conntrack.translated("udp", (NODE, 7777), (VIRTUAL, 53)) == (NODE, 5353)


def test_a_flow_that_never_was_is_none() -> None:
    send(7777)

    assert conntrack.find("udp", (NODE, 7778), (VIRTUAL, 53)) is None
    assert conntrack.translated("tcp", (NODE, 7777), (VIRTUAL, 53)) is None


def test_an_untranslated_connection_shows_its_state() -> None:
    with create_server((str(NODE), 8080)), create_connection((str(NODE), 8080)) as client:
        port = client.getsockname()[1]

        flow = conntrack.find("tcp", (NODE, port), (NODE, 8080))

    assert flow is not None
    assert (flow.state, conntrack.Status.DESTINATION_TRANSLATED in flow.status) == ("ESTABLISHED", False)


def test_only_the_flows_that_are_named_are_deleted() -> None:
    for port in (7001, 7002, 7003):
        send(port)
    condemned = [flow for flow in conntrack.flows(Family.IPV4) if flow.original.source_port == 7002]

    assert conntrack.delete(condemned) == 1

    assert udp_ports() == [7001, 7003]


def test_a_flow_that_is_gone_already_is_no_error() -> None:
    send(7001)
    listed = list(conntrack.flows(Family.IPV4))

    assert conntrack.delete(listed) == 1
    assert conntrack.delete(listed) == 0


def test_ipv6_has_flows_of_its_own() -> None:
    send(7001)

    assert list(conntrack.flows(Family.IPV6)) == []
