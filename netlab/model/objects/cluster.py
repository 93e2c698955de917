"""Namespace, Node and ServiceCIDR."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netlab.model.objects.meta import Condition, KubernetesObject, Part


class Namespace(KubernetesObject):
    PLURAL = "namespaces"
    NAMESPACED = False
    api_version: Literal["v1"] = "v1"
    kind: Literal["Namespace"] = "Namespace"


class NodeAddress(Part):
    type: str
    address: str


class NodeSpec(Part):
    pod_cidr: str | None = Field(None, alias="podCIDR")
    pod_cidrs: tuple[str, ...] = Field((), alias="podCIDRs")
    unschedulable: bool | None = None


class NodeStatus(Part):
    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Node(KubernetesObject):
    PLURAL = "nodes"
    NAMESPACED = False
    api_version: Literal["v1"] = "v1"
    kind: Literal["Node"] = "Node"
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ServiceCIDRSpec(Part):
    cidrs: tuple[str, ...] = ()


class ServiceCIDR(KubernetesObject):
    """A range that ClusterIPs are given out of. A lab's own API server has none: its topology says the ranges."""

    PLURAL = "servicecidrs"
    NAMESPACED = False
    API_VERSION = "networking.k8s.io/v1"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"
    kind: Literal["ServiceCIDR"] = "ServiceCIDR"
    spec: ServiceCIDRSpec = ServiceCIDRSpec()
