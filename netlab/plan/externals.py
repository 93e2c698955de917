"""Machines outside the cluster: on the wire like the nodes, but with no route to Pods or Services.

They do have one to the load balancers' addresses, which the nodes answer for: by the first node, as if a router had
learnt it from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.model.names import fabric_namespace
from netlab.model.state import NamespaceState, Route
from netlab.model.topology import Cidr
from netlab.plan.fabric import router_neighbours
from netlab.plan.routes import default_routes
from netlab.plan.stations import WIRE, Station, wire_addresses, wire_links, wire_neighbours
from netlab.plan.sysctls import host_sysctls


def external_namespace(
    station: Station, *, stations: Sequence[Station], lab: str, wire: Sequence[Cidr], balancers: Sequence[Route] = ()
) -> NamespaceState:
    """An external's namespace: what is neither on the wire nor among `balancers` goes to the fabric's router."""
    fabric = fabric_namespace(lab)
    return NamespaceState(
        name=station.namespace,
        sysctls=host_sysctls(ipv6=any(cidr.version == 6 for cidr in wire)),
        links=wire_links(station, fabric=fabric),
        addresses=wire_addresses(station),
        routes=(*default_routes(wire), *balancers),
        neighbours=(
            *router_neighbours(fabric, wire=wire),
            *wire_neighbours(stations, link=WIRE, besides=station),
        ),
    )


def routes_to_balancers(pools: Sequence[Cidr], nodes: Sequence[Station]) -> tuple[Route, ...]:
    """The way from outside to the addresses of load balancers: by the first node that has an address of the family."""
    return tuple(
        Route(destination=pool, via=via, link=WIRE)
        for pool in pools
        if (via := next((address for node in nodes if (address := node.address(pool.version))), None))
    )
