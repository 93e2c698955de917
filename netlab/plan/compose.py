"""The whole lab out of its hops: one pure call from the API's objects to what every namespace must hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from netlab.model.objects import Node, Pod
from netlab.model.state import LabState
from netlab.model.topology import Topology
from netlab.plan.externals import external_namespace, routes_to_balancers
from netlab.plan.fabric import fabric_state
from netlab.plan.nodes import Cluster, node_state
from netlab.plan.stations import PlacedPod, external_stations, node_station, placed_pod


def lab_state(topology: Topology, nodes: Sequence[Node], pods: Sequence[Pod], lab: str) -> LabState:
    """What the kernel must hold so that these nodes and Pods are there. Pods that have no node or address yet are not.

    Raises ValueError where an object's address is no address; the API's admission lets none such in.
    """
    network = topology.spec.network
    wire = network.node_cidrs
    externals = external_stations(topology, lab=lab)
    machines = tuple(node_station(node, lab=lab, wire=wire) for node in nodes)
    stations = (*machines, *externals)
    cluster = Cluster(lab=lab, network=network, nodes=machines, stations=stations)
    pods_of = _by_node(pods, lab=lab)
    order = {entry.name: index for index, entry in enumerate(topology.spec.nodes)}
    first_to_last = sorted(machines, key=lambda node: order.get(node.name, len(order)))
    balancers = routes_to_balancers(network.load_balancer_cidrs, first_to_last)
    return LabState(
        lab=lab,
        fabric=fabric_state(stations, lab=lab, wire=wire),
        nodes=tuple(node_state(node, pods=pods_of[node.name], cluster=cluster) for node in machines),
        externals=tuple(
            external_namespace(station, stations=stations, lab=lab, wire=wire, balancers=balancers)
            for station in externals
        ),
    )


def _by_node(pods: Sequence[Pod], *, lab: str) -> defaultdict[str, list[PlacedPod]]:
    placed: defaultdict[str, list[PlacedPod]] = defaultdict(list)
    for pod in pods:
        if spot := placed_pod(pod, lab=lab):
            placed[spot.node].append(spot)
    return placed
