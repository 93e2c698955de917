"""What a namespace holds otherwise than planned, in words, and the command that puts it right."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest
from trace_files import lab

from netlab.model.drift import DriftKind
from netlab.model.state import Address, NamespaceState, Route, Sysctl
from netlab.plan.drift import drifts

TRACED = lab("two-nodes")
WANTED = TRACED.state.namespaces
PLACES = {name: machine.at for name, machine in TRACED.machines.items()}
NODE, POD = "two-nodes.node1", "two-nodes.web-1"


def told(name: str, **otherwise: object) -> list[tuple[DriftKind, str, str]]:
    """What is said where one namespace has other values than planned."""
    seen = tuple(replace(state, **otherwise) if state.name == name else state for state in WANTED)  # type: ignore[arg-type]
    return [(each.kind, each.text, each.remedy) for each in drifts(seen, WANTED, PLACES)]


def state(name: str) -> NamespaceState:
    return next(each for each in WANTED if each.name == name)


def test_where_all_is_as_planned_there_is_nothing_to_say() -> None:
    assert drifts(WANTED, WANTED, PLACES) == ()


def test_a_setting_is_told_with_both_values() -> None:
    key = "net/ipv4/conf/all/forwarding"
    settings = tuple(replace(each, value="0") if each.key == key else each for each in state(NODE).sysctls)
    assert told(NODE, sysctls=settings) == [
        (DriftKind.SETTING, f"node/node1: {key} is 0, not 1", f"netlab exec node/node1 -- sysctl -qw {key}=1")
    ]


def test_a_setting_that_the_kernel_does_not_have_is_told_too() -> None:
    said = told(NODE, sysctls=(Sysctl("net/ipv4/conf/all/forwarding", "1"),))
    assert "node/node1: net/bridge/bridge-nf-call-iptables is not there, not 1" in [text for _, text, _ in said]


def test_a_route_is_told_as_it_is_and_as_it_should_be() -> None:
    routes = [each for each in state(NODE).routes if each.destination != ip_network("10.244.1.0/24")]
    one = "node/node1: there is no route to 10.244.1.0/24, not 10.244.1.0/24 via 172.18.0.3 dev eth0"
    remedy = "netlab exec node/node1 -- ip route replace 10.244.1.0/24 via 172.18.0.3 dev eth0"
    assert told(NODE, routes=tuple(routes)) == [(DriftKind.ROUTE, one, remedy)]
    extra = Route(destination=ip_network("172.18.0.4/32"), link="cni0")
    assert told(NODE, routes=(*state(NODE).routes, extra)) == [
        (
            DriftKind.ROUTE,
            "node/node1: nobody planned the route to 172.18.0.4/32",
            "netlab exec node/node1 -- ip route delete 172.18.0.4/32 dev cni0",
        )
    ]


@pytest.mark.parametrize(
    ("field", "value", "kind", "text"),
    [
        ("mtu", 1400, DriftKind.MTU, "the MTU of {port} is 1400, not 1500"),
        ("hairpin", False, DriftKind.HAIRPIN, "hairpin mode of {port} is off, not on"),
        ("up", False, DriftKind.LINK, "{port} is down, not up"),
        ("master", None, DriftKind.LINK, "{port} is no port of a bridge, not of cni0"),
        ("mac", "02:00:00:00:00:01", DriftKind.LINK, "the MAC of {port} is 02:00:00:00:00:01, not {mac}"),
    ],
)
def test_an_interface_is_told_by_what_of_it_is_otherwise(field: str, value: object, kind: DriftKind, text: str) -> None:
    port = next(each for each in state(NODE).links if each.master == "cni0")
    links = tuple(replace(each, **{field: value}) if each is port else each for each in state(NODE).links)  # type: ignore[arg-type]
    said = [(found, words) for found, words, _ in told(NODE, links=links)]
    assert said == [(kind, "node/node1: " + text.format(port=port.name, mac=port.mac))]


def test_an_address_that_is_anothers_names_whose_it_is_and_nothing_that_only_goes_with_it() -> None:
    twin = Address("eth0", ip_interface("10.244.1.2/32"))
    assert told(POD, addresses=(*state(POD).addresses, twin)) == [
        (
            DriftKind.DUPLICATE,
            "pod/web-1: eth0 has 10.244.1.2, which is the address of pod/web-2",
            "netlab exec pod/web-1 -- ip address delete 10.244.1.2/32 dev eth0",
        )
    ]


def test_a_namespace_that_is_gone_is_said_to_be() -> None:
    seen = tuple(each for each in WANTED if each.name != POD)
    said = [(each.kind, each.text) for each in drifts(seen, WANTED, PLACES)]
    assert said[0] == (DriftKind.NAMESPACE, "pod/web-1: its network namespace is gone")


def test_the_wire_is_in_no_place_that_commands_reach_so_ip_is_told_its_namespace() -> None:
    fabric = "two-nodes.fabric"
    found = told(fabric, sysctls=())
    assert found[0][2].startswith(f"ip netns exec {fabric} sysctl -qw ")
