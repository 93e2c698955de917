"""The wire: a namespace with a bridge that all machines hang on, and a router that knows nothing but the wire."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.model.names import fabric_namespace
from netlab.model.state import Address, Bridge, Loopback, NamespaceState, Neighbour, Route, RouteKind, Veth
from netlab.model.topology import Cidr
from netlab.plan.pods import EVERYWHERE
from netlab.plan.stations import WIRE, Station, mac_address, router_addresses, wire_neighbours
from netlab.plan.sysctls import router_sysctls

WIRE_BRIDGE = "br0"


def router_neighbours(fabric: str, *, wire: Sequence[Cidr]) -> tuple[Neighbour, ...]:
    """What every machine on the wire knows beforehand of the router in the namespace `fabric`."""
    mac = mac_address(fabric, WIRE_BRIDGE)
    return tuple(Neighbour(WIRE, router.ip, mac) for router in router_addresses(wire))


def fabric_state(stations: Sequence[Station], *, lab: str, wire: Sequence[Cidr]) -> NamespaceState:
    """The wire's namespace.

    Its router has `unreachable default`: whoever asks it for an address of the Pod or Service range is refused at once
    with ICMP, as a real network's router would.
    """
    name = fabric_namespace(lab)
    ipv6 = any(cidr.version == 6 for cidr in wire)
    return NamespaceState(
        name=name,
        sysctls=router_sysctls(ipv6=ipv6, bridged_through_netfilter=False),
        links=(
            Loopback(),
            Bridge(name=WIRE_BRIDGE, mac=mac_address(name, WIRE_BRIDGE)),
            *(_port(station, fabric=name) for station in stations),
        ),
        addresses=tuple(Address(WIRE_BRIDGE, interface) for interface in router_addresses(wire)),
        routes=tuple(Route(destination=EVERYWHERE[cidr.version], kind=RouteKind.UNREACHABLE) for cidr in wire),
        neighbours=wire_neighbours(stations, link=WIRE_BRIDGE),
    )


def _port(station: Station, *, fabric: str) -> Veth:
    return Veth(
        name=station.port,
        mac=mac_address(fabric, station.port),
        master=WIRE_BRIDGE,
        peer_namespace=station.namespace,
        peer=WIRE,
    )
