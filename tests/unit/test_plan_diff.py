"""The steps from one state to another lead there, in an order that the kernel takes, and are no more than needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest
from fabric_kernel import FakeKernel, Refused, same
from fabric_lab import DUAL_STACK, WEB, Lab, namespace
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.state import Address, Bridge, LabState, NamespaceState, Neighbour, Route, Sysctl, Veth
from netlab.model.topology import Fabric, PodLink
from netlab.plan.diff import diff
from netlab.plan.steps import AddAddress, AddLink, AddNamespace, AddNeighbour, DeleteLink, DeleteNamespace, Step

EVERY_LINK = [
    pytest.param(
        Lab(families=families, fabric=fabric, pod_link=pod_link), id=f"{'+'.join(families)} {fabric} {pod_link}"
    )
    for families in (("IPv4",), ("IPv6",), DUAL_STACK)
    for fabric in Fabric
    for pod_link in PodLink
]


def carried_out(seen: tuple[NamespaceState, ...], steps: tuple[Step, ...]) -> tuple[NamespaceState, ...]:
    kernel = FakeKernel(seen)
    kernel.apply(steps)
    return kernel.states()


def steps_to(seen: LabState, wanted: LabState) -> tuple[Step, ...]:
    return diff(seen.namespaces, wanted.namespaces)


@pytest.mark.parametrize("lab", EVERY_LINK)
def test_from_nothing_to_a_lab_and_back_to_nothing(lab: Lab) -> None:
    wanted = lab.state().namespaces
    assert same(carried_out((), diff((), wanted)), wanted)
    assert diff(wanted, wanted) == ()
    assert carried_out(wanted, diff(wanted, ())) == ()


@pytest.mark.parametrize("lab", EVERY_LINK)
def test_one_pod_more_is_steps_for_that_pod_alone(lab: Lab) -> None:
    steps = steps_to(lab.state(), lab.state({**WEB, "web-3": "node1"}))
    assert {step.namespace for step in steps} == {"nlfab.web-3", "nlfab.node1"}
    on_node = [step for step in steps if step.namespace == "nlfab.node1"]
    assert sum(isinstance(step, AddLink) for step in on_node) == 1
    ports = len(lab.families) * (2 if lab.pod_link is PodLink.PTP else 1)
    assert len(on_node) == 1 + (lab.pod_link is PodLink.BRIDGE) + ports, on_node


def test_a_pod_that_goes_is_deleted_as_a_namespace_and_its_cable_goes_with_it() -> None:
    lab = Lab()
    steps = steps_to(lab.state(), lab.state({"web-2": "node2"}))
    assert steps[-1] == DeleteNamespace("nlfab.web-1")
    assert not any(isinstance(step, DeleteLink) for step in steps)
    assert {step.namespace for step in steps} == {"nlfab.web-1", "nlfab.node1"}


def test_a_pod_that_comes_back_on_another_node_gets_a_new_cable() -> None:
    lab = Lab()
    before, after = lab.state(), lab.state({"web-1": "node2", "web-2": "node2"})
    assert same(carried_out(before.namespaces, steps_to(before, after)), after.namespaces)


def test_nothing_is_deleted_before_what_replaces_it_is_there() -> None:
    lab = Lab()
    before, after = lab.state({**WEB, "old": "node1"}), lab.state({**WEB, "new": "node2"})
    kinds = [type(step).__name__.startswith("Delete") for step in steps_to(before, after)]
    assert kinds == sorted(kinds)


def test_a_setting_that_nobody_planned_stays() -> None:
    wanted = Lab().state().namespaces
    more = Sysctl("net/ipv4/ip_default_ttl", "9")
    seen = tuple(replace(state, sysctls=(*state.sysctls, more)) for state in wanted)
    assert diff(seen, wanted) == ()


def drifted(
    change: Callable[[NamespaceState], NamespaceState], *, at: str
) -> tuple[LabState, tuple[NamespaceState, ...]]:
    lab = Lab(families=DUAL_STACK, fabric=Fabric.VXLAN).state()
    return lab, tuple(change(state) if state.name == f"nlfab.{at}" else state for state in lab.namespaces)


def without(**what: object) -> Callable[[NamespaceState], NamespaceState]:
    return lambda state: replace(state, **what)  # type: ignore[arg-type]


def with_link(**change: object) -> Callable[[NamespaceState], NamespaceState]:
    """Change the last interface of a namespace."""
    return lambda state: replace(state, links=(*state.links[:-1], replace(state.links[-1], **change)))  # type: ignore[arg-type]


DRIFTS = [
    pytest.param(without(routes=()), "node1", id="a node lost all its routes"),
    pytest.param(without(addresses=(), routes=()), "node1", id="a node lost its addresses, and so its routes"),
    pytest.param(without(neighbours=()), "web-1", id="a Pod forgot its gateway's MAC"),
    pytest.param(without(fdb=()), "node2", id="a tunnel lost its entries"),
    pytest.param(without(tables=()), "node2", id="masquerading was flushed"),
    pytest.param(without(sysctls=()), "node2", id="settings were changed"),
    pytest.param(with_link(hairpin=False), "node1", id="a port is out of hairpin mode"),
    pytest.param(with_link(master=None, hairpin=False), "node1", id="a port is out of its bridge"),
    pytest.param(with_link(mac="02:00:00:00:00:99", mtu=1200), "web-1", id="a Pod's MAC and MTU were changed"),
    pytest.param(with_link(up=False), "web-1", id="a Pod's interface is down"),
]


@pytest.mark.parametrize(("change", "at"), DRIFTS)
def test_what_was_changed_by_hand_is_put_right(change: Callable[[NamespaceState], NamespaceState], at: str) -> None:
    lab, seen = drifted(change, at=at)
    steps = diff(seen, lab.namespaces)
    assert steps
    assert {step.namespace for step in steps} == {f"nlfab.{at}"}
    assert same(carried_out(seen, steps), lab.namespaces)


def test_what_was_added_by_hand_is_taken_away() -> None:
    def more(state: NamespaceState) -> NamespaceState:
        return replace(
            state,
            links=(*state.links, Bridge(name="br9", mac="02:00:00:00:00:09")),
            addresses=(*state.addresses, Address("br9", ip_interface("10.9.0.1/24"))),
            routes=(*state.routes, Route(destination=ip_network("10.10.0.0/16"), link="br9")),
            neighbours=(*state.neighbours, Neighbour("eth0", ip_interface("172.18.0.99").ip, "02:00:00:00:00:08")),
        )

    lab, seen = drifted(more, at="node1")
    assert same(carried_out(seen, diff(seen, lab.namespaces)), lab.namespaces)


def test_a_pod_whose_address_changes_keeps_its_routes() -> None:
    def moved(state: NamespaceState) -> NamespaceState:
        return replace(state, addresses=(Address("eth0", ip_interface("10.244.0.77/24")), state.addresses[1]))

    lab, seen = drifted(moved, at="web-1")
    assert same(carried_out(seen, diff(seen, lab.namespaces)), lab.namespaces)


def test_an_interface_that_is_something_else_is_made_anew() -> None:
    def replaced(state: NamespaceState) -> NamespaceState:
        cni0 = namespace(lab, "node1").link("cni0")
        assert cni0 is not None
        other = Veth(name="cni0", mac=cni0.mac, peer_namespace="", peer="")
        return replace(state, links=tuple(other if link.name == "cni0" else link for link in state.links))

    lab = Lab().state()
    node = replaced(namespace(lab, "node1"))
    seen = tuple(node if state.name == node.name else state for state in lab.namespaces)
    steps = diff(seen, lab.namespaces)
    assert steps[0] == DeleteLink(node.name, replace(node.links[2]))
    assert AddAddress(node.name, Address("cni0", ip_interface("10.244.0.1/24"))) in steps
    assert any(isinstance(step, AddNeighbour) for step in steps)


def test_a_cable_with_one_end_is_refused_by_name() -> None:
    alone = NamespaceState(
        name="nlfab.a", links=(Veth(name="x", mac="02:00:00:00:00:01", peer_namespace="b", peer="y"),)
    )
    with pytest.raises(ValueError, match=r"x in nlfab\.a has no other end y in b"):
        diff((), (alone,))


@given(
    names=st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(("node1", "node2")), max_size=6),
        min_size=2,
        max_size=4,
    ),
    lab=st.sampled_from([param.values[0] for param in EVERY_LINK]),
)
def test_whatever_pods_come_go_and_move_the_steps_lead_there(names: list[dict[str, str]], lab: Lab) -> None:
    kernel = FakeKernel()
    for pods in names:
        wanted = lab.state(pods).namespaces
        kernel.apply(diff(kernel.states(), wanted))
        assert same(kernel.states(), wanted)
        assert diff(kernel.states(), wanted) == ()


@given(stop=st.integers(min_value=0, max_value=200), lab=st.sampled_from([param.values[0] for param in EVERY_LINK]))
def test_wherever_it_was_killed_the_rest_follows(stop: int, lab: Lab) -> None:
    wanted = lab.state().namespaces
    kernel = FakeKernel()
    kernel.apply(diff((), wanted)[:stop])
    kernel.apply(diff(kernel.states(), wanted))
    assert same(kernel.states(), wanted)


def test_the_kernel_of_these_tests_refuses_what_the_real_one_does() -> None:
    kernel = FakeKernel()
    with pytest.raises(Refused, match="No such file"):
        kernel.apply([AddAddress("nlfab.x", Address("eth0", ip_interface("10.0.0.1/8")))])
    with pytest.raises(Refused, match="File exists"):
        kernel.apply([AddNamespace("nlfab.x"), AddNamespace("nlfab.x")])
