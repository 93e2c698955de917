"""Netlink requests, decoded by pyroute2: each says what its step says, in the tables of another author."""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netlab.kernel.netlink import HEADER, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request
from netlab.kernel.netlink_requests import request
from netlab.model.state import Address, Bridge, FdbEntry, Loopback, Neighbour, Route, RouteKind, Veth, Vxlan
from netlab.plan.steps import (
    AddAddress,
    AddFdbEntry,
    AddLink,
    AddNamespace,
    AddNeighbour,
    AddRoute,
    DeleteAddress,
    DeleteFdbEntry,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    LinkField,
    SetLink,
    Step,
)

DECODERS = {16: ifinfmsg, 17: ifinfmsg, 20: ifaddrmsg, 21: ifaddrmsg, 24: rtmsg, 25: rtmsg, 28: ndmsg, 29: ndmsg}
MAC, FAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
NEAR = Veth(name="veth1", mac=MAC, mtu=1450, master="cni0", hairpin=True, peer_namespace="lab.pod", peer="eth0")
FAR = Veth(name="eth0", mac=FAR_MAC, mtu=1450, peer_namespace="lab.node", peer="veth1")
CREATE, REPLACE = NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_REPLACE


class Numbers:
    """Interface numbers and an open namespace."""

    def index(self, interface: str) -> int:
        return {"eth0": 2, "cni0": 3, "vxlan0": 4}[interface]

    def descriptor(self, namespace: str) -> int:
        return {"lab.pod": 17}[namespace]


def encoded(step: Step) -> Request:
    return request(step, Numbers())


def decoded(step: Step) -> dict[str, Any]:
    """The request as pyroute2 reads it: the header's fields and the attributes, nested ones as dictionaries."""
    made = encoded(step)
    message = DECODERS[made.kind](HEADER.pack(HEADER.size + len(made.body), made.kind, 0, 0, 0) + made.body)
    message.decode()
    return as_record(message)


def as_record(value: Any) -> Any:
    if not hasattr(value, "keys"):
        return value
    fields = {key: value[key] for key in value if key not in {"attrs", "header", "value"}}
    return fields | {name: as_record(inner) for name, inner in value.get("attrs", ())}


def test_a_cable_is_made_with_both_ends_and_the_near_one_up_on_its_bridge() -> None:
    step = AddLink("lab.node", NEAR, FAR)
    message = decoded(step)
    assert encoded(step).flags == CREATE
    assert (message["flags"], message["change"], message["IFLA_IFNAME"], message["IFLA_MASTER"]) == (1, 1, "veth1", 3)
    assert (message["IFLA_ADDRESS"], message["IFLA_MTU"]) == (MAC, 1450)
    info = message["IFLA_LINKINFO"]
    assert info["IFLA_INFO_KIND"] == "veth"
    peer = info["IFLA_INFO_DATA"]["VETH_INFO_PEER"]
    assert (peer["IFLA_IFNAME"], peer["IFLA_ADDRESS"], peer["IFLA_MTU"]) == ("eth0", FAR_MAC, 1450)
    assert (peer["IFLA_NET_NS_FD"], peer["flags"]) == (17, 0)


def test_a_bridge_is_made_up() -> None:
    message = decoded(AddLink("lab.node", Bridge(name="cni0", mac=MAC)))
    assert (message["IFLA_IFNAME"], message["flags"], message["IFLA_ADDRESS"]) == ("cni0", 1, MAC)
    assert message["IFLA_LINKINFO"] == {"IFLA_INFO_KIND": "bridge"}


@pytest.mark.parametrize(("local", "name"), [("172.18.0.2", "IFLA_VXLAN_LOCAL"), ("fd00::2", "IFLA_VXLAN_LOCAL6")])
def test_a_tunnel_end_is_made_with_its_number_port_and_address_and_learns_nothing(local: str, name: str) -> None:
    link = Vxlan(name="vxlan0", mac=MAC, mtu=1450, vni=7, local=ip_address(local), port=4789)
    data = decoded(AddLink("lab.node", link))["IFLA_LINKINFO"]["IFLA_INFO_DATA"]
    assert data == {"IFLA_VXLAN_ID": 7, name: local, "IFLA_VXLAN_PORT": 4789, "IFLA_VXLAN_LEARNING": 0}


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        pytest.param(LinkField.MAC, "IFLA_ADDRESS", MAC, id="its MAC"),
        pytest.param(LinkField.MTU, "IFLA_MTU", 1450, id="its MTU"),
        pytest.param(LinkField.MASTER, "IFLA_MASTER", 3, id="its bridge"),
        pytest.param(LinkField.UP, "flags", 1, id="up"),
    ],
)
def test_an_interface_is_changed_in_one_field_alone(field: LinkField, key: str, value: object) -> None:
    message = decoded(SetLink("lab.node", NEAR, field))
    assert message[key] == value
    assert message["IFLA_IFNAME"] == "veth1"
    assert message["change"] == (1 if field is LinkField.UP else 0)
    assert {name for name in message if name.startswith("IFLA_")} <= {"IFLA_IFNAME", key}


