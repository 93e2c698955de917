"""The wire: a namespace with a bridge that all machines hang on, and a router that knows nothing but the wire.

Whoever asks the router for an address that is not on the wire, a Pod's or a Service's, is told at once by ICMP that
there is no way there, as a real network's router would. In IPv6 an `unreachable` route does that. In IPv4 Linux answers
a sender for such a route five times and then once a second (ip_error, net/ipv4/route.c), by settings of the whole host:
of a probe's twenty packets fifteen would vanish. A REJECT rule answers every time; the default route is there to bring
the packets as far as that rule, and leads nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.model.names import fabric_namespace
from netlab.model.rules import Chain, Family, Hook, IcmpError, Jump, Reject, Rule, Table
from netlab.model.state import Address, Bridge, Loopback, NamespaceState, Neighbour, Route, RouteKind, Veth
from netlab.model.topology import Cidr
from netlab.plan.pods import EVERYWHERE
from netlab.plan.stations import OWNED_CHAINS, WIRE, Station, mac_address, router_addresses, wire_neighbours
from netlab.plan.sysctls import router_sysctls

WIRE_BRIDGE = "br0"
NO_WAY = OWNED_CHAINS + "NO-WAY"


def router_neighbours(fabric: str, *, wire: Sequence[Cidr]) -> tuple[Neighbour, ...]:
    """What every machine on the wire knows beforehand of the router in the namespace `fabric`."""
    mac = mac_address(fabric, WIRE_BRIDGE)
    return tuple(Neighbour(WIRE, router.ip, mac) for router in router_addresses(wire))


def fabric_state(stations: Sequence[Station], *, lab: str, wire: Sequence[Cidr]) -> NamespaceState:
    """The wire's namespace."""
    name = fabric_namespace(lab)
    return NamespaceState(
        name=name,
        sysctls=router_sysctls(ipv6=any(cidr.version == 6 for cidr in wire), bridged_through_netfilter=False),
        links=(
            Loopback(),
            Bridge(name=WIRE_BRIDGE, mac=mac_address(name, WIRE_BRIDGE)),
            *(_port(station, fabric=name) for station in stations),
        ),
        addresses=tuple(Address(WIRE_BRIDGE, interface) for interface in router_addresses(wire)),
        routes=tuple(_nowhere(cidr) for cidr in wire),
        neighbours=wire_neighbours(stations, link=WIRE_BRIDGE),
        tables=tuple(_refusal(cidr) for cidr in wire if cidr.version == 4),
    )


def _port(station: Station, *, fabric: str) -> Veth:
    return Veth(
        name=station.port,
        mac=mac_address(fabric, station.port),
        master=WIRE_BRIDGE,
        peer_namespace=station.namespace,
        peer=WIRE,
    )


def _nowhere(cidr: Cidr) -> Route:
    if cidr.version == 6:
        return Route(destination=EVERYWHERE[6], kind=RouteKind.UNREACHABLE)
    return Route(destination=EVERYWHERE[4], link=WIRE_BRIDGE)


def _refusal(cidr: Cidr) -> Table:
    refuse = Rule(comment="not on the wire", target=Reject(IcmpError.NET_UNREACHABLE))
    hook = Rule(destination=cidr, destination_inverted=True, target=Jump(NO_WAY))
    return Table(
        family=Family.IPV4,
        name="filter",
        chains=(Chain(NO_WAY, (refuse,)),),
        hooks=(Hook("FORWARD", hook),),
        owned=(OWNED_CHAINS,),
    )
