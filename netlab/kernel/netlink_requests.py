"""The netlink request of each step. Its numbers are those of <linux/if_link.h>, rtnetlink.h and neighbour.h there."""

from __future__ import annotations

import socket
import struct
from typing import Protocol

from netlab.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, attribute, nested
from netlab.model.rules import IPAddress
from netlab.model.state import Address, Bridge, FdbEntry, Link, Neighbour, Route, RouteKind, Veth, Vxlan
from netlab.plan.steps import (
    AddAddress,
    AddFdbEntry,
    AddLink,
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

RTM_NEWLINK, RTM_DELLINK = 16, 17
RTM_NEWADDR, RTM_DELADDR = 20, 21
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BxxxiHBB")
AF_BRIDGE = 7
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE = 4
IFLA_VXLAN_ID, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_PORT, IFLA_VXLAN_LOCAL6 = 1, 4, 7, 15, 17
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
RT_TABLE_MAIN, RTPROT_UNSPEC, RTPROT_BOOT = 254, 0, 3
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTN_TYPES = {RouteKind.UNICAST: 1, RouteKind.UNREACHABLE: 7}
RTNH_F_ONLINK = 4
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT, NTF_SELF = 0x80, 0x02


class Numbers(Protocol):
    """What a request says by number and a step by name; both raise where there is nothing of that name."""

    def index(self, interface: str) -> int:
        """The number of an interface of the step's namespace."""

    def descriptor(self, namespace: str) -> int:
        """An open file of a namespace."""


def request(step: Step, numbers: Numbers) -> Request:  # noqa: PLR0911 (a table)
    """The request that carries the step out. TypeError: the step is none that netlink does."""
    match step:
        case AddLink(_, link, far):
            return _add_link(link, far, numbers)
        case SetLink(_, link, field):
            return Request(RTM_NEWLINK, 0, _change(link, field, numbers))
        case DeleteLink(_, link):
            return Request(RTM_DELLINK, 0, IFINFOMSG.pack(0, 0, 0, 0, 0) + _name(link))
        case AddAddress(_, address):
            return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _address(address, numbers))
        case DeleteAddress(_, address):
            return Request(RTM_DELADDR, 0, _address(address, numbers))
        case AddRoute(_, route):
            return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _new_route(route, numbers))
        case DeleteRoute(_, route):
            return Request(RTM_DELROUTE, 0, _old_route(route, numbers))
        case AddNeighbour(_, neighbour):
            return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _neighbour(neighbour, numbers))
        case DeleteNeighbour(_, neighbour):
            return Request(RTM_DELNEIGH, 0, _neighbour(neighbour, numbers))
        case AddFdbEntry(_, entry):
            return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, _fdb_entry(entry, numbers))
        case DeleteFdbEntry(_, entry):
            return Request(RTM_DELNEIGH, 0, _fdb_entry(entry, numbers))
    raise TypeError(f"not a step for netlink: {step}")


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _family(address: IPAddress) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _name(link: Link) -> bytes:
    return attribute(IFLA_IFNAME, link.name.encode() + b"\0")


def _end(link: Link, *, up: bool) -> bytes:
    """What is common to every new interface."""
    flags = IFF_UP if up else 0
    return b"".join(
        (
            IFINFOMSG.pack(0, 0, 0, flags, flags),
            _name(link),
            attribute(IFLA_ADDRESS, _mac(link.mac)),
            attribute(IFLA_MTU, _u32(link.mtu)),
        )
    )


