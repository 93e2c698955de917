"""What `status` and `ls` report: the JSON shapes `LabStatus` and `LabList` of netlab/v1."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from netlab.model.rules import Backend


class Row(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Phase(StrEnum):
    """Running: every process of the lab lives. Degraded: one of them is gone. Dead: `down` clears up."""

    RUNNING = "Running"
    DEGRADED = "Degraded"
    DEAD = "Dead"


class ProxyReport(Row):
    """What a kube-proxy says of itself (GET /proxy-status on its metrics port).

    `mode` is its proxy mode; `followed` is, by kind (`services`, `endpointslices`), the newest resourceVersion that its
    rules follow from; `rules` how many rules it has in the kernel; `last_sync_seconds` how long the last sync took.
    `complaints` say which objects are not served, or not wholly, and why. `backend` tells which of the kernel's tables
    hold the rules. `lost` says why it cannot reach the API server; empty while it can.
    """

    mode: str = ""
    followed: dict[str, int] = {}
    rules: int | None = None
    last_sync_seconds: float | None = None
    complaints: tuple[str, ...] = ()
    backend: Backend | None = None
    lost: str = ""


class ProxyStatus(Row):
    """A node's kube-proxy, from its own metrics; `rules` counts the rules it has in the kernel.

    `synced` means that the rules follow from the newest Services and EndpointSlices. `last_sync_seconds` is how long
    the last sync took. `complaints` are the objects that it does not serve, or not wholly. `backend` tells which of the
    kernel's tables hold the rules. `lost` says why it cannot reach the API server; empty while it can. `listed` tells
    whether it has had any objects from the API server since it began, None where it does not answer.
    """

    running: bool
    synced: bool = False
    rules: int | None = None
    last_sync_seconds: float | None = None
    complaints: tuple[str, ...] = ()
    backend: Backend | None = None
    lost: str = ""
    listed: bool | None = None


class ComplaintRow(Row):
    """One part of one object that is not served; `path` is the field as Kubernetes writes it."""

    kind: str
    name: str
    path: str
    message: str


class ProxyResult(Row):
    """What `netlab proxy --once` put in place.

    `rules` counts them by family and table, the jumps from the built-in chains among them; `sysctls` are those that
    were set; `changed` tells whether the kernel held other rules before; `seconds` is what the sync took.
    """

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["ProxyResult"] = "ProxyResult"
    node: str
    mode: str
    changed: bool
    rules: dict[str, dict[str, int]] = {}
    sysctls: dict[str, str] = {}
    complaints: tuple[ComplaintRow, ...] = ()
    flows_deleted: int = 0
    seconds: float = 0.0


class NodeStatus(Row):
    name: str
    address: str
    pod_cidr: str = Field(alias="podCIDR")
    proxy_mode: str
    proxy: ProxyStatus
    proxy_command: tuple[str, ...] = ()
    """The program that runs in the place of kube-proxy: what it does nobody asks, so that it is never `synced`."""


class PodRow(Row):
    name: str
    namespace: str
    node: str | None = None
    address: str | None = None
    ready: bool = False


class ServiceRow(Row):
    name: str
    namespace: str
    type: str
    cluster_ip: str | None = Field(None, alias="clusterIP")
    ports: tuple[str, ...] = ()
    endpoints: int = 0


class FaultInForce(Row):
    """A fault that `netlab break` has put into `victim` (`node/n1`), and what takes it out."""

    name: str
    victim: str
    remedy: str


class LabStatus(Row):
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["LabStatus"] = "LabStatus"
    lab: str
    phase: Phase
    rootless: bool
    nodes: tuple[NodeStatus, ...] = ()
    pods: tuple[PodRow, ...] = ()
    services: tuple[ServiceRow, ...] = ()
    faults: tuple[FaultInForce, ...] = ()


class LabSummary(Row):
    name: str
    phase: Phase
    directory: str


class LabList(Row):
    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["LabList"] = "LabList"
    labs: tuple[LabSummary, ...] = ()
