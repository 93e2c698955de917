"""Namespace and Node."""

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
