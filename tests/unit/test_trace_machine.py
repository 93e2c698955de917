"""A namespace as a machine that routes: what the kernel makes of addresses and routes, told as `ip route` does."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from fabric_lab import DUAL_STACK, Lab, namespace

from netlab.model.rules import IPAddress
from netlab.model.topology import Fabric, PodLink
from netlab.trace.machine import Machine, Towards


def node1(*, fabric: Fabric = Fabric.ROUTED, pod_link: PodLink = PodLink.BRIDGE) -> Machine:
    state = Lab(families=DUAL_STACK, fabric=fabric, pod_link=pod_link).state()
    return Machine("node/node1", namespace(state, "node1"))


ROUTES = [
    ("172.18.0.2", "local 172.18.0.2 dev eth0", Towards.HERE),
    ("127.0.0.1", "local 127.0.0.1 dev lo", Towards.HERE),
    ("172.18.0.3", "172.18.0.0/24 dev eth0 proto kernel scope link src 172.18.0.2", Towards.ONWARD),
    ("10.244.0.2", "10.244.0.0/24 dev cni0 proto kernel scope link src 10.244.0.1", Towards.ONWARD),
    ("10.244.1.2", "10.244.1.0/24 via 172.18.0.3 dev eth0", Towards.ONWARD),
    ("10.244.9.9", "unreachable 10.244.0.0/16", Towards.NOWHERE),
    ("10.96.0.80", "default via 172.18.0.1 dev eth0", Towards.ONWARD),
    ("fd00:10:244:1::2", "fd00:10:244:1::/64 via fd00:172:18::3 dev eth0", Towards.ONWARD),
    ("fd00:10:244:7::2", "unreachable fd00:10:244::/56", Towards.NOWHERE),
]


@pytest.mark.parametrize(("to", "text", "towards"), ROUTES)
def test_the_longest_prefix_wins_after_the_machine_s_own(to: str, text: str, towards: Towards) -> None:
    found = node1().route(ip_address(to))
    assert (found.text, found.towards) == (text, towards)


def test_in_a_tunnel_the_next_hop_is_the_other_end() -> None:
    found = node1(fabric=Fabric.VXLAN).route(IPv4Address("10.244.1.2"))
    assert (found.link, found.next_hop) == ("vxlan0", IPv4Address("10.244.1.0"))
    assert found.source == IPv4Address("10.244.0.0")
    assert found.text == "10.244.1.0/24 via 10.244.1.0 dev vxlan0 onlink"


SOURCES = [
    ("cni0", "10.244.0.2", "10.244.0.1"),
    ("eth0", "172.18.0.1", "172.18.0.2"),
    ("cni0", "fd00:10:244::2", "fd00:10:244::1"),
]


@pytest.mark.parametrize(("link", "next_hop", "source"), SOURCES)
def test_a_packet_is_given_an_address_of_the_interface_that_it_leaves_by(link: str, next_hop: str, source: str) -> None:
    assert node1().source(link, ip_address(next_hop)) == ip_address(source)


def test_by_an_interface_without_an_address_it_gets_the_machine_s_first() -> None:
    ptp = node1(pod_link=PodLink.PTP)
    found = ptp.route(ip_address("10.244.0.2"))
    assert found.link.startswith("veth")
    assert found.source == ip_address("172.18.0.2")


def test_addresses_taken_beside_the_links_are_its_own_and_held_by_the_dummy() -> None:
    address: IPAddress = ip_address("10.96.0.80")
    machine = Machine("node/node1", node1().state, frozenset({address}))
    assert machine.route(address).text == "local 10.96.0.80 dev kube-ipvs0"
    assert machine.route(address).source == address
    assert not node1().has(address)


def test_pods_do_not_forward_and_nodes_do() -> None:
    state = Lab().state()
    assert node1().forwards(4)
    assert not Machine("pod/web-1", namespace(state, "web-1")).forwards(4)


def test_only_a_node_s_bridge_leads_through_its_rules() -> None:
    fabric = Machine("fabric", Lab().state().fabric)
    assert node1().filters_bridged(4)
    assert not fabric.filters_bridged(4)
