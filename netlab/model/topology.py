"""The topology: the one document of a lab's file that is not a Kubernetes object."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny
from pydantic.alias_generators import to_camel

from netlab.errors import Problem
from netlab.model.ipvs import Scheduler
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject

Cidr = IPv4Network | IPv6Network


class Setting(BaseModel):
    """A part of the topology. Unlike a Kubernetes object's, its fields are all known: anything else is a mistake."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Fabric(StrEnum):
    """How a packet for a Pod on another node crosses the wire."""

    ROUTED = "routed"
    VXLAN = "vxlan"


class PodLink(StrEnum):
    """How a Pod hangs off its node."""

    BRIDGE = "bridge"
    PTP = "ptp"


class Network(Setting):
    """The address ranges, at most one of each family in each, and how they are joined."""

    pod_cidrs: tuple[Cidr, ...] = Field((IPv4Network("10.244.0.0/16"),), alias="podCIDRs")
    service_cidrs: tuple[Cidr, ...] = Field((IPv4Network("10.96.0.0/12"),), alias="serviceCIDRs")
    node_cidrs: tuple[Cidr, ...] = Field((IPv4Network("172.18.0.0/24"),), alias="nodeCIDRs")
    load_balancer_cidrs: tuple[Cidr, ...] = Field((), alias="loadBalancerCIDRs")
    """What Services of type LoadBalancer get their addresses from; empty: they get none, as in a bare cluster."""
    node_port_range: Annotated[str, Field(pattern=r"^\d+-\d+$")] = "30000-32767"
    fabric: Fabric = Fabric.ROUTED
    pod_link: PodLink = PodLink.BRIDGE


class Ipvs(Setting):
    """What matters in the proxy mode ipvs alone, by the names that KubeProxyConfiguration has for it."""

    scheduler: Scheduler = Scheduler.RR
    strict_arp: bool = Field(default=False, alias="strictARP")
    """Whether nodes keep it from the wire that they have the Services' addresses, on kube-ipvs0."""
    exclude_cidrs: tuple[Cidr, ...] = Field((), alias="excludeCIDRs")
    """Where kube-proxy leaves virtual servers alone that it does not want."""


class Proxy(Setting):
    mode: ProxyMode = ProxyMode.IPTABLES
    ipvs: Ipvs = Ipvs()
    command: tuple[str, ...] = ()
    """A program that runs on every node in the place of netlab's kube-proxy; empty: none."""


class NodeEntry(Setting):
    name: str
    labels: dict[str, str] = {}
    proxy_mode: ProxyMode | None = None
    """The proxy mode of this node, where it is not the lab's."""
    proxy_command: tuple[str, ...] | None = None
    """The program in the place of kube-proxy on this node, where it is not the lab's; empty: netlab's kube-proxy."""
    addresses: tuple[str, ...] = ()
    """Addresses inside nodeCIDRs, at most one a family; empty: given out in the order of the file."""
    pod_cidrs: tuple[Cidr, ...] = Field((), alias="podCIDRs")
    """The node's share of the Pod range; empty: the next free /24 (IPv6: /64)."""


class External(Setting):
    """A machine outside the cluster: on the wire, without a route to Pods or Services."""

    name: str
    addresses: tuple[str, ...] = ()


class ExpectedVerdict(StrEnum):
    REACHED = "reached"
    REFUSED = "refused"
    DROPPED = "dropped"
    UNREACHABLE = "unreachable"


class Expectation(Setting):
    """One line of `expect`: packets sent `from` one place `to` a target must all fare so.

    `reaches` names the Pods that must answer, all of them and no other; `verdict` says how packets fare otherwise.
    """

    from_: str = Field(alias="from")
    to: str
    reaches: tuple[str, ...] = ()
    verdict: ExpectedVerdict | None = None


class TopologySpec(Setting):
    network: Network = Network()
    proxy: Proxy = Proxy()
    nodes: tuple[NodeEntry, ...] = (NodeEntry(name="node1"), NodeEntry(name="node2"))
    externals: tuple[External, ...] = ()
    expect: tuple[Expectation, ...] = ()

    def proxy_mode(self, node: str) -> ProxyMode:
        """The proxy mode of the node of that name."""
        own = (entry.proxy_mode for entry in self.nodes if entry.name == node)
        return next(own, None) or self.proxy.mode

    def proxy_command(self, node: str) -> tuple[str, ...]:
        """The program that runs on that node in the place of netlab's kube-proxy; empty where none does."""
        own = (entry.proxy_command for entry in self.nodes if entry.name == node)
        found = next(own, None)
        return self.proxy.command if found is None else found

    @property
    def proxy_modes(self) -> frozenset[ProxyMode]:
        """The proxy modes of all nodes."""
        return frozenset(self.proxy_mode(entry.name) for entry in self.nodes)


class Topology(KubernetesObject):
    """The lab itself: served by its API server like any other object, so that every process can watch it."""

    model_config = ConfigDict(extra="forbid")

    PLURAL = "topologies"
    NAMESPACED = False
    API_VERSION = "netlab/v1"
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["Topology"] = "Topology"
    spec: TopologySpec = TopologySpec()


class LabFile(BaseModel):
    """A whole file: the topology and the Kubernetes objects beside it, in the order of the file."""

    model_config = ConfigDict(frozen=True)

    topology: Topology
    objects: tuple[SerializeAsAny[KubernetesObject], ...] = ()
    warnings: tuple[Problem, ...] = ()
    """What is allowed and probably not meant."""
