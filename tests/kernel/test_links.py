"""Steps carried out by the kernel, and read back: what was wanted is there, again and again, and nothing else moves."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from fabric_kernel import same
from fabric_lab import DUAL_STACK, LAB, WEB, Lab

from netlab.errors import KernelError, NotFound
from netlab.kernel import links, namespaces, readback
from netlab.model.state import Address, LabState, Link, NamespaceState, Route, Sysctl, Veth
from netlab.model.topology import Fabric, PodLink
from netlab.plan.commands import command
from netlab.plan.diff import diff
from netlab.plan.steps import (
    AddAddress,
    AddNamespace,
    AddRoute,
    DeleteAddress,
    DeleteLink,
    DeleteNamespace,
    DeleteRoute,
    SetSysctl,
    SetTable,
    Step,
)
from netlab.proxy.save_text import save_text

pytestmark = pytest.mark.root

DESIGNS = [
    pytest.param(Lab(families=families, fabric=fabric, pod_link=link), id=f"{'+'.join(families)} {fabric} {link}")
    for families in (("IPv4",), ("IPv6",), DUAL_STACK)
    for fabric in Fabric
    for link in PodLink
]
X = f"{LAB}.x"


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    namespaces.delete_lab(LAB)


def bring(state: LabState) -> LabState:
    """Make it so, from what is there."""
    links.apply(diff(readback.read(LAB), state.namespaces))
    return state


def home() -> int:
    return os.stat(namespaces.THREAD_NAMESPACE).st_ino


def ip(place: str, arguments: str) -> str:
    command = ["ip", "-n", f"{LAB}.{place}", *arguments.split()]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("lab", DESIGNS)
def test_what_was_made_is_read_back_as_it_was_wanted(lab: Lab) -> None:
    before = home()
    state = bring(lab.state())
    assert {seen.name for seen in readback.read(LAB)} == {wanted.name for wanted in state.namespaces}
    assert diff(readback.read(LAB), state.namespaces) == ()
    assert home() == before


def test_a_plan_pasted_into_a_shell_makes_the_same_lab() -> None:
    state = Lab(families=DUAL_STACK, fabric=Fabric.VXLAN).state()
    script = "\n".join(shell(step) for step in diff((), state.namespaces))
    subprocess.run(["sh", "-e"], input=script, text=True, check=True)
    pasted = readback.read(LAB)
    assert diff(pasted, state.namespaces) == ()
    namespaces.delete_lab(LAB)
    bring(state)
    assert same(readback.read(LAB), pasted)


def shell(step: Step) -> str:
    """A step as a shell's line, rules as text."""
    if not isinstance(step, SetTable):
        return command(step)
    program = "iptables-legacy-restore" if step.table.family == "IPv4" else "ip6tables-legacy-restore"
    return f"ip netns exec {step.namespace} {program} --noflush <<'END'\n{save_text((step.table,))}END"


def test_namespaces_are_those_of_ip_netns() -> None:
    bring(Lab().state())
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    assert {f"{LAB}.web-1", f"{LAB}.fabric"} <= {line.split()[0] for line in listed.splitlines()}
    subprocess.run(["ip", "netns", "add", X], check=True)
    assert X in namespaces.names_of(LAB)
    assert "inet 10.244.0.2/24" in ip("web-1", "address show dev eth0")


def test_a_pod_comes_and_goes_while_the_others_stay() -> None:
    lab = Lab()
    bring(lab.state())
    before = {name: os.stat(namespaces.DIRECTORY / name).st_ino for name in namespaces.names_of(LAB)}
    more = bring(lab.state({**WEB, "web-3": "node1"}))
    assert diff(readback.read(LAB), more.namespaces) == ()
    bring(lab.state())
    assert {name: os.stat(namespaces.DIRECTORY / name).st_ino for name in namespaces.names_of(LAB)} == before


def test_a_pod_of_the_same_name_comes_at_once_after_the_old_one_whose_cable_still_dies() -> None:
    lab = Lab()
    state = bring(lab.state())
    for _ in range(5):
        fewer = lab.state({"web-2": "node2"})
        links.apply(diff(state.namespaces, fewer.namespaces))
        links.apply(diff(fewer.namespaces, state.namespaces))
        assert diff(readback.read(LAB), state.namespaces) == ()


@pytest.mark.parametrize("stop", range(0, 130, 7))
def test_after_a_kill_at_any_step_the_rest_follows(stop: int) -> None:
    state = Lab(families=DUAL_STACK, fabric=Fabric.VXLAN).state()
    links.apply(diff((), state.namespaces)[:stop])
    bring(state)
    assert diff(readback.read(LAB), state.namespaces) == ()


def test_a_name_left_without_a_namespace_is_used_or_deleted() -> None:
    namespaces.DIRECTORY.mkdir(exist_ok=True)
    (namespaces.DIRECTORY / f"{LAB}.web-1").touch()
    assert readback.read(LAB) == ()
    state = bring(Lab().state())
    assert diff(readback.read(LAB), state.namespaces) == ()
    (namespaces.DIRECTORY / f"{LAB}.stale").touch()
    assert f"{LAB}.stale" in namespaces.delete_lab(LAB)
    assert not list(namespaces.DIRECTORY.glob(f"{LAB}.*"))


