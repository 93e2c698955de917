"""Routes between nodes, as the plan has them, and as ip-route(8) spells them."""

from __future__ import annotations

from netlab.faults.fault import unfit
from netlab.model.cluster import ClusterView
from netlab.model.objects import Node
from netlab.model.rules import IPAddress
from netlab.model.state import Route
from netlab.plan.routes import routes_to_pods
from netlab.plan.stations import Station, node_station, router_addresses


def station(view: ClusterView, node: Node) -> Station:
    """The node as a machine on the wire."""
    return node_station(node, lab=view.lab, wire=view.topology.spec.network.node_cidrs)


def routes_to_others(view: ClusterView, node: Node) -> tuple[Route, ...]:
    """The node's routes to the Pods of other nodes. InvalidInput where there are none."""
    here = station(view, node)
    others = [station(view, each) for each in view.nodes if each.metadata.name != node.metadata.name]
    routes = routes_to_pods(here, others, fabric=view.topology.spec.network.fabric)
    if not routes:
        raise unfit("there is no other node")
    return routes


def router(view: ClusterView, version: int) -> IPAddress:
    """The address of the wire's router, which leads nowhere."""
    known = router_addresses(view.topology.spec.network.node_cidrs)
    return next(each.ip for each in known if each.version == version)


def spelled(route: Route) -> str:
    """`10.244.1.0/24 via 172.18.0.3 dev eth0`."""
    via = f" via {route.via}" if route.via else ""
    return f"{route.destination}{via} dev {route.link}{' onlink' if route.onlink else ''}"
