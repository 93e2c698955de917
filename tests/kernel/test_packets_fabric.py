"""Real packets over each way to join Pods and nodes, with a handful of DNAT rules in kube-proxy's place."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Iterator

import pytest
from fabric_lab import namespace
from fabric_packets import NODE_PORTS, PORT, SERVICE_PORT, TCP, UDP, Design, Up, bring_up

from netlab.model.topology import Fabric, PodLink

pytestmark = pytest.mark.root

UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)
TRANSPORTS = pytest.mark.parametrize("kind", [pytest.param(TCP, id="TCP"), pytest.param(UDP, id="UDP")])
IN_TIME = 0.5
"""Seconds; a packet that waits for address resolution or duplicate address detection takes longer."""


DESIGNS = [
    pytest.param(Design(fabric, pod_link, version), id=f"{fabric}, {pod_link}, IPv{version}")
    for fabric in Fabric
    for pod_link in PodLink
    for version in (4, 6)
]


@pytest.fixture(scope="module", params=DESIGNS)
def up(request: pytest.FixtureRequest) -> Iterator[Up]:
    with bring_up(request.param) as lab:
        yield lab


def test_the_first_packet_to_another_node_is_answered_at_once(up: Up) -> None:
    answer = up.stand.ask("shell", up.address("web-2"), PORT, kind=UDP)
    assert (answer.place, answer.source) == ("web-2", up.address("shell"))
    assert answer.seconds < IN_TIME


@TRANSPORTS
@pytest.mark.parametrize("pod", ["web-1", "web-2"])
def test_a_pod_reaches_another_pod_under_its_own_address(up: Up, pod: str, kind: int) -> None:
    answer = up.stand.ask("shell", up.address(pod), PORT, kind=kind)
    assert (answer.place, answer.source) == (pod, up.address("shell"))


@TRANSPORTS
@pytest.mark.parametrize("pod", [pytest.param("web-1", id="same node"), pytest.param("web-2", id="other node")])
def test_a_pod_reaches_a_service_under_its_own_address(up: Up, pod: str, kind: int) -> None:
    answer = up.stand.ask("shell", up.vip(pod), SERVICE_PORT, kind=kind)
    assert (answer.place, answer.source) == (pod, up.address("shell"))


@TRANSPORTS
def test_a_pod_reaches_itself_through_its_service_under_its_nodes_address(up: Up, kind: int) -> None:
    answer = up.stand.ask("web-1", up.vip("web-1"), SERVICE_PORT, kind=kind)
    assert answer.place == "web-1"
    assert answer.source in {str(each.interface.ip) for each in namespace(up.state, "node1").addresses}


@TRANSPORTS
@pytest.mark.parametrize("pod", [pytest.param("web-1", id="own Pod"), pytest.param("web-2", id="other node's Pod")])
def test_a_node_reaches_a_service(up: Up, pod: str, kind: int) -> None:
    answer = up.stand.ask("node1", up.vip(pod), SERVICE_PORT, kind=kind)
    assert answer.place == pod
    assert answer.source in {str(each.interface.ip) for each in namespace(up.state, "node1").addresses}


@TRANSPORTS
@pytest.mark.parametrize(
    "pod", [pytest.param("web-1", id="asked node's Pod"), pytest.param("web-2", id="other node's")]
)
def test_a_client_reaches_a_node_port_under_the_nodes_address(up: Up, pod: str, kind: int) -> None:
    answer = up.stand.ask("client", up.address("node1"), NODE_PORTS[pod], kind=kind)
    assert answer.place == pod
    assert answer.source in {str(each.interface.ip) for each in namespace(up.state, "node1").addresses}


@pytest.mark.parametrize("target", ["a Pod", "a Service", "a Pod that is not"])
def test_a_client_is_told_at_once_that_there_is_no_way_into_the_cluster(up: Up, target: str) -> None:
    addresses = {"a Pod": up.address("web-1"), "a Service": up.vip("web-1"), "a Pod that is not": up.nobody}
    address = addresses[target]
    refused_every_time(up, "client", address)


def test_a_pod_is_told_at_once_that_there_is_no_such_service(up: Up) -> None:
    refused_every_time(up, "shell", "10.96.0.99" if up.design.version == 4 else "fd00:10:96::99")


def test_a_pod_is_told_at_once_that_there_is_no_such_pod(up: Up) -> None:
    addresses = ["10.244.99.9" if up.design.version == 4 else "fd00:10:244:99::9"]
    if up.design.pod_link is PodLink.PTP:  # on a bridge one must be asked for until it is given up
        addresses.append(up.nobody)
    for address in addresses:
        refused_every_time(up, "web-1", address, times=2)


def refused_every_time(up: Up, place: str, address: str, *, times: int = 20) -> None:
    """More often than the five or six times that the kernel answers where its limits are on."""
    start = time.monotonic()
    for _ in range(times):
        with pytest.raises(OSError, match=r"route to host|unreachable") as refusal:
            up.stand.ask(place, address, PORT, kind=UDP)
        assert refusal.value.errno in UNREACHABLE
    assert time.monotonic() - start < IN_TIME


@TRANSPORTS
def test_a_pod_reaches_the_world_in_the_name_of_its_node(up: Up, kind: int) -> None:
    answer = up.stand.ask("shell", up.address("client"), PORT, kind=kind)
    assert (answer.place, answer.source) == ("client", up.address("node1"))


def test_a_pod_reaches_another_node_in_the_name_of_its_own(up: Up) -> None:
    answer = up.stand.ask("shell", up.address("node2"), PORT)
    assert (answer.place, answer.source) == ("node2", up.address("node1"))


def test_the_wire_shows_pod_addresses_when_routed_and_vxlan_alone_when_tunnelled(up: Up) -> None:
    program = "ip6tables-legacy" if up.design.version == 6 else "iptables-legacy"
    count = [program, "-t", "mangle"]
    at_node = ["ip", "netns", "exec", f"{up.state.lab}.node2", *count]
    subprocess.run([*at_node, "-A", "PREROUTING", "-i", "eth0", "-p", "udp", "--dport", "4789"], check=True)
    subprocess.run([*at_node, "-A", "PREROUTING", "-i", "eth0", "-s", up.address("shell")], check=True)
    up.stand.ask("shell", up.address("web-2"), PORT)
    listed = subprocess.run([*at_node, "-nvxL", "PREROUTING"], check=True, capture_output=True, text=True).stdout
    tunnelled, plain = (int(line.split()[0]) > 0 for line in listed.splitlines()[2:4])
    assert (tunnelled, plain) == ((True, False) if up.design.fabric is Fabric.VXLAN else (False, True))
