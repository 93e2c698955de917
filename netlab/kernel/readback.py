"""Read back what namespaces hold, as the same values that a plan wants: pyroute2 decodes, this module only chooses.

Left out is what nobody planned and everybody has: loopback and link-local addresses, the routes that the kernel adds
for an address, neighbours that were learnt, interfaces of other kinds. What can be told from a message's fixed header
is left out before it is decoded, which is what takes the time.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from pathlib import Path

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netlab.kernel import iptables_read, sysctls
from netlab.kernel.cables import CableEnd, End, far_ends
from netlab.kernel.iptables_read import SeenTable
from netlab.kernel.namespaces import Namespaces, names_of
from netlab.kernel.netlink import ATTRIBUTE, HEADER, NLA_F_NESTED, RouteSocket, attribute
from netlab.kernel.netlink_requests import (
    IFADDRMSG,
    IFF_UP,
    IFINFOMSG,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    NDMSG,
    NUD_PERMANENT,
    RT_SCOPE_UNIVERSE,
    RT_TABLE_MAIN,
    RTMSG,
    RTN_TYPES,
    RTNH_F_ONLINK,
    RTPROT_BOOT,
)
from netlab.model.rules import Chain, Family, Hook, Jump, Table
from netlab.model.state import (
    Address,
    Bridge,
    FdbEntry,
    Link,
    Loopback,
    NamespaceState,
    Neighbour,
    Route,
    RouteKind,
    Sysctl,
    Veth,
    Vxlan,
)
from netlab.plan.stations import OWNED_CHAINS
from netlab.plan.sysctls import MANAGED

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH = 18, 22, 26, 30
IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS = 29, 8
IFLA_LINK, IFLA_LINK_NETNSID = 5, 37
LINK_ATTRIBUTES = frozenset(
    {IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_LINK_NETNSID}
)
ROUTE_KINDS = {number: kind for kind, number in RTN_TYPES.items()}
PLANNED_TABLES = frozenset({"nat", "filter"})
TABLE_NAMES = {
    Family.IPV4: Path("/proc/thread-self/net/ip_tables_names"),
    Family.IPV6: Path("/proc/thread-self/net/ip6_tables_names"),
}
UNKNOWN_PEER = ""
"""Where the other end of a cable is in no namespace of the lab: in one that is being deleted, for instance."""


def read(lab: str) -> tuple[NamespaceState, ...]:
    """What all namespaces of the lab hold, sorted by name; none where there is no such lab."""
    return read_namespaces(names_of(lab))


def read_namespaces(names: Iterable[str]) -> tuple[NamespaceState, ...]:
    """What the namespaces of those names hold. The far ends of cables are known by name where they are among `names`.

    NotFound: there is no such namespace. KernelError: the kernel refuses to tell.
    """
    with Namespaces() as namespaces:
        readings = [_read(name, namespaces) for name in names]
        ends = far_ends({reading.state.name: reading.cables for reading in readings}, namespaces)
    return tuple(_with_far_ends(reading, ends) for reading in readings)


@dataclass(frozen=True, slots=True)
class _Reading:
    state: NamespaceState
    cables: Sequence[CableEnd]


def _read(name: str, namespaces: Namespaces) -> _Reading:
    namespaces.enter(name)
    with RouteSocket(name) as route:
        messages = _links(route)
        names: dict[int, str] = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
        links = tuple(link for message in messages if (link := _link(message, names)))
        known = {link.name for link in links}
        state = NamespaceState(
            name=name,
            sysctls=tuple(Sysctl(key, value) for key in MANAGED if (value := sysctls.read(key)) is not None),
            links=links,
            addresses=tuple(address for address in _addresses(route, names) if address.link in known),
            routes=tuple(_routes(route, names)),
            neighbours=tuple(entry for entry in _neighbours(route, names) if entry.link in known),
            fdb=tuple(entry for link in links if isinstance(link, Vxlan) for entry in _fdb(route, link)),
            tables=tuple(_tables()),
        )
        cables = [_cable(message) for message in messages if _kind(message) == "veth"]
    return _Reading(state, cables)


def _decode(decoder: type[nlmsg], data: bytes) -> nlmsg:
    message = decoder(data)
    message.decode()
    return message


def _links(route: RouteSocket) -> list[nlmsg]:
    without_statistics = attribute(IFLA_EXT_MASK, struct.pack("=I", RTEXT_FILTER_SKIP_STATS))
    body = IFINFOMSG.pack(0, 0, 0, 0, 0) + without_statistics
    return [_decode(ifinfmsg, _reduced(data)) for data in route.dump(RTM_GETLINK, body)]


def _reduced(data: bytes) -> bytes:
    """An interface's message without the fifty attributes that nobody asks for, and that take long to decode."""
    end = HEADER.size + IFINFOMSG.size
    kept = [data[HEADER.size : end]]
    while end < len(data):
        length, kind = ATTRIBUTE.unpack_from(data, end)
        following = end + ((length + 3) & ~3)
        if kind & ~NLA_F_NESTED in LINK_ATTRIBUTES:
            kept.append(data[end:following])
        end = following
    body = b"".join(kept)
    return HEADER.pack(HEADER.size + len(body), *HEADER.unpack_from(data)[1:]) + body