def test_a_port_is_put_in_hairpin_mode_by_its_bridge() -> None:
    info = decoded(SetLink("lab.node", NEAR, LinkField.HAIRPIN))["IFLA_LINKINFO"]
    assert info == {"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": {"IFLA_BRPORT_MODE": 1}}


def test_the_loopback_is_only_turned_on() -> None:
    message = decoded(SetLink("lab.pod", Loopback(), LinkField.UP))
    assert (message["IFLA_IFNAME"], message["flags"], message["change"]) == ("lo", 1, 1)


def test_an_interface_is_deleted_by_name() -> None:
    assert encoded(DeleteLink("lab.node", NEAR)).kind == 17
    assert decoded(DeleteLink("lab.node", NEAR))["IFLA_IFNAME"] == "veth1"


@pytest.mark.parametrize("text", ["10.244.0.2/24", "fd00::2/64"])
@pytest.mark.parametrize(("step", "kind", "flags"), [(AddAddress, 20, REPLACE), (DeleteAddress, 21, 0)])
def test_an_address_comes_and_goes_with_its_prefix(text: str, step: Any, kind: int, flags: int) -> None:
    change = step("lab.pod", Address("eth0", ip_interface(text)))
    message = decoded(change)
    assert (encoded(change).kind, encoded(change).flags) == (kind, flags)
    assert f"{message['IFA_LOCAL']}/{message['prefixlen']}" == text
    assert message["IFA_ADDRESS"] == message["IFA_LOCAL"]
    assert (message["index"], message["family"]) == (2, family(text))


ROUTES = [
    pytest.param(Route(destination=ip_network("0.0.0.0/0"), via=ip_address("10.0.0.1"), link="eth0"), 0, id="default"),
    pytest.param(
        Route(destination=ip_network("::/0"), via=ip_address("fe80::1"), link="eth0"), 0, id="default of IPv6"
    ),
    pytest.param(Route(destination=ip_network("169.254.1.1/32"), link="eth0"), 253, id="on the link"),
    pytest.param(Route(destination=ip_network("fd00::9/128"), link="eth0"), 0, id="on the link in IPv6"),
    pytest.param(Route(destination=ip_network("0.0.0.0/0"), kind=RouteKind.UNREACHABLE), 0, id="unreachable"),
    pytest.param(
        Route(destination=ip_network("10.1.0.0/24"), via=ip_address("10.1.0.0"), link="vxlan0", onlink=True),
        0,
        id="believed to be on the link",
    ),
]


@pytest.mark.parametrize(("route", "scope"), ROUTES)
def test_a_route_has_the_fields_that_ip_route_gives_it(route: Route, scope: int) -> None:
    message = decoded(AddRoute("lab.node", route))
    assert encoded(AddRoute("lab.node", route)).flags == REPLACE
    assert message["dst_len"] == route.destination.prefixlen
    assert message.get("RTA_DST") == (str(route.destination.network_address) if route.destination.prefixlen else None)
    assert message.get("RTA_GATEWAY") == (str(route.via) if route.via else None)
    assert message.get("RTA_OIF") == ({"eth0": 2, "vxlan0": 4}[route.link] if route.link else None)
    assert message["type"] == (7 if route.kind is RouteKind.UNREACHABLE else 1)
    assert (message["scope"], message["table"], message["proto"]) == (scope, 254, 3)
    assert message["flags"] == (4 if route.onlink else 0)


@pytest.mark.parametrize(("route", "scope"), ROUTES)
def test_a_route_is_deleted_whoever_made_it(route: Route, scope: int) -> None:
    message = decoded(DeleteRoute("lab.node", route))
    assert encoded(DeleteRoute("lab.node", route)).kind == 25
    assert (message["scope"], message["proto"]) == (255, 0)
    assert scope != 255


@pytest.mark.parametrize("text", ["10.244.0.2", "fd00::2"])
def test_a_neighbour_is_permanent(text: str) -> None:
    step = AddNeighbour("lab.node", Neighbour("cni0", ip_address(text), MAC))
    message = decoded(step)
    assert encoded(step).flags == REPLACE
    assert (message["NDA_DST"], message["NDA_LLADDR"], message["ifindex"], message["state"]) == (text, MAC, 3, 0x80)
    assert message["family"] == family(text)
    assert encoded(DeleteNeighbour("lab.node", step.neighbour)).kind == 29


@pytest.mark.parametrize("text", ["172.18.0.3", "fd00::3"])
def test_a_tunnels_entry_says_which_machine_is_behind_a_mac(text: str) -> None:
    step = AddFdbEntry("lab.node", FdbEntry("vxlan0", MAC, ip_address(text)))
    message = decoded(step)
    assert (message["NDA_DST"], message["NDA_LLADDR"], message["ifindex"]) == (text, MAC, 4)
    assert (message["family"], message["state"], message["flags"]) == (7, 0x80, 2)
    assert encoded(DeleteFdbEntry("lab.node", step.entry)).kind == 29


def test_what_netlink_does_not_do_is_refused() -> None:
    with pytest.raises(TypeError, match="not a step for netlink"):
        encoded(AddNamespace("lab.node"))


def family(text: str) -> int:
    return socket.AF_INET if ipaddress.ip_interface(text).version == 4 else socket.AF_INET6
