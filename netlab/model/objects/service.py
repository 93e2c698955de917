"""Service, EndpointSlice and Endpoints."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from netlab.model.objects.meta import (
    Condition,
    KubernetesObject,
    ObjectReference,
    Part,
    PodProtocol,
    PortNumber,
    PortReference,
)


class ServiceType(StrEnum):
    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


class ServicePort(Part):
    port: PortNumber
    name: str | None = None
    protocol: PodProtocol = PodProtocol.TCP
    target_port: PortReference | None = None
    node_port: PortNumber | None = None
    app_protocol: str | None = None


class ClientIPConfig(Part):
    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] | None = None


class SessionAffinityConfig(Part):
    client_ip: ClientIPConfig | None = Field(None, alias="clientIP")


class TrafficPolicy(StrEnum):
    CLUSTER = "Cluster"
    LOCAL = "Local"


class ServiceSpec(Part):
    type: ServiceType | None = None
    selector: dict[str, str] | None = None
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str | None = Field(None, alias="clusterIP")
    cluster_ips: tuple[str, ...] = Field((), alias="clusterIPs")
    ip_families: tuple[Literal["IPv4", "IPv6"], ...] = ()
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    external_ips: tuple[str, ...] = Field((), alias="externalIPs")
    external_name: str | None = None
    external_traffic_policy: TrafficPolicy | None = None
    internal_traffic_policy: TrafficPolicy | None = None
    session_affinity: Literal["None", "ClientIP"] | None = None
    session_affinity_config: SessionAffinityConfig | None = None
    load_balancer_ip: str | None = Field(None, alias="loadBalancerIP")
    load_balancer_source_ranges: tuple[str, ...] = ()
    load_balancer_class: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    health_check_node_port: PortNumber | None = None
    publish_not_ready_addresses: bool | None = None
    traffic_distribution: str | None = None


class LoadBalancerIngress(Part):
    ip: str | None = None
    ip_mode: Literal["VIP", "Proxy"] | None = None
    hostname: str | None = None


class LoadBalancerStatus(Part):
    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Part):
    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[Condition, ...] = ()


class Service(KubernetesObject):
    PLURAL = "services"
    api_version: Literal["v1"] = "v1"
    kind: Literal["Service"] = "Service"
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(Part):
    """Absent (None) means: ready true, serving as ready, terminating false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Part):
    name: str


class EndpointHints(Part):
    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForZone, ...] = ()


class Endpoint(Part):
    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Part):
    name: str | None = None
    protocol: PodProtocol = PodProtocol.TCP
    port: PortNumber | None = None
    app_protocol: str | None = None


class EndpointSlice(KubernetesObject):
    PLURAL = "endpointslices"
    API_VERSION = "discovery.k8s.io/v1"
    api_version: Literal["discovery.k8s.io/v1"] = "discovery.k8s.io/v1"
    kind: Literal["EndpointSlice"] = "EndpointSlice"
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class EndpointAddress(Part):
    ip: str = ""
    hostname: str | None = None
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSubset(Part):
    """Addresses that share the same ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(KubernetesObject):
    """What EndpointSlices have replaced; named as its Service."""

    PLURAL = "endpoints"
    api_version: Literal["v1"] = "v1"
    kind: Literal["Endpoints"] = "Endpoints"
    subsets: tuple[EndpointSubset, ...] = ()


SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service it belongs to."""
FORCED = "netlab/forced"
"""Annotation of a Service whose clusterIP may lie outside the Service range, in the Pod range say: for faults alone."""
