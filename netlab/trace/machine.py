"""One network namespace as a machine that routes: what the kernel makes of its addresses and routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_network

from netlab.model.rules import IPAddress, IPNetwork
from netlab.model.state import Bridge, Link, NamespaceState, Route, RouteKind

FORWARDING = {4: "net/ipv4/conf/all/forwarding", 6: "net/ipv6/conf/all/forwarding"}
BRIDGED_THROUGH = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
LOOPBACKS = {4: ip_network("127.0.0.0/8"), 6: ip_network("::1/128")}


class Towards(StrEnum):
    """Where a route leads."""

    HERE = "here"
    ONWARD = "onward"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class RouteFound:
    """What the routing table says of one address; `text` as `ip route` prints it. `source` is who speaks that way."""

    towards: Towards
    text: str
    link: str = ""
    next_hop: IPAddress | None = None
    source: IPAddress | None = None


@dataclass(frozen=True)
class Machine:
    """A namespace. `at` is its place as journeys name it; `taken` are addresses that it has beside its links'.

    `dummy` is the interface that holds those.
    """

    at: str
    state: NamespaceState
    taken: frozenset[IPAddress] = frozenset()
    dummy: str = "kube-ipvs0"
    settings: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", {each.key: each.value for each in self.state.sysctls})

    @cached_property
    def macs(self) -> dict[tuple[str, IPAddress], str]:
        """The permanent neighbours, by interface and address."""
        return {(each.link, each.address): each.mac for each in self.state.neighbours}

    @cached_property
    def links(self) -> dict[str, Link]:
        return {link.name: link for link in self.state.links}

    def forwards(self, version: int) -> bool:
        """Whether it sends on what is not for it."""
        return self.settings.get(FORWARDING[version]) == "1"

    def filters_bridged(self, version: int) -> bool:
        """Whether what goes from port to port of a bridge passes netfilter."""
        return self.settings.get(BRIDGED_THROUGH[version]) == "1"

    def has(self, address: IPAddress) -> bool:
        """Whether the address is one of its own."""
        return address in self.taken or address in LOOPBACKS[address.version] or address in self._own

    def addresses(self, version: int) -> tuple[IPAddress, ...]:
        """Its links' addresses of that IP version, in their order."""
        return tuple(each.interface.ip for each in self.state.addresses if each.interface.version == version)

    @cached_property
    def _own(self) -> dict[IPAddress, str]:
        return {each.interface.ip: each.link for each in self.state.addresses}

    # --- routing

    def route(self, to: IPAddress) -> RouteFound:
        """The way to an address: the longest prefix wins, and the machine's own addresses come before all."""
        if self.has(to):
            return RouteFound(Towards.HERE, f"local {to} dev {self._holder(to)}", "lo", to, to)
        fitting = [route for route in (*self._connected, *self.state.routes) if to in route.destination]
        if not fitting:
            return RouteFound(Towards.NOWHERE, "no route")
        best = max(fitting, key=lambda route: route.destination.prefixlen)
        if best.kind is RouteKind.UNREACHABLE or best.link is None:
            return RouteFound(Towards.NOWHERE, f"unreachable {_spelled(best.destination)}")
        next_hop = best.via or to
        source = self.source(best.link, next_hop)
        return RouteFound(Towards.ONWARD, self._text(best, source), best.link, next_hop, source)

    def source(self, link: str, next_hop: IPAddress) -> IPAddress | None:
        """The address of its own that a packet out by `link` gets (inet_select_addr(); RFC 6724 in IPv6).

        Of the interface's addresses the one on the next hop's network, else its first. Of an interface without any, the
        machine's first, and in IPv6 the one that has the most bits in common with the next hop.
        """
        own = [each for each in self.state.addresses if each.interface.version == next_hop.version]
        there = [each.interface for each in own if each.link == link]
        near = [each.ip for each in there if next_hop in each.network]
        anywhere = [each.interface.ip for each in own]
        if next_hop.version == 6:
            anywhere.sort(key=lambda address: int(address) ^ int(next_hop))
        return next(iter((*near, *(each.ip for each in there), *anywhere)), None)

    @cached_property
    def _connected(self) -> tuple[Route, ...]:
        """What the kernel adds by itself for an address whose network has room for others."""
        return tuple(
            Route(destination=each.interface.network, link=each.link)
            for each in self.state.addresses
            if each.interface.network.num_addresses > 1
        )

    def _holder(self, address: IPAddress) -> str:
        if address in self.taken:
            return self.dummy
        return self._own.get(address, "lo")

    def _text(self, route: Route, source: IPAddress | None) -> str:
        via = f" via {route.via}" if route.via else ""
        kernels = f" proto kernel scope link src {source}" if route in self._connected else ""
        onlink = " onlink" if route.onlink else ""
        return f"{_spelled(route.destination)}{via} dev {route.link}{kernels}{onlink}"

    # --- bridges

    def ports(self, bridge: str) -> Iterator[Link]:
        """The bridge's ports."""
        return (link for link in self.state.links if link.master == bridge)

    def is_bridge(self, link: str) -> bool:
        return isinstance(self.links.get(link), Bridge)


def _spelled(network: IPNetwork) -> str:
    return "default" if network.prefixlen == 0 else str(network)
