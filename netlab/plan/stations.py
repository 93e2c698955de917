"""The machines on the wire between the nodes: who they are and how they are reached, read once from the objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_interface, ip_network

from netlab.model.names import Place, PlaceKind, hashed_interface_name, interface_name, network_namespace
from netlab.model.objects import Node, Pod
from netlab.model.rules import IPAddress, IPNetwork
from netlab.model.state import Address, IPInterface, Loopback, Neighbour, Veth
from netlab.model.topology import Cidr, Topology
from netlab.plan.addresses import router_address

WIRE = "eth0"
"""A machine's interface to the wire, and a Pod's to its node: what learners find in every real Pod."""
OWNED_CHAINS = "NETLAB-"
"""Netfilter chains whose names begin so are a plan's."""
RESERVED_INTERFACES = frozenset({"lo", "br0", "all", "default"})
"""`all` and `default` are folders beside the interfaces' own in /proc/sys/net/ipv4/conf."""


@lru_cache(maxsize=65536)
def mac_address(namespace: str, interface: str) -> str:
    """The interface's MAC: locally administered, the same on every run, so that neighbours can be planned for it."""
    digest = hashlib.sha256(f"{namespace}/{interface}".encode()).hexdigest()
    return ":".join(("02", *(digest[index : index + 2] for index in range(0, 10, 2))))


def host_network(address: IPAddress) -> IPNetwork:
    """The network of one address alone: /32, or /128 in IPv6."""
    return ip_network(address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A machine with an `eth0` on the wire: a node (`pod_cidrs`: its share of the Pod range) or an external."""

    name: str
    namespace: str
    addresses: tuple[IPInterface, ...]
    pod_cidrs: tuple[IPNetwork, ...] = ()

    @property
    def mac(self) -> str:
        """The MAC of `eth0`."""
        return mac_address(self.namespace, WIRE)

    @property
    def port(self) -> str:
        """The fabric's end of the cable, named after the machine where that is possible."""
        spell = hashed_interface_name if self.name in RESERVED_INTERFACES else interface_name
        return spell("port", self.name)

    def address(self, version: int) -> IPAddress | None:
        """The machine's address of that IP version (4 or 6)."""
        return next((interface.ip for interface in self.addresses if interface.version == version), None)

    def pod_cidr(self, version: int) -> IPNetwork | None:
        """The node's Pod range of that IP version (4 or 6)."""
        return next((cidr for cidr in self.pod_cidrs if cidr.version == version), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPod:
    """A Pod that has a node and addresses: its namespace, and `port`, the node's end of its cable."""

    namespace: str
    node: str
    port: str
    addresses: tuple[IPAddress, ...]
    mac: str
    """The MAC of the Pod's `eth0`, by its address: the next Pod that gets the address has the MAC with it.

    Pods on one bridge find one another by ARP. One that has spoken to a Pod which ended goes on sending to its MAC for
    half a minute, and the next Pod of that address would hear no answer from it.
    """


def node_station(node: Node, *, lab: str, wire: Sequence[Cidr]) -> Station:
    """The machine that a Node object stands for: its InternalIPs, each within the wire's range of its family."""
    addresses = [entry.address for entry in node.status.addresses if entry.type == "InternalIP"]
    return Station(
        name=node.metadata.name,
        namespace=network_namespace(lab, Place(PlaceKind.NODE, node.metadata.name)),
        addresses=_on_wire((ip_address(address) for address in addresses), wire=wire),
        pod_cidrs=tuple(ip_network(cidr) for cidr in node.spec.pod_cidrs),
    )


def external_stations(topology: Topology, *, lab: str) -> tuple[Station, ...]:
    """The machines outside the cluster, as far as they have addresses (`plan.addresses.complete` gives them some)."""
    return tuple(
        Station(
            name=external.name,
            namespace=network_namespace(lab, Place(PlaceKind.EXTERNAL, external.name)),
            addresses=_on_wire(map(ip_address, external.addresses), wire=topology.spec.network.node_cidrs),
        )
        for external in topology.spec.externals
    )


def placed_pod(pod: Pod, *, lab: str) -> PlacedPod | None:
    """The Pod's place in the network; None if it has no node or address yet, or uses its node's network."""
    node, name, namespace = pod.spec.node_name, pod.metadata.name, pod.metadata.namespace or "default"
    if not node or not pod.status.pod_ips or pod.spec.host_network:
        return None
    return PlacedPod(
        namespace=network_namespace(lab, Place(PlaceKind.POD, name, namespace)),
        node=node,
        port=hashed_interface_name("veth", f"{namespace}/{name}"),
        addresses=tuple(ip_address(entry.ip) for entry in pod.status.pod_ips),
        mac=mac_address(network_namespace(lab, Place(PlaceKind.NODE, node)), pod.status.pod_ips[0].ip),
    )


def router_addresses(wire: Sequence[Cidr]) -> tuple[IPInterface, ...]:
    """The fabric's own addresses on the wire: the first of each range."""
    return tuple(ip_interface(f"{router_address(cidr)}/{cidr.prefixlen}") for cidr in wire)


def wire_links(station: Station, *, fabric: str) -> tuple[Loopback, Veth]:
    """The links every machine on the wire has: `lo`, and `eth0`, whose other end is a port of the fabric's bridge."""
    return Loopback(), Veth(name=WIRE, mac=station.mac, peer_namespace=fabric, peer=station.port)


def wire_addresses(station: Station) -> tuple[Address, ...]:
    """The machine's addresses on the wire."""
    return tuple(Address(WIRE, interface) for interface in station.addresses)


def wire_neighbours(stations: Iterable[Station], *, link: str, besides: Station | None = None) -> tuple[Neighbour, ...]:
    """What a machine knows beforehand of all others on the wire, so that no packet waits for ARP or NDP.

    Entries that are learnt count towards one limit for the whole host, gc_thresh3; permanent ones do not (arp(7)).
    """
    return tuple(
        Neighbour(link, interface.ip, station.mac)
        for station in stations
        if station is not besides
        for interface in station.addresses
    )


def _on_wire(addresses: Iterable[IPAddress], *, wire: Sequence[Cidr]) -> tuple[IPInterface, ...]:
    return tuple(
        ip_interface(f"{address}/{cidr.prefixlen}") for address in addresses for cidr in wire if address in cidr
    )
