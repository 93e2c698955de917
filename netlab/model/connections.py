"""What `netlab conntrack` reports: the JSON shape `FlowTable` of netlab/v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from netlab.model.journey import Report


class End(BaseModel):
    """One end of a flow. `name` is who has the address in this lab, `pod/web-1`, `service/web`; None: nobody known.

    `port` is 0 where the protocol has none; of an ICMP echo it is the identifier.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    port: int
    name: str | None = None


class Direction(BaseModel):
    """What the packets of one direction say, as they come in: before this node translates them."""

    model_config = ConfigDict(frozen=True)

    source: End
    destination: End


class TrackedFlow(BaseModel):
    """A connection as conntrack has it.

    `state` is a TCP connection's; of other protocols UNREPLIED, REPLIED or, after some packets both ways, ASSURED.
    `service` is the Service that was addressed, `pod` the Pod that answers. `masqueraded`: the answer goes to another
    address than the one that asked. `timeout_seconds` is until the entry is forgotten unless another packet comes.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    family: Literal["IPv4", "IPv6"]
    protocol: str
    state: str
    timeout_seconds: int
    mark: int
    status: tuple[str, ...] = ()
    original: Direction
    reply: Direction
    service: str | None = None
    pod: str | None = None
    translated: bool = False
    masqueraded: bool = False


class FlowTable(Report):
    """All that a node's connection tracking holds."""

    kind: Literal["FlowTable"] = "FlowTable"
    node: str
    flows: tuple[TrackedFlow, ...] = Field(default=())
