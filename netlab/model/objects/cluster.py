"""Namespace, Node, ServiceCIDR, IPAddress and ConfigMap."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from netlab.model.objects.meta import Condition, KubernetesObject, Part


class NamespaceStatus(Part):
    phase: Literal["Active", "Terminating"] | None = None


class Namespace(KubernetesObject):
    PLURAL = "namespaces"
    NAMESPACED = False
    api_version: Literal["v1"] = "v1"
    kind: Literal["Namespace"] = "Namespace"
    status: NamespaceStatus = NamespaceStatus()


class NodeAddress(Part):
    type: str
    address: str


class NodeSpec(Part):
    pod_cidr: str | None = Field(None, alias="podCIDR")
    pod_cidrs: tuple[str, ...] = Field((), alias="podCIDRs")
    unschedulable: bool | None = None


class NodeInfo(Part):
    """What a node runs on."""

    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    machine_id: str = Field("", alias="machineID")
    system_uuid: str = Field("", alias="systemUUID")
    boot_id: str = Field("", alias="bootID")


class NodeStatus(Part):
    addresses: tuple[NodeAddress, ...] = ()
    node_info: NodeInfo | None = None
    capacity: dict[str, str] = Field(default_factory=dict)
    allocatable: dict[str, str] = Field(default_factory=dict)
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


class ServiceCIDRStatus(Part):
    conditions: tuple[Condition, ...] = ()


class ServiceCIDR(KubernetesObject):
    """A range that ClusterIPs are given out of. A lab has one, named `kubernetes`: its Topology says the ranges."""

    PLURAL = "servicecidrs"
    NAMESPACED = False
    API_VERSION = "networking.k8s.io/v1"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"
    kind: Literal["ServiceCIDR"] = "ServiceCIDR"
    spec: ServiceCIDRSpec = ServiceCIDRSpec()
    status: ServiceCIDRStatus = ServiceCIDRStatus()


class ParentReference(Part):
    group: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None


class IPAddressSpec(Part):
    parent_ref: ParentReference | None = None


class IPAddress(KubernetesObject):
    """A clusterIP that is in use, named as the address is written, and whose it is."""

    PLURAL = "ipaddresses"
    NAMESPACED = False
    API_VERSION = "networking.k8s.io/v1"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"
    kind: Literal["IPAddress"] = "IPAddress"
    spec: IPAddressSpec = IPAddressSpec()


class ConfigMap(KubernetesObject):
    """Texts under names of the user's. No Pod of a lab mounts one."""

    PLURAL = "configmaps"
    api_version: Literal["v1"] = "v1"
    kind: Literal["ConfigMap"] = "ConfigMap"
    data: dict[str, str] = Field(default_factory=dict)
    binary_data: dict[str, str] = Field(default_factory=dict)
    immutable: bool | None = None
