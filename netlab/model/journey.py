"""What probes report: the JSON shapes `ProbeResult` and `CheckResult` of netlab/v1."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION: Literal["netlab/v1"] = "netlab/v1"


class Report(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    api_version: Literal["netlab/v1"] = API_VERSION


class PacketVerdict(StrEnum):
    """How one packet fared.

    reached: the Pod's port answered (TCP SYN/ACK, UDP or ICMP echo reply). refused: TCP RST or ICMP port unreachable.
    unreachable: ICMP net or host unreachable, or no route at the start. dropped: nothing came back in time.
    """

    REACHED = "reached"
    REFUSED = "refused"
    DROPPED = "dropped"
    UNREACHABLE = "unreachable"


class Translation(BaseModel):
    """A DNAT as conntrack holds it: `from_` is what the client addressed, `to` what it became (ADDRESS:PORT)."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)

    from_: str = Field(alias="from")
    to: str


class Flow(BaseModel):
    """One packet and what became of it.

    `pod` is the Pod that got it, whether or not its answer came back; `source_seen` the source address as that saw it.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    verdict: PacketVerdict
    pod: str | None = None
    source_seen: str | None = None
    milliseconds: float | None = None
    translated: Translation | None = None


class ProbeSummary(BaseModel):
    """How many flows had each verdict, and how many came to each Pod, answered or not."""

    model_config = ConfigDict(frozen=True)

    verdicts: dict[PacketVerdict, int] = {}
    pods: dict[str, int] = {}


class ProbeResult(Report):
    kind: Literal["ProbeResult"] = "ProbeResult"
    from_: str = Field(alias="from")
    to: str
    flows: tuple[Flow, ...]
    summary: ProbeSummary
    notes: tuple[str, ...] = ()
    """What a reader should know to judge the flows, a sentence each."""


class ExpectationResult(BaseModel):
    model_config = ConfigDict(frozen=True)

    expectation: str
    passed: bool
    observed: str


class CheckResult(Report):
    kind: Literal["CheckResult"] = "CheckResult"
    lab: str
    passed: bool
    results: tuple[ExpectationResult, ...]
