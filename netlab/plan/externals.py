"""Machines outside the cluster: on the wire like the nodes, but with no route to Pods or Services."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.model.names import fabric_namespace
from netlab.model.state import NamespaceState
from netlab.model.topology import Cidr
from netlab.plan.fabric import router_neighbours
from netlab.plan.routes import default_routes
from netlab.plan.stations import WIRE, Station, wire_addresses, wire_links, wire_neighbours
from netlab.plan.sysctls import host_sysctls


def external_namespace(
    station: Station, *, stations: Sequence[Station], lab: str, wire: Sequence[Cidr]
) -> NamespaceState:
    """An external's namespace: everything that is not on the wire goes to the fabric's router."""
    fabric = fabric_namespace(lab)
    return NamespaceState(
        name=station.namespace,
        sysctls=host_sysctls(ipv6=any(cidr.version == 6 for cidr in wire)),
        links=wire_links(station, fabric=fabric),
        addresses=wire_addresses(station),
        routes=default_routes(wire),
        neighbours=(
            *router_neighbours(fabric, wire=wire),
            *wire_neighbours(stations, link=WIRE, besides=station),
        ),
    )