def _add_link(link: Link, far: Link | None, numbers: Numbers) -> Request:
    master = attribute(IFLA_MASTER, _u32(numbers.index(link.master))) if link.master else b""
    body = _end(link, up=link.up) + master + nested(IFLA_LINKINFO, *_link_info(link, far, numbers))
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def _link_info(link: Link, far: Link | None, numbers: Numbers) -> tuple[bytes, ...]:
    match link:
        case Bridge():
            return (attribute(IFLA_INFO_KIND, b"bridge"),)
        case Veth() if far is not None:
            namespace = attribute(IFLA_NET_NS_FD, _u32(numbers.descriptor(link.peer_namespace)))
            # The far end cannot be made up: veth has no other end to raise then.
            peer = nested(VETH_INFO_PEER, _end(far, up=False), namespace)
            return attribute(IFLA_INFO_KIND, b"veth"), nested(IFLA_INFO_DATA, peer)
        case Vxlan():
            local = IFLA_VXLAN_LOCAL if link.local.version == 4 else IFLA_VXLAN_LOCAL6
            data = nested(
                IFLA_INFO_DATA,
                attribute(IFLA_VXLAN_ID, _u32(link.vni)),
                attribute(local, link.local.packed),
                attribute(IFLA_VXLAN_PORT, struct.pack("!H", link.port)),
                attribute(IFLA_VXLAN_LEARNING, b"\0"),
            )
            return attribute(IFLA_INFO_KIND, b"vxlan"), data
    raise TypeError(f"not an interface that can be made: {link}")


def _change(link: Link, field: LinkField, numbers: Numbers) -> bytes:
    flags = IFF_UP if field is LinkField.UP else 0
    header = IFINFOMSG.pack(0, 0, 0, IFF_UP if link.up and flags else 0, flags) + _name(link)
    match field:
        case LinkField.MAC:
            return header + attribute(IFLA_ADDRESS, _mac(link.mac))
        case LinkField.MTU:
            return header + attribute(IFLA_MTU, _u32(link.mtu))
        case LinkField.MASTER:
            return header + attribute(IFLA_MASTER, _u32(numbers.index(link.master) if link.master else 0))
        case LinkField.HAIRPIN:
            mode = attribute(IFLA_BRPORT_MODE, bytes((link.hairpin,)))
            port = attribute(IFLA_INFO_SLAVE_KIND, b"bridge"), nested(IFLA_INFO_SLAVE_DATA, mode)
            return header + nested(IFLA_LINKINFO, *port)
        case LinkField.UP:
            return header


def _address(address: Address, numbers: Numbers) -> bytes:
    interface = address.interface
    prefix = interface.network.prefixlen
    header = IFADDRMSG.pack(_family(interface.ip), prefix, 0, RT_SCOPE_UNIVERSE, numbers.index(address.link))
    return header + attribute(IFA_LOCAL, interface.packed) + attribute(IFA_ADDRESS, interface.packed)


def _new_route(route: Route, numbers: Numbers) -> bytes:
    direct = route.via is None and route.kind is RouteKind.UNICAST and route.destination.version == 4
    scope = RT_SCOPE_LINK if direct else RT_SCOPE_UNIVERSE
    return _route(route, numbers, protocol=RTPROT_BOOT, scope=scope)


def _old_route(route: Route, numbers: Numbers) -> bytes:
    return _route(route, numbers, protocol=RTPROT_UNSPEC, scope=RT_SCOPE_NOWHERE)


def _route(route: Route, numbers: Numbers, *, protocol: int, scope: int) -> bytes:
    to = route.destination
    header = RTMSG.pack(
        _family(to.network_address),
        to.prefixlen,
        0,
        0,
        RT_TABLE_MAIN,
        protocol,
        scope,
        RTN_TYPES[route.kind],
        RTNH_F_ONLINK if route.onlink else 0,
    )
    return b"".join(
        (
            header,
            attribute(RTA_DST, to.network_address.packed) if to.prefixlen else b"",
            attribute(RTA_GATEWAY, route.via.packed) if route.via else b"",
            attribute(RTA_OIF, _u32(numbers.index(route.link))) if route.link else b"",
        )
    )


def _neighbour(entry: Neighbour, numbers: Numbers) -> bytes:
    header = NDMSG.pack(_family(entry.address), numbers.index(entry.link), NUD_PERMANENT, 0, 0)
    return header + attribute(NDA_DST, entry.address.packed) + attribute(NDA_LLADDR, _mac(entry.mac))


def _fdb_entry(entry: FdbEntry, numbers: Numbers) -> bytes:
    header = NDMSG.pack(AF_BRIDGE, numbers.index(entry.link), NUD_PERMANENT, NTF_SELF, 0)
    return header + attribute(NDA_LLADDR, _mac(entry.mac)) + attribute(NDA_DST, entry.destination.packed)
