"""Hop 1: the packet leaves the Pod. Its namespace has one interface, and one way out: the gateway on its node."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network

from netlab.model.rules import IPAddress, IPNetwork
from netlab.model.state import Address, Loopback, NamespaceState, Neighbour, Route, Veth
from netlab.model.topology import PodLink
from netlab.plan.bridges import POD_BRIDGE, gateway
from netlab.plan.stations import WIRE, PlacedPod, Station, host_network, mac_address
from netlab.plan.sysctls import host_sysctls

PTP_GATEWAYS: dict[int, IPAddress] = {4: IPv4Address("169.254.1.1"), 6: IPv6Address("fe80::1")}
"""A point-to-point Pod's gateway. Nobody has the address: a permanent neighbour entry makes it the node."""
EVERYWHERE: dict[int, IPNetwork] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
"""The destination of a default route, by IP version."""


def pod_namespace(pod: PlacedPod, *, node: Station, pod_link: PodLink, mtu: int) -> NamespaceState:
    """The Pod's namespace: `eth0` with its addresses, a default route, and the gateway's MAC known beforehand."""
    fill = _on_bridge if pod_link is PodLink.BRIDGE else _point_to_point
    addresses, routes, neighbours = fill(pod, node)
    return NamespaceState(
        name=pod.namespace,
        sysctls=host_sysctls(ipv6=any(address.version == 6 for address in pod.addresses)),
        links=(
            Loopback(),
            Veth(name=WIRE, mac=pod.mac, mtu=mtu, peer_namespace=node.namespace, peer=pod.port),
        ),
        addresses=addresses,
        routes=routes,
        neighbours=neighbours,
    )


Filling = tuple[tuple[Address, ...], tuple[Route, ...], tuple[Neighbour, ...]]


def _on_bridge(pod: PlacedPod, node: Station) -> Filling:
    """The Pods of a node share its range: the others are on the link, everybody else is behind the bridge's address."""
    pairs = [(address, cidr) for address in pod.addresses if (cidr := node.pod_cidr(address.version))]
    mac = mac_address(node.namespace, POD_BRIDGE)
    return (
        tuple(Address(WIRE, ip_interface(f"{address}/{cidr.prefixlen}")) for address, cidr in pairs),
        tuple(Route(destination=EVERYWHERE[cidr.version], via=gateway(cidr), link=WIRE) for _, cidr in pairs),
        tuple(Neighbour(WIRE, gateway(cidr), mac) for _, cidr in pairs),
    )


def _point_to_point(pod: PlacedPod, node: Station) -> Filling:
    """The Pod is alone with its node: even its neighbours are reached through the node's routing table."""
    routes: list[Route] = []
    for address in pod.addresses:
        way_out = PTP_GATEWAYS[address.version]
        if way_out.version == 4:  # IPv6 has fe80::/64 on every link
            routes.append(Route(destination=host_network(way_out), link=WIRE))
        routes.append(Route(destination=EVERYWHERE[address.version], via=way_out, link=WIRE))
    mac = mac_address(node.namespace, pod.port)
    return (
        tuple(Address(WIRE, ip_interface(host_network(address))) for address in pod.addresses),
        tuple(routes),
        tuple(Neighbour(WIRE, PTP_GATEWAYS[address.version], mac) for address in pod.addresses),
    )
