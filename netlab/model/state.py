"""What a lab's network namespaces hold. One type for what is wanted and for what is read back from the kernel.

`plan` computes these values, `plan.diff` compares two of them, `kernel` makes one true and reads one back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface

from netlab.model.rules import IPAddress, IPNetwork, Table

IPInterface = IPv4Interface | IPv6Interface
"""An address with the length of its network's prefix."""
LOOPBACK_MTU = 65536
ETHERNET_MTU = 1500


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting of one namespace. `key` is its path below /proc/sys, with slashes, which sysctl(8) takes too."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What every interface has. `mac` is lower case with colons, `mtu` in bytes, `master` the bridge it is a port of.

    `hairpin`: the bridge may send a frame back out of this port, as a Pod that reaches itself through a Service needs.
    """

    name: str
    mac: str
    mtu: int = ETHERNET_MTU
    master: str | None = None
    hairpin: bool = False
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback(Link):
    """`lo`: there from the beginning in every namespace, but down."""

    name: str = "lo"
    mac: str = "00:00:00:00:00:00"
    mtu: int = LOOPBACK_MTU


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge(Link):
    """A learning switch in software, and the namespace's own interface to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Veth(Link):
    """One end of a virtual cable; the other end is the interface `peer` of the namespace `peer_namespace`."""

    peer_namespace: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan(Link):
    """A tunnel end: Ethernet frames travel in UDP packets from `local` to where the FDB entries say (RFC 7348)."""

    vni: int
    local: IPAddress
    port: int = 4789


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the interface `link`."""

    link: str
    interface: IPInterface


class RouteKind(StrEnum):
    """unicast: send it on. unreachable: refuse it at once with an ICMP error."""

    UNICAST = "unicast"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A line of the main routing table that somebody wrote; those that the kernel adds for an address are left out.

    `onlink`: believe that `via` is on `link` although no address says so.
    """

    destination: IPNetwork
    via: IPAddress | None = None
    link: str | None = None
    onlink: bool = False
    kind: RouteKind = RouteKind.UNICAST


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent entry of the neighbour table: `address` on `link` has that MAC, no need to ask (ARP, NDP)."""

    link: str
    address: IPAddress
    mac: str


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """A forwarding entry of a VXLAN interface: frames for `mac` go to the machine at `destination`."""

    link: str
    mac: str
    destination: IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceState:
    """One network namespace. `name` is the kernel's, as `ip netns` shows it.

    Of `sysctls`, `tables`, routes and neighbours it holds only what netlab takes care of.
    """

    name: str
    sysctls: tuple[Sysctl, ...] = ()
    links: tuple[Link, ...] = (Loopback(),)
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    tables: tuple[Table, ...] = ()

    def link(self, name: str) -> Link | None:
        """The interface of that name, if there is one."""
        return next((link for link in self.links if link.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node: its own namespace, and one for each of its Pods. `name` is the Node object's."""

    name: str
    namespace: NamespaceState
    pods: tuple[NamespaceState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """A whole lab: the wire between the nodes, the nodes with their Pods, the machines outside the cluster."""

    lab: str
    fabric: NamespaceState
    nodes: tuple[NodeState, ...] = ()
    externals: tuple[NamespaceState, ...] = ()

    @property
    def namespaces(self) -> tuple[NamespaceState, ...]:
        """Every namespace, in the order in which they are made: the wire, the nodes, the externals, the Pods."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[NamespaceState]:
        yield self.fabric
        yield from (node.namespace for node in self.nodes)
        yield from self.externals
        for node in self.nodes:
            yield from node.pods
