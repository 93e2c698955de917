"""The pool of load balancers' addresses: what a lab's file may say of it, and the way there from outside."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from netlab.errors import InvalidInput
from netlab.load import parse_lab
from netlab.model.objects import Node
from netlab.model.topology import Topology
from netlab.plan.addresses import complete
from netlab.plan.compose import lab_state

DUAL_STACK = """
    podCIDRs: [10.244.0.0/16, "fd00:10:244::/56"]
    serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
    nodeCIDRs: [172.18.0.0/24, "fd00:172:18::/64"]
"""


def a_lab(pool: str, network: str = "") -> Topology:
    text = f"apiVersion: netlab/v1\nkind: Topology\nmetadata: {{name: lab}}\nspec:\n  network:\n{network}"
    return parse_lab(f"{text}    loadBalancerCIDRs: {pool}\n  externals: [{{name: client}}]\n", file="lab").topology


def nodes(topology: Topology, *names: str) -> list[Node]:
    """The Node objects of those names, in that order."""
    entries = {entry.name: entry for entry in topology.spec.nodes}
    addresses = {name: [{"type": "InternalIP", "address": a} for a in entries[name].addresses] for name in names}
    return [
        Node.model_validate({"metadata": {"name": name}, "status": {"addresses": addresses[name]}}) for name in names
    ]


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        pytest.param("[10.244.9.0/28]", "10.244.9.0/28 overlaps the Pod range 10.244.0.0/16 (the default)", id="Pods'"),
        pytest.param("[10.100.0.0/28]", "10.100.0.0/28 overlaps the Service range 10.96.0.0/12", id="Services'"),
        pytest.param("[172.18.0.240/28]", "172.18.0.240/28 overlaps the node range 172.18.0.0/24", id="nodes'"),
        pytest.param("[192.0.2.0/28, 192.0.3.0/28]", "192.0.3.0/28 is a second IPv4 range beside", id="a second one"),
        pytest.param("[224.0.0.0/28]", "224.0.0.0/28 overlaps 224.0.0.0/4, which is multicast", id="multicast"),
        pytest.param(
            "['fd00:1::/120']", "is IPv6, and there is no IPv6 Service range", id="of a family without Services"
        ),
    ],
)
def test_a_pool_that_cannot_be_is_refused_at_its_place(pool: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        a_lab(pool)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert (problem.line, problem.path.partition("[")[0]) == (6, "spec.network.loadBalancerCIDRs")


def test_a_lab_may_be_without_a_pool() -> None:
    assert a_lab("[]").spec.network.load_balancer_cidrs == ()


@pytest.mark.parametrize(
    ("pool", "specs", "warnings"),
    [
        pytest.param("[]", [""], ["Service s0 gets no address: the lab has no range for load balancers"], id="no pool"),
        pytest.param("[172.18.255.0/28]", ["", "loadBalancerIP: 172.18.255.3"], [], id="a pool"),
        pytest.param(
            "[172.18.255.0/28]",
            ["loadBalancerIP: 192.0.2.1"],
            ["192.0.2.1 is not in the load balancer range 172.18.255.0/28: nobody will give it out"],
            id="an address outside the pool",
        ),
        pytest.param(
            "[172.18.255.0/28]",
            ["loadBalancerIP: 172.18.255.3", "loadBalancerIP: 172.18.255.3"],
            ["172.18.255.3 goes to Service s0, which asks for it too"],
            id="one address for two",
        ),
        pytest.param("[]", ["loadBalancerClass: example.com/mine"], [], id="somebody else's"),
    ],
)
def test_a_load_balancer_that_will_wait_for_an_address_is_warned_of(
    pool: str, specs: list[str], warnings: list[str]
) -> None:
    topology = f"spec: {{network: {{loadBalancerCIDRs: {pool}}}}}"
    text = f"apiVersion: netlab/v1\nkind: Topology\nmetadata: {{name: lab}}\n{topology}\n"
    for number, spec in enumerate(specs):
        text += f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}}}\n"
        text += f"spec: {{type: LoadBalancer, ports: [{{port: 80}}]{spec and ', '}{spec}}}\n"
    assert [problem.message for problem in parse_lab(text, file="lab").warnings] == warnings


def test_an_external_reaches_the_pool_by_the_first_node_of_the_file_whatever_order_the_nodes_come_in() -> None:
    topology = complete(a_lab("[172.18.255.0/28, 'fd00:172:18:ff::/120']", DUAL_STACK))
    for order in (("node1", "node2"), ("node2", "node1")):
        (external,) = lab_state(topology, nodes(topology, *order), (), "lab").externals
        assert [(route.destination, route.via) for route in external.routes[-2:]] == [
            (ip_network("172.18.255.0/28"), ip_address("172.18.0.2")),
            (ip_network("fd00:172:18:ff::/120"), ip_address("fd00:172:18::2")),
        ]


def test_nodes_and_the_router_have_no_route_to_the_pool() -> None:
    topology = complete(a_lab("[172.18.255.0/28]"))
    state = lab_state(topology, nodes(topology, "node1", "node2"), (), "lab")
    others = [space for space in state.namespaces if space not in state.externals]
    assert len(others) == 3
    assert not any(route.destination == ip_network("172.18.255.0/28") for each in others for route in each.routes)
