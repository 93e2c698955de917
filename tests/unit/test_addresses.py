"""Who gets which address."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from netlab.errors import InvalidInput
from netlab.model.objects import ObjectMeta
from netlab.model.topology import Topology
from netlab.plan.addresses import PodAddresses, complete, node_port_band, overlapping, service_band


def a_topology(**spec: object) -> Topology:
    return Topology.model_validate({"metadata": ObjectMeta(name="lab"), "spec": spec})


def addresses(topology: Topology) -> dict[str, tuple[str, ...]]:
    return {machine.name: machine.addresses for machine in (*topology.spec.nodes, *topology.spec.externals)}


def shares(topology: Topology) -> dict[str, list[str]]:
    return {node.name: [str(cidr) for cidr in node.pod_cidrs] for node in topology.spec.nodes}


DUAL_STACK = {"podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"], "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"]}


def test_nodes_then_externals_get_addresses_in_the_order_of_the_file_after_the_routers() -> None:
    completed = complete(a_topology(nodes=[{"name": "b"}, {"name": "a"}], externals=[{"name": "client"}]))
    assert addresses(completed) == {"b": ("172.18.0.2",), "a": ("172.18.0.3",), "client": ("172.18.0.4",)}
    assert shares(completed) == {"b": ["10.244.0.0/24"], "a": ["10.244.1.0/24"]}


def test_a_dual_stack_node_gets_an_address_and_a_share_of_each_family() -> None:
    completed = complete(a_topology(network=DUAL_STACK, nodes=[{"name": "n", "addresses": ["172.18.0.9"]}]))
    assert addresses(completed) == {"n": ("172.18.0.9", "fd00:172:18::2")}
    assert shares(completed) == {"n": ["10.244.0.0/24", "fd00:10:244::/64"]}


def test_an_address_or_share_that_the_file_gives_is_given_to_nobody_else() -> None:
    nodes = [{"name": "a"}, {"name": "b", "addresses": ["172.18.0.2"], "podCIDRs": ["10.244.0.0/23"]}]
    completed = complete(a_topology(nodes=nodes))
    assert addresses(completed) == {"a": ("172.18.0.3",), "b": ("172.18.0.2",)}
    assert shares(completed) == {"a": ["10.244.2.0/24"], "b": ["10.244.0.0/23"]}


def test_a_node_added_in_front_moves_nobody() -> None:
    before = complete(a_topology(nodes=[{"name": "a"}], externals=[{"name": "client"}]))
    after = complete(a_topology(nodes=[{"name": "new"}, {"name": "a"}], externals=[{"name": "client"}]), before)
    assert addresses(after) == {"new": ("172.18.0.4",), "a": ("172.18.0.2",), "client": ("172.18.0.3",)}
    assert shares(after) == {"new": ["10.244.1.0/24"], "a": ["10.244.0.0/24"]}


def test_an_address_that_the_file_now_gives_to_another_makes_its_holder_move() -> None:
    before = complete(a_topology(nodes=[{"name": "a"}]))
    after = complete(a_topology(nodes=[{"name": "a"}, {"name": "b", "addresses": ["172.18.0.2"]}]), before)
    assert addresses(after) == {"a": ("172.18.0.3",), "b": ("172.18.0.2",)}


def test_what_a_removed_node_had_is_free_again() -> None:
    before = complete(a_topology(nodes=[{"name": "a"}, {"name": "b"}]))
    after = complete(a_topology(nodes=[{"name": "b"}, {"name": "c"}]), before)
    assert addresses(after) == {"b": ("172.18.0.3",), "c": ("172.18.0.2",)}


def test_completing_what_is_complete_changes_nothing() -> None:
    completed = complete(a_topology(network=DUAL_STACK, externals=[{"name": "client"}]))
    assert complete(completed) == completed
    assert complete(completed, completed) == completed


@pytest.mark.parametrize(
    ("network", "nodes", "message"),
    [
        pytest.param({"nodeCIDRs": ["172.18.0.0/30"]}, 2, "172.18.0.0/30 has no address left for n1", id="node range"),
        pytest.param({"podCIDRs": ["10.244.0.0/24"]}, 2, "10.244.0.0/24 has no /24 left for the Pods of n1", id="Pods"),
    ],
)
def test_a_range_that_is_too_small_is_named(network: dict[str, list[str]], nodes: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        complete(a_topology(network=network, nodes=[{"name": f"n{number}"} for number in range(nodes)]))


def test_a_pod_range_smaller_than_a_share_serves_one_node() -> None:
    completed = complete(a_topology(network={"podCIDRs": ["10.244.0.0/26"]}, nodes=[{"name": "n"}]))
    assert shares(completed) == {"n": ["10.244.0.0/26"]}


def test_ranges_that_share_an_address_are_told_in_pairs() -> None:
    ranges = {
        "pods": ip_network("10.0.0.0/8"),
        "services": ip_network("10.96.0.0/12"),
        "nodes": ip_network("172.18.0.0/24"),
        "pods6": ip_network("fd00::/8"),
        "nodes6": ip_network("fd00:172:18::/64"),
    }
    assert overlapping(ranges) == (("pods", "services"), ("pods6", "nodes6"))


@pytest.mark.parametrize(("size", "band"), [(16, 0), (32, 16), (256, 16), (4096, 256), (2**20, 256), (512, 32)])
def test_the_band_of_a_service_range(size: int, band: int) -> None:
    assert service_band(size) == band


@pytest.mark.parametrize(("size", "band"), [(16, 0), (100, 16), (2768, 86), (65535, 128)])
def test_the_band_of_a_node_port_range(size: int, band: int) -> None:
    assert node_port_band(size) == band


def test_a_pod_gets_the_lowest_address_that_nobody_has() -> None:
    pool = PodAddresses(ip_network("10.244.0.0/29"))
    given = []
    while address := pool.lowest():
        pool.use(address)
        given.append(str(address))
    assert given == ["10.244.0.2", "10.244.0.3", "10.244.0.4", "10.244.0.5", "10.244.0.6"]
    pool.free(ip_address("10.244.0.5"))
    pool.free(ip_address("10.244.0.3"))
    assert str(pool.lowest()) == "10.244.0.3"
