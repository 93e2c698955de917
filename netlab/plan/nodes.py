"""A node's namespace, put together from the hops that lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netlab.model.names import fabric_namespace
from netlab.model.state import Address, FdbEntry, Link, NamespaceState, Neighbour, NodeState, Route
from netlab.model.topology import Fabric, Network, PodLink
from netlab.plan import bridges, routes
from netlab.plan.fabric import router_neighbours
from netlab.plan.masquerade import masquerade_tables
from netlab.plan.pods import pod_namespace
from netlab.plan.stations import WIRE, PlacedPod, Station, wire_addresses, wire_links, wire_neighbours
from netlab.plan.sysctls import router_sysctls


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What every node must know of the others. `nodes` are some of `stations`, which are all machines on the wire."""

    lab: str
    network: Network
    nodes: tuple[Station, ...]
    stations: tuple[Station, ...]

    @property
    def tunnelled(self) -> bool:
        """Whether packets to other nodes' Pods are wrapped."""
        return self.network.fabric is Fabric.VXLAN

    @property
    def bridged(self) -> bool:
        """Whether a node's Pods share a bridge."""
        return self.network.pod_link is PodLink.BRIDGE

    @property
    def pod_mtu(self) -> int:
        """The MTU of the Pods' interfaces and the node's ends of them, in bytes."""
        return routes.pod_mtu(self.network.fabric, wire=self.network.node_cidrs)


def node_state(node: Station, *, pods: Sequence[PlacedPod], cluster: Cluster) -> NodeState:
    """The node with its Pods."""
    pod_link, mtu = cluster.network.pod_link, cluster.pod_mtu
    return NodeState(
        name=node.name,
        namespace=_namespace(node, pods, cluster),
        pods=tuple(pod_namespace(pod, node=node, pod_link=pod_link, mtu=mtu) for pod in pods),
    )


def _namespace(node: Station, pods: Sequence[PlacedPod], cluster: Cluster) -> NamespaceState:
    ipv6 = any(entry.version == 6 for entry in (*node.addresses, *node.pod_cidrs))
    return NamespaceState(
        name=node.namespace,
        sysctls=router_sysctls(ipv6=ipv6, bridged_through_netfilter=True),
        links=_links(node, pods, cluster),
        addresses=_addresses(node, cluster),
        routes=_routes(node, pods, cluster),
        neighbours=_neighbours(node, pods, cluster),
        fdb=_fdb(node, cluster),
        tables=masquerade_tables(node, pod_cidrs=cluster.network.pod_cidrs),
    )


def _links(node: Station, pods: Sequence[PlacedPod], cluster: Cluster) -> tuple[Link, ...]:
    pod_links = bridges.bridge_links if cluster.bridged else bridges.ptp_links
    return (
        *wire_links(node, fabric=fabric_namespace(cluster.lab)),
        *(routes.tunnel(node, wire=cluster.network.node_cidrs) if cluster.tunnelled else ()),
        *pod_links(node, pods, mtu=cluster.pod_mtu),
    )


def _addresses(node: Station, cluster: Cluster) -> tuple[Address, ...]:
    return (
        *wire_addresses(node),
        *(routes.tunnel_addresses(node) if cluster.tunnelled else ()),
        *(bridges.bridge_addresses(node) if cluster.bridged else ()),
    )


def _routes(node: Station, pods: Sequence[PlacedPod], cluster: Cluster) -> tuple[Route, ...]:
    return (
        *routes.default_routes(cluster.network.node_cidrs),
        *routes.routes_to_pods(node, cluster.nodes, fabric=cluster.network.fabric),
        *routes.no_such_pod(cluster.nodes, pod_cidrs=cluster.network.pod_cidrs),
        *(() if cluster.bridged else bridges.ptp_routes(pods)),
    )


def _neighbours(node: Station, pods: Sequence[PlacedPod], cluster: Cluster) -> tuple[Neighbour, ...]:
    return (
        *router_neighbours(fabric_namespace(cluster.lab), wire=cluster.network.node_cidrs),
        *wire_neighbours(cluster.stations, link=WIRE, besides=node),
        *(routes.tunnel_neighbours(node, cluster.nodes) if cluster.tunnelled else ()),
        *bridges.pod_neighbours(pods, pod_link=cluster.network.pod_link),
    )


def _fdb(node: Station, cluster: Cluster) -> tuple[FdbEntry, ...]:
    return routes.tunnel_fdb(node, cluster.nodes, wire=cluster.network.node_cidrs) if cluster.tunnelled else ()
