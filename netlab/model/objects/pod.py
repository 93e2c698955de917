"""Pod and what is in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netlab.model.objects.meta import Condition, KubernetesObject, Part, PodProtocol, PortNumber, PortReference


class ObjectFieldSelector(Part):
    field_path: str


class EnvVarSource(Part):
    field_ref: ObjectFieldSelector | None = None


class EnvVar(Part):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


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
    stdin: bool | None = None
    stdin_once: bool | None = None
    tty: bool | None = None


class PodSpec(Part):
    containers: tuple[Container, ...] = ()
    node_name: str | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
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
    image_id: str = Field("", alias="imageID")
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: dict[str, dict[str, str | int]] = Field(default_factory=dict)
    last_state: dict[str, dict[str, str | int]] = Field(default_factory=dict)


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

    @property
    def has_ended(self) -> bool:
        """Whether all its containers have, for good."""
        return self.status.phase in ("Succeeded", "Failed")

    def condition(self, type_: str) -> bool:
        """Whether the condition of that type (`Ready`, `PodReadyToStartContainers` ...) is there and "True"."""
        return any(c.type == type_ and c.status == "True" for c in self.status.conditions)