def _kind(message: nlmsg) -> str | None:
    info = message.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND")) if info else None


def _link(message: nlmsg, names: Mapping[int, str]) -> Link | None:
    """The interface; None if it is of a kind that no plan has."""
    info = message.get_attr("IFLA_LINKINFO")
    name = message.get_attr("IFLA_IFNAME")
    mac, mtu, up = message.get_attr("IFLA_ADDRESS"), message.get_attr("IFLA_MTU"), bool(message["flags"] & IFF_UP)
    port = info.get_attr("IFLA_INFO_SLAVE_DATA") if info else None
    hairpin = bool(port and port.get_attr("IFLA_BRPORT_MODE"))
    master = names.get(message.get_attr("IFLA_MASTER") or 0)
    match "loopback" if name == "lo" else _kind(message):
        case "loopback":
            return Loopback(mtu=mtu, up=up)
        case "bridge":
            return Bridge(name=name, mac=mac, mtu=mtu, master=master, hairpin=hairpin, up=up)
        case "veth":
            far = {"peer_namespace": UNKNOWN_PEER, "peer": UNKNOWN_PEER}
            return Veth(name=name, mac=mac, mtu=mtu, master=master, hairpin=hairpin, up=up, **far)
        case "vxlan":
            data = info.get_attr("IFLA_INFO_DATA")
            local = data.get_attr("IFLA_VXLAN_LOCAL") or data.get_attr("IFLA_VXLAN_LOCAL6") or "0.0.0.0"
            number, port_number = data.get_attr("IFLA_VXLAN_ID"), data.get_attr("IFLA_VXLAN_PORT")
            tunnel = {"vni": number, "local": ip_address(local), "port": port_number}
            return Vxlan(name=name, mac=mac, mtu=mtu, master=master, hairpin=hairpin, up=up, **tunnel)
    return None


def _cable(message: nlmsg) -> CableEnd:
    name, far_index = message.get_attr("IFLA_IFNAME"), message.get_attr("IFLA_LINK") or 0
    return CableEnd(name, message["index"], far_index, message.get_attr("IFLA_LINK_NETNSID"))


def _addresses(route: RouteSocket, names: Mapping[int, str]) -> Iterator[Address]:
    for data in route.dump(RTM_GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0)):
        if IFADDRMSG.unpack_from(data, HEADER.size)[3] != RT_SCOPE_UNIVERSE:
            continue  # loopback's and link-local ones
        message = _decode(ifaddrmsg, data)
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        interface = ip_interface(f"{text}/{message['prefixlen']}")
        if not interface.is_loopback and not interface.is_link_local:
            yield Address(names[message["index"]], interface)


