"""What probes and traces report: the JSON shapes `ProbeResult`, `CheckResult` and `Journey` of netlab/v1."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION: Literal["netlab/v1"] = "netlab/v1"
COUNTED = "counted, not traced: other packets may be among them"
"""The end of a hop's detail where nobody saw the packet meet the rules: their counters grew while it passed."""


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


class Way(StrEnum):
    """Which of a flow's two directions a packet travels."""

    REQUEST = "request"
    REPLY = "reply"


class PacketSeen(BaseModel):
    """A packet as it was at one place; ports are None where its protocol has none, foretold also where chance picks.

    `flags` are TCP's, in tcpdump's letters (`S`, `S.`, `R`), or what an ICMP error says (`port unreachable`). `mark` is
    the kernel's mark of it, which leaves the machine with no packet.
    """

    model_config = ConfigDict(frozen=True)

    src: str
    dst: str
    proto: str
    sport: int | None = None
    dport: int | None = None
    flags: str | None = None
    mark: int = 0


class RuleHit(BaseModel):
    """A rule that matched a packet: its text as its tool lists it (iptables-save, nft), and the comment in it.

    `probability` is the chance by which a rule that picks at random took this packet.
    """

    model_config = ConfigDict(frozen=True)

    chain: str
    rule: str
    comment: str | None = None
    probability: float | None = None


class Hop(BaseModel):
    """One station of a packet on its way, in the order of time.

    `at` is the place (`pod/web-1`, `node/node1`, `external/client`) or `fabric`, the wire between the nodes. `hook` is
    what it passed there: `link/NAME` an interface, `TABLE/HOOK` a netfilter hook (`nat/PREROUTING`; in mode nftables
    the base chain, `kube-proxy/nat-prerouting`), `route` the choice of a way, `ipvs` or `proxy` the balancer of those
    modes, `socket` the program that got it. `packet` is how it left this hop, `changed` which of its fields are not as
    they came. `verdict` says how it ended, where it ended here. `detail` is the route taken, or the connection that
    conntrack made, in its tool's words; `COUNTED` where the rules are told by their counters.
    """

    model_config = ConfigDict(frozen=True)

    at: str
    hook: str
    way: Way = Way.REQUEST
    packet: PacketSeen
    rules: tuple[RuleHit, ...] = ()
    changed: tuple[str, ...] = ()
    verdict: PacketVerdict | None = None
    detail: str | None = None


class Journey(Report):
    """One flow, seen in the kernel (`hops`) and foretold from the lab's state (`prediction`).

    `agrees` is None where there is only one of the two; `first_difference` says where they part. `meaning` is the end
    of it in a sentence, and what to do about it. `endpoints` (ADDRESS:PORT) are all that the flow might have been sent
    to: the prediction is of the one that it was.
    """

    kind: Literal["Journey"] = "Journey"
    from_: str = Field(alias="from")
    to: str
    verdict: PacketVerdict
    pod: str | None = None
    agrees: bool | None = None
    first_difference: str | None = None
    meaning: str | None = None
    hops: tuple[Hop, ...] = ()
    prediction: tuple[Hop, ...] = ()
    endpoints: tuple[str, ...] = ()
