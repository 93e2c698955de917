"""Labs for the tests of the fabric and its benchmark, written in a line: two nodes, a few Pods, one external."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from netlab.model.objects import Node, Pod
from netlab.model.state import LabState, NamespaceState
from netlab.model.topology import Fabric, NodeEntry, PodLink, Topology
from netlab.plan.addresses import complete, hosts
from netlab.plan.compose import lab_state

LAB = "nlfab"
RANGES = {
    "IPv4": {"podCIDRs": "10.244.0.0/16", "serviceCIDRs": "10.96.0.0/12", "nodeCIDRs": "172.18.0.0/24"},
    "IPv6": {"podCIDRs": "fd00:10:244::/56", "serviceCIDRs": "fd00:10:96::/112", "nodeCIDRs": "fd00:172:18::/64"},
}
DUAL_STACK = ("IPv4", "IPv6")
WEB = {"web-1": "node1", "web-2": "node2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What a lab's file and its API server say."""

    families: Sequence[str] = ("IPv4",)
    fabric: Fabric = Fabric.ROUTED
    pod_link: PodLink = PodLink.BRIDGE
    nodes: Sequence[str] = ("node1", "node2")
    externals: Sequence[str] = ("client",)
    name: str = LAB

    @property
    def topology(self) -> Topology:
        """The topology, with every address spelled out."""
        ranges = {key: [RANGES[family][key] for family in self.families] for key in RANGES["IPv4"]}
        spec = {
            "network": {**ranges, "fabric": self.fabric, "podLink": self.pod_link},
            "nodes": [{"name": name} for name in self.nodes],
            "externals": [{"name": name} for name in self.externals],
        }
        return complete(Topology.model_validate({"metadata": {"name": self.name}, "spec": spec}))

    def state(self, pods: Mapping[str, str] = WEB) -> LabState:
        """What the kernel must hold; `pods` says on which node each Pod is. Addresses go in the order of `pods`."""
        topology = self.topology
        shares = {entry.name: entry.pod_cidrs for entry in topology.spec.nodes}
        nodes = [node_object(entry) for entry in topology.spec.nodes]
        before = [list(pods.values())[:index].count(node) for index, node in enumerate(pods.values())]
        placed = [
            pod_object(name, node, [str(next(islice(hosts(cidr), index, None))) for cidr in shares[node]])
            for (name, node), index in zip(pods.items(), before, strict=True)
        ]
        return lab_state(topology, nodes, placed, self.name)


def node_object(entry: NodeEntry) -> Node:
    """The Node of an entry of a completed topology."""
    status = {"addresses": [{"type": "InternalIP", "address": address} for address in entry.addresses]}
    spec = {"podCIDRs": [str(cidr) for cidr in entry.pod_cidrs]}
    return Node.model_validate({"metadata": {"name": entry.name}, "spec": spec, "status": status})


def pod_object(name: str, node: str, addresses: Sequence[str], *, namespace: str = "default") -> Pod:
    """A Pod that has its place in the network."""
    metadata = {"name": name, "namespace": namespace}
    status = {"podIPs": [{"ip": address} for address in addresses]}
    return Pod.model_validate({"metadata": metadata, "spec": {"nodeName": node}, "status": status})


def namespace(state: LabState, name: str) -> NamespaceState:
    """The namespace of a place: `fabric`, `node1`, `web-1`."""
    return next(each for each in state.namespaces if each.name == f"{state.lab}.{name}")