DRIFTS = [
    pytest.param("node1", "route delete default", id="a node has no way out"),
    pytest.param("node1", "route delete 10.244.1.0/24", id="a node does not know where another's Pods are"),
    pytest.param("node1", "link set eth0 down", id="a node is cut off"),
    pytest.param("node1", "address flush dev cni0", id="a bridge loses its address"),
    pytest.param("node1", "link delete cni0", id="a bridge is deleted"),
    pytest.param("web-1", "link delete eth0", id="a Pod's cable is cut"),
    pytest.param("web-1", "address add 10.244.0.99/24 dev eth0", id="a Pod gets a second address"),
    pytest.param("web-1", "link set eth0 address 02:00:00:00:00:99", id="a Pod gets another MAC"),
    pytest.param("web-1", "route replace default via 10.244.0.77", id="a Pod gets another gateway"),
    pytest.param("node2", "route add 10.99.0.0/16 via 172.18.0.2", id="a node gets a route"),
    pytest.param("node2", "link set vxlan0 down", id="a tunnel is down"),
    pytest.param("node2", "neighbour flush all nud permanent", id="a node forgets every MAC"),
    pytest.param("fabric", "link set node1 nomaster", id="a machine's port is out of the switch"),
    pytest.param("fabric", "link set br0 mtu 1300", id="the switch takes only small packets"),
]


@pytest.mark.parametrize(("place", "change"), DRIFTS)
def test_what_somebody_changed_by_hand_is_seen_and_put_right(place: str, change: str) -> None:
    state = bring(Lab(families=DUAL_STACK, fabric=Fabric.VXLAN).state())
    ip(place, change)
    assert diff(readback.read(LAB), state.namespaces)
    bring(state)
    assert diff(readback.read(LAB), state.namespaces) == ()


def test_rules_of_ours_that_somebody_flushed_are_seen_and_put_back_and_others_stay() -> None:
    state = bring(Lab().state())
    at_node = ["ip", "netns", "exec", f"{LAB}.node1", "iptables-legacy", "-t", "nat"]
    subprocess.run([*at_node, "-F", "NETLAB-MASQ"], check=True)
    subprocess.run([*at_node, "-A", "OUTPUT", "-j", "ACCEPT"], check=True)
    steps = diff(readback.read(LAB), state.namespaces)
    assert [type(step) for step in steps] == [SetTable]
    links.apply(steps)
    assert diff(readback.read(LAB), state.namespaces) == ()
    subprocess.run([*at_node, "-C", "OUTPUT", "-j", "ACCEPT"], check=True)


def test_looking_at_a_namespace_does_not_put_tables_into_it() -> None:
    bring(Lab().state())
    readback.read(LAB)
    with namespaces.Namespaces() as visit:
        visit.enter(f"{LAB}.web-1")
        assert Path("/proc/thread-self/net/ip_tables_names").read_text() == ""


WRONG = [
    pytest.param(
        AddAddress(X, Address("eth9", ip_interface("10.0.0.1/8"))),
        errno.ENODEV,
        f"ip -n {X} address replace 10.0.0.1/8 dev eth9",
        id="no such interface",
    ),
    pytest.param(
        AddRoute(X, Route(destination=ip_network("10.0.0.0/8"), via=ip_address("10.9.9.9"), link="lo")),
        errno.ENETUNREACH,
        f"ip -n {X} route replace 10.0.0.0/8 via 10.9.9.9 dev lo in {X}: .*invalid gateway",
        id="no way to the next hop; the kernel's own words too",
    ),
    pytest.param(
        SetSysctl(X, Sysctl("net/ipv4/no_such_setting", "1")),
        errno.ENOENT,
        "sysctl -w net/ipv4/no_such_setting=1",
        id="no such setting",
    ),
    pytest.param(AddNamespace(X), errno.EEXIST, f"ip netns add {X}", id="it exists"),
]


@pytest.mark.parametrize(("step", "number", "words"), WRONG)
def test_a_step_that_the_kernel_refuses_is_named_as_a_command(step: Step, number: int, words: str) -> None:
    before = home()
    links.apply([AddNamespace(X), *diff((NamespaceState(name=X, links=()),), (NamespaceState(name=X, links=()),))])
    ip("x", "link set lo up")
    with pytest.raises(KernelError, match=words) as refusal:
        links.apply([step])
    assert (refusal.value.number, refusal.value.where) == (number, X)
    assert home() == before


def test_a_namespace_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match=f"no network namespace {X}"):
        links.apply([DeleteRoute(X, Route(destination=ip_network("10.0.0.0/8")))])
    with pytest.raises(NotFound):
        readback.read_namespaces([X])


def test_what_is_gone_already_can_be_deleted() -> None:
    links.apply([AddNamespace(X)])
    nowhere = Link(name="eth9", mac="02:00:00:00:00:01")
    steps: list[Step] = [
        DeleteAddress(X, Address("lo", ip_interface("10.9.9.9/32"))),
        DeleteAddress(X, Address("eth9", ip_interface("10.9.9.9/32"))),
        DeleteRoute(X, Route(destination=ip_network("10.9.0.0/16"))),
        DeleteLink(X, nowhere),
        DeleteNamespace(X),
        DeleteNamespace(X),
    ]
    links.apply(steps)
    assert namespaces.names_of(LAB) == ()


def test_a_lab_s_namespaces_are_its_own_by_the_whole_name() -> None:
    links.apply([AddNamespace(X), AddNamespace(f"{LAB}x.y")])
    try:
        assert namespaces.names_of(LAB) == (X,)
    finally:
        namespaces.delete_lab(f"{LAB}x")


def test_a_cable_to_nowhere_of_the_lab_is_seen_as_such() -> None:
    subprocess.run(["ip", "netns", "add", X], check=True)
    subprocess.run(["ip", "netns", "add", "nlfab-other"], check=True)
    try:
        ip("x", "link add here type veth peer name there netns nlfab-other")
        (state,) = readback.read(LAB)
        link = state.link("here")
        assert isinstance(link, Veth)
        assert (link.peer_namespace, link.peer) == ("", "")
    finally:
        subprocess.run(["ip", "netns", "delete", "nlfab-other"], check=True)
