"""What `netlab top` reports: the JSON shape `Activity` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from netlab.model.journey import Report
from netlab.model.modes import ProxyMode
from netlab.model.status import ProxyStatus


class Row(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class EndpointActivity(Row):
    """One Pod's share of a Service: new flows a second, and those that its nodes still remember."""

    pod: str
    new_per_second: float
    tracked: int


class ServiceActivity(Row):
    """A Service's flows on all nodes; `unanswered` are those of the tracked ones to which no answer has come."""

    service: str
    new_per_second: float
    tracked: int
    unanswered: int
    endpoints: tuple[EndpointActivity, ...] = ()


class NodeActivity(Row):
    """A node: the flows that it tracks, of Services and others, and how its kube-proxy is."""

    node: str
    mode: ProxyMode
    tracked: int
    new_per_second: float
    proxy: ProxyStatus


class Activity(Report):
    """What went on in a lab in the last `seconds`."""

    kind: Literal["Activity"] = "Activity"
    lab: str
    seconds: float
    services: tuple[ServiceActivity, ...] = ()
    nodes: tuple[NodeActivity, ...] = ()