def _routes(route: RouteSocket, names: Mapping[int, str]) -> Iterator[Route]:
    for data in route.dump(RTM_GETROUTE, RTMSG.pack(0, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)):
        protocol, _, number = RTMSG.unpack_from(data, HEADER.size)[5:8]
        kind = ROUTE_KINDS.get(number)
        if kind is None or protocol != RTPROT_BOOT:
            continue
        message = _decode(rtmsg, data)
        via = message.get_attr("RTA_GATEWAY")
        # IPv6 names the loopback interface for a route that leads nowhere.
        device = message.get_attr("RTA_OIF") if kind is RouteKind.UNICAST else None
        yield Route(
            destination=_destination(message),
            via=ip_address(via) if via else None,
            link=names.get(device or 0),
            onlink=bool(message["flags"] & RTNH_F_ONLINK),
            kind=kind,
        )


def _destination(message: nlmsg) -> IPv4Network | IPv6Network:
    everywhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"
    return ip_network(f"{message.get_attr('RTA_DST') or everywhere}/{message['dst_len']}")


def _neighbours(route: RouteSocket, names: Mapping[int, str]) -> Iterator[Neighbour]:
    for data in route.dump(RTM_GETNEIGH, NDMSG.pack(0, 0, 0, 0, 0)):
        if NDMSG.unpack_from(data, HEADER.size)[2] & NUD_PERMANENT:
            message = _decode(ndmsg, data)
            address, mac = message.get_attr("NDA_DST"), message.get_attr("NDA_LLADDR")
            yield Neighbour(names[message["ifindex"]], ip_address(address), mac)


def _fdb(route: RouteSocket, link: Vxlan) -> Iterator[FdbEntry]:
    for data in route.dump(RTM_GETNEIGH, NDMSG.pack(socket.AF_BRIDGE, route.index(link.name), 0, 0, 0)):
        message = _decode(ndmsg, data)
        to = message.get_attr("NDA_DST")
        if to and message["state"] & NUD_PERMANENT:
            yield FdbEntry(link.name, message.get_attr("NDA_LLADDR"), ip_address(to))


def _tables() -> Iterator[Table]:
    """What a plan has put into the tables of the thread's namespace, of those that are in use there at all.

    To look into a table that nobody uses yet would start it, and slow down every packet from then on.
    """
    for family, names in TABLE_NAMES.items():
        for name in PLANNED_TABLES & _listed(names):
            if ours := _ours(iptables_read.read(family, name)):
                yield ours


def _listed(names: Path) -> frozenset[str]:
    """Until the kernel has loaded legacy iptables, which an ordinary user's lab cannot make it do, there is no list."""
    try:
        return frozenset(names.read_text().split())
    except FileNotFoundError:
        return frozenset()


def _ours(seen: SeenTable) -> Table | None:
    chains = [chain for chain in seen.chains if chain.name.startswith(OWNED_CHAINS)]
    names = {chain.name for chain in chains}
    hooks = [
        Hook(chain.name, counted.rule)
        for chain in seen.chains
        for counted in reversed(chain.rules)
        if chain.name not in names and isinstance(counted.rule.target, Jump) and counted.rule.target.chain in names
    ]
    filled = tuple(Chain(chain.name, tuple(counted.rule for counted in chain.rules)) for chain in chains)
    return Table(seen.family, seen.name, chains=filled, hooks=tuple(hooks), owned=(OWNED_CHAINS,)) if chains else None


def _with_far_ends(reading: _Reading, ends: Mapping[End, End]) -> NamespaceState:
    return replace(
        reading.state, links=tuple(_with_far_end(link, reading.state.name, ends) for link in reading.state.links)
    )


def _with_far_end(link: Link, namespace: str, ends: Mapping[End, End]) -> Link:
    if not isinstance(link, Veth) or (namespace, link.name) not in ends:
        return link
    peer_namespace, peer = ends[namespace, link.name]
    return replace(link, peer_namespace=peer_namespace, peer=peer)
