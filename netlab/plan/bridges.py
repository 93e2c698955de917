"""Hop 2: the packet arrives at its node, on a port of the node's bridge, or on a cable of its own (`podLink: ptp`)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface

from netlab.model.rules import IPAddress, IPNetwork
from netlab.model.state import Address, Bridge, Link, Neighbour, Route, Veth
from netlab.model.topology import PodLink
from netlab.plan.stations import WIRE, PlacedPod, Station, host_network, mac_address

POD_BRIDGE = "cni0"
"""The bridge's name in clusters whose Pod network is the CNI bridge plugin or flannel."""


def gateway(cidr: IPNetwork) -> IPAddress:
    """The node's own address on its bridge: the first of its Pod range."""
    return cidr.network_address + 1


def bridge_links(node: Station, pods: Sequence[PlacedPod], *, mtu: int) -> tuple[Link, ...]:
    """The bridge and a port a Pod.

    Ports are in hairpin mode: a Pod that is chosen as the endpoint of a Service it asked itself gets its packet back
    through the port that it came in by, which a bridge refuses otherwise.
    """
    bridge = Bridge(name=POD_BRIDGE, mac=mac_address(node.namespace, POD_BRIDGE), mtu=mtu)
    return (bridge, *(_port(pod, node, mtu=mtu, master=POD_BRIDGE) for pod in pods))


def ptp_links(node: Station, pods: Sequence[PlacedPod], *, mtu: int) -> tuple[Link, ...]:
    """The node's ends of its Pods' cables."""
    return tuple(_port(pod, node, mtu=mtu, master=None) for pod in pods)


def bridge_addresses(node: Station) -> tuple[Address, ...]:
    """The gateway addresses of the node's Pods."""
    return tuple(Address(POD_BRIDGE, ip_interface(f"{gateway(cidr)}/{cidr.prefixlen}")) for cidr in node.pod_cidrs)


def pod_neighbours(pods: Sequence[PlacedPod], *, pod_link: PodLink) -> tuple[Neighbour, ...]:
    """The MAC of each Pod, known beforehand."""
    return tuple(
        Neighbour(POD_BRIDGE if pod_link is PodLink.BRIDGE else pod.port, address, pod.mac)
        for pod in pods
        for address in pod.addresses
    )


def ptp_routes(pods: Sequence[PlacedPod]) -> tuple[Route, ...]:
    """A route a Pod: without a bridge, which cable leads to an address is for the routing table to say."""
    return tuple(Route(destination=host_network(address), link=pod.port) for pod in pods for address in pod.addresses)


def _port(pod: PlacedPod, node: Station, *, mtu: int, master: str | None) -> Veth:
    return Veth(
        name=pod.port,
        mac=mac_address(node.namespace, pod.port),
        mtu=mtu,
        master=master,
        hairpin=master is not None,
        peer_namespace=pod.namespace,
        peer=WIRE,
    )
