"""The Kubernetes objects that a Service network needs: same apiVersion, kind and field names as Kubernetes.

Only the fields that netlab acts on are spelled out; any other field is kept as it came (`extra="allow"`), so that a
pasted manifest loses nothing. Addresses stay strings here, as on the wire; who uses them makes them `ipaddress` values.
Source: the Kubernetes API reference, version 1.36.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """A part of an object. Values are never changed in place: use `model_copy(update=...)`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="allow")


class OwnerReference(Part):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class ObjectMeta(Part):
    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class KubernetesObject(Part):
    """What every object has. A kind is a subclass that says where the API serves it."""

    PLURAL: ClassVar[str]
    NAMESPACED: ClassVar[bool] = True
    API_VERSION: ClassVar[str] = "v1"

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone for what lives in no namespace."""
        return f"{self.metadata.namespace}/{self.metadata.name}" if self.NAMESPACED else self.metadata.name


class Condition(Part):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


# --- Namespace and Node


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


# --- Pod


class ObjectFieldSelector(Part):
    field_path: str


class EnvVarSource(Part):
    field_ref: ObjectFieldSelector | None = None


class EnvVar(Part):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class PodProtocol(StrEnum):
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortReference = Annotated[int, Field(ge=1, le=65535)] | str
"""A port by number, or by the name that a container gives it."""


class ContainerPort(Part):
    container_port: PortNumber
    name: str | None = None
    protocol: PodProtocol = PodProtocol.TCP
    host_port: PortNumber | None = None


class HttpHeader(Part):
    name: str
    value: str


class HttpGetAction(Part):
    path: str = "/"
    port: PortReference
    host: str | None = None
    scheme: str | None = None
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(Part):
    port: PortReference
    host: str | None = None


class ExecAction(Part):
    command: tuple[str, ...] = ()


class Probe(Part):
    """A readiness probe. Times in seconds; the defaults are Kubernetes'."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0)] = 0
    period_seconds: Annotated[int, Field(ge=1)] = 10
    timeout_seconds: Annotated[int, Field(ge=1)] = 1
    success_threshold: Annotated[int, Field(ge=1)] = 1
    failure_threshold: Annotated[int, Field(ge=1)] = 3


class SleepAction(Part):
    seconds: Annotated[int, Field(ge=0)]


class LifecycleHandler(Part):
    sleep: SleepAction | None = None


class Lifecycle(Part):
    """`pre_stop` holds back the end of a container whose Pod is deleted."""

    pre_stop: LifecycleHandler | None = None


class Container(Part):
    name: str
    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    working_dir: str | None = None
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    lifecycle: Lifecycle | None = None


class PodSpec(Part):
    containers: tuple[Container, ...] = ()
    node_name: str | None = None
    node_selector: dict[str, str] = {}
    hostname: str | None = None
    subdomain: str | None = None
    host_network: bool | None = None
    restart_policy: Literal["Always", "OnFailure", "Never"] | None = None
    termination_grace_period_seconds: int | None = None


class PodIP(Part):
    ip: str


class ContainerStatus(Part):
    name: str
    image: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: dict[str, dict[str, str | int]] = {}
    last_state: dict[str, dict[str, str | int]] = {}


class PodStatus(Part):
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"] | None = None
    pod_ip: str | None = Field(None, alias="podIP")
    pod_ips: tuple[PodIP, ...] = Field((), alias="podIPs")
    host_ip: str | None = Field(None, alias="hostIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: str | None = None


NETWORK_READY = "PodReadyToStartContainers"
"""The condition by which Kubernetes says that a Pod's sandbox and its network are there."""


class Pod(KubernetesObject):
    PLURAL = "pods"
    api_version: Literal["v1"] = "v1"
    kind: Literal["Pod"] = "Pod"
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, type_: str) -> bool:
        """Whether the condition of that type (`Ready`, `PodReadyToStartContainers` ...) is there and "True"."""
        return any(c.type == type_ and c.status == "True" for c in self.status.conditions)


# --- Service and EndpointSlice


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


class ObjectReference(Part):
    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    field_path: str | None = None


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


SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service it belongs to."""


# --- Deployment


class LabelSelector(Part):
    match_labels: dict[str, str] = {}


class PodTemplate(Part):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class DeploymentSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()


class DeploymentStatus(Part):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    observed_generation: int | None = None


class Deployment(KubernetesObject):
    PLURAL = "deployments"
    API_VERSION = "apps/v1"
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


# --- Event


class EventSource(Part):
    component: str | None = None
    host: str | None = None


class Event(KubernetesObject):
    """Something that was noticed about an object. `count` times, the last time at `last_timestamp`.

    Served as events.k8s.io/v1 too, under that API's field names: `regarding` is `involvedObject`, `note` is `message`.
    """

    PLURAL = "events"
    api_version: Literal["v1"] = "v1"
    kind: Literal["Event"] = "Event"
    involved_object: ObjectReference = ObjectReference()
    type: Literal["Normal", "Warning"] | None = None
    reason: str | None = None
    message: str | None = None
    source: EventSource = EventSource()
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    action: str | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None


KINDS: tuple[type[KubernetesObject], ...] = (Namespace, Node, Pod, Service, EndpointSlice, Deployment, Event)
"""Every kind that the API server of a lab knows."""
