"""Hop 5: the packet crosses from node to node.

fabric: routed. Every node has a route for every other node's Pod range: by that node's address on the wire. Nothing is
wrapped; a capture on the wire shows the Pods' addresses.

fabric: vxlan. The route leads into a tunnel interface, as flannel's does. Each node's tunnel end has an address, the
first of its Pod range, and three entries lead a packet there: the route (which tunnel end), a permanent neighbour (its
MAC), an FDB entry (the node behind that MAC). The wire sees UDP from node to node.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface

from netlab.model.rules import IPAddress, IPNetwork
from netlab.model.state import ETHERNET_MTU, Address, FdbEntry, Neighbour, Route, RouteKind, Vxlan
from netlab.model.topology import Cidr, Fabric
from netlab.plan.pods import EVERYWHERE
from netlab.plan.stations import WIRE, Station, host_network, mac_address, router_addresses

TUNNEL = "vxlan0"
TUNNEL_NUMBER = 1
"""The VXLAN network identifier, as flannel's."""
OVERHEAD = {4: 50, 6: 70}
"""Bytes that VXLAN puts before a packet, by the outer IP version: outer IP, UDP (8), VXLAN (8), inner Ethernet (14)."""


def pod_mtu(fabric: Fabric, *, wire: Sequence[Cidr]) -> int:
    """The largest packet, in bytes, that a Pod may send so that it fits the wire: 1500, 1450 or 1430."""
    return ETHERNET_MTU if fabric is Fabric.ROUTED else ETHERNET_MTU - OVERHEAD[wire[0].version]


def default_routes(wire: Sequence[Cidr]) -> tuple[Route, ...]:
    """The way to everywhere else: the fabric's router.

    It leads nowhere, since the router refuses what is not on the wire. A node needs it all the same: without any route
    for a Service's address its own packets end (ENETUNREACH) before the rules in OUTPUT can rewrite them.
    """
    return tuple(
        Route(destination=EVERYWHERE[router.version], via=router.ip, link=WIRE) for router in router_addresses(wire)
    )


def routes_to_pods(node: Station, others: Sequence[Station], *, fabric: Fabric) -> tuple[Route, ...]:
    """A route for every other node's Pod ranges."""
    return tuple(
        route
        for other in others
        if other is not node
        for cidr in other.pod_cidrs
        if (route := _route(cidr, other, fabric=fabric))
    )


def no_such_pod(nodes: Sequence[Station], *, pod_cidrs: Sequence[Cidr]) -> tuple[Route, ...]:
    """What of the Pod range no node has, nor (point to point) any Pod of this one, is refused here.

    The router could not: what Pods send to Pods is not masqueraded, and their addresses mean nothing to it. A range
    that one node has wholly is left out, since its own route is the one for that destination.
    """
    shares = {share for node in nodes for share in node.pod_cidrs}
    return tuple(Route(destination=cidr, kind=RouteKind.UNREACHABLE) for cidr in pod_cidrs if cidr not in shares)


def tunnel(node: Station, *, wire: Sequence[Cidr]) -> tuple[Vxlan, ...]:
    """The node's tunnel end; its outer packets are of the wire's first family."""
    local = node.address(wire[0].version)
    if local is None:
        return ()
    mtu = pod_mtu(Fabric.VXLAN, wire=wire)
    return (Vxlan(name=TUNNEL, mac=_tunnel_mac(node), mtu=mtu, vni=TUNNEL_NUMBER, local=local),)


def tunnel_addresses(node: Station) -> tuple[Address, ...]:
    """The addresses of the node's tunnel end: what its own packets to other nodes' Pods come from."""
    return tuple(Address(TUNNEL, ip_interface(host_network(_tunnel_address(cidr)))) for cidr in node.pod_cidrs)


def tunnel_neighbours(node: Station, others: Sequence[Station]) -> tuple[Neighbour, ...]:
    """The MAC of every other tunnel end."""
    return tuple(
        Neighbour(TUNNEL, _tunnel_address(cidr), _tunnel_mac(other))
        for other in others
        if other is not node
        for cidr in other.pod_cidrs
    )


def tunnel_fdb(node: Station, others: Sequence[Station], *, wire: Sequence[Cidr]) -> tuple[FdbEntry, ...]:
    """The node behind every other tunnel end's MAC."""
    return tuple(
        FdbEntry(TUNNEL, _tunnel_mac(other), address)
        for other in others
        if other is not node and (address := other.address(wire[0].version))
    )


def _route(cidr: IPNetwork, other: Station, *, fabric: Fabric) -> Route | None:
    if fabric is Fabric.VXLAN:
        return Route(destination=cidr, via=_tunnel_address(cidr), link=TUNNEL, onlink=True)
    via = other.address(cidr.version)
    return Route(destination=cidr, via=via, link=WIRE) if via else None


def _tunnel_address(cidr: IPNetwork) -> IPAddress:
    return cidr.network_address


def _tunnel_mac(node: Station) -> str:
    return mac_address(node.namespace, TUNNEL)
