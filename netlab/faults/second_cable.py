"""A second cable between two nodes: packets come in by it that are answered by the wire, as on many a real machine."""

from __future__ import annotations

from netlab.faults.fault import node_place, unfit
from netlab.faults.steps import Command, Steps, command
from netlab.faults.ways import spelled, station
from netlab.model.cluster import ClusterView
from netlab.model.names import Place
from netlab.model.objects import Node
from netlab.plan.routes import routes_to_pods
from netlab.plan.stations import mac_address

CABLE = "way2"


def second_cable(view: ClusterView, node: Node) -> Steps:
    """What another node sends to this one's Pods comes by a cable of its own from now on; nothing is lost by that.

    InvalidInput where there is no other node, or none of them has an IPv4 address.
    """
    sender = next((each for each in view.nodes if each.metadata.name != node.metadata.name), None)
    if sender is None:
        raise unfit("there is no other node")
    here, there = station(view, node), station(view, sender)
    address, cidr = here.address(4), here.pod_cidr(4)
    if address is None or cidr is None:
        raise unfit("it has no IPv4 address: rp_filter is a setting of IPv4")
    macs = {each: mac_address(each.namespace, CABLE) for each in (here, there)}
    ends = f"{CABLE} address {macs[there]} type veth peer name {CABLE} address {macs[here]} netns {here.namespace}"
    before = next(
        route
        for route in routes_to_pods(there, (here,), fabric=view.topology.spec.network.fabric)
        if route.destination == cidr
    )
    far = node_place(sender)
    return (
        command(far, f"ip link add {ends}", undo=f"ip link delete {CABLE}"),
        *(_up(place) for place in (far, node_place(node))),
        command(far, f"ip neigh replace {address} lladdr {macs[here]} dev {CABLE} nud permanent"),
        command(
            far,
            f"ip route replace {cidr} via {address} dev {CABLE} onlink",
            undo=f"ip route replace {spelled(before)}",
        ),
    )


def _up(place: Place) -> Command:
    return command(place, f"ip link set {CABLE} up")
