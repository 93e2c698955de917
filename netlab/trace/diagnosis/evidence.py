"""What a diagnosis judges, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from netlab.model.cluster import ClusterView
from netlab.model.connections import FlowTable
from netlab.model.diagnosis import CauseName
from netlab.model.drift import Drift
from netlab.model.journey import Flow, Hop, Journey, PacketVerdict, Way
from netlab.model.names import PlaceKind
from netlab.model.rule_listing import ChainDifference
from netlab.model.status import ProxyStatus
from netlab.trace.foretell import Foretold, Prediction

REACHED = PacketVerdict.REACHED
NODE = f"{PlaceKind.NODE}/"
PROXY = "proxy"
"""The hook of a packet that kube-proxy itself takes in (mode userspace)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, in a sentence, and what to type or edit."""

    cause: CauseName
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Large:
    """Flows whose packets have the full size of their way, in bytes."""

    size: int
    flows: tuple[Flow, ...]

    @property
    def lost(self) -> tuple[Flow, ...]:
        """Those that went astray; one that is refused was not too large."""
        return tuple(flow for flow in self.flows if flow.verdict not in (REACHED, PacketVerdict.REFUSED))


@dataclass(frozen=True, slots=True)
class Resolver:
    """Whom the place that asks asks for names, by its resolv.conf, and whom it should."""

    found: tuple[str, ...]
    wanted: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was found out about the flows from one place to a target.

    `proxies` are the kube-proxies by node; `rules` what nodes on the way lack, and have beside, of what their
    kube-proxies would write; `tracked` what the conntracks of these nodes hold; `drift` what the whole lab holds
    otherwise than planned. `journey` is that of a flow that fared otherwise than foretold.
    """

    prediction: Prediction
    flows: tuple[Flow, ...]
    large: Large | None = None
    journey: Journey | None = None
    proxies: Mapping[str, ProxyStatus] = field(default_factory=dict)
    rules: Mapping[str, tuple[ChainDifference, ...]] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    tracked: tuple[FlowTable, ...] = ()
    resolver: Resolver | None = None

    @property
    def view(self) -> ClusterView:
        return self.prediction.view

    # --- the flows

    @cached_property
    def strange(self) -> tuple[Flow, ...]:
        """The flows that fared otherwise than any foretold way."""
        return tuple(flow for flow in self.flows if not any(_fits(flow, way) for way in self.prediction.ways))

    @cached_property
    def lost(self) -> tuple[Flow, ...]:
        """The flows that nobody answered as they should be."""
        return tuple(flow for flow in self.flows if flow.verdict is not REACHED)

    @cached_property
    def verdict(self) -> PacketVerdict:
        """How the flows fare; that of a lost one, or a strange one, where there is one."""
        first = next(iter((*self.lost, *self.strange, *self.flows)), None)
        return first.verdict if first else self.prediction.first.verdict

    @cached_property
    def unused(self) -> tuple[str, ...]:
        """The endpoints (ADDRESS:PORT) that no flow was sent to; none where it is not known of each where it went."""
        sent = {flow.translated.to if flow.translated else None for flow in self.flows}
        return () if None in sent else tuple(each for each in self.prediction.endpoints if each not in sent)

    @cached_property
    def foretold_lost(self) -> tuple[Foretold, ...]:
        """The foretold ways that do not end well."""
        return tuple(way for way in self.prediction.ways if way.verdict is not REACHED)

    # --- the way

    @cached_property
    def failing(self) -> tuple[Foretold, ...]:
        """The ways that flows should have taken and did not; all where that cannot be told."""
        if self.verdict is REACHED and not self.strange:
            return self.prediction.ways
        arrived = {flow.pod for flow in self.flows if flow.verdict is REACHED and flow not in self.strange}
        return tuple(way for way in self.prediction.ways if way.pod not in arrived) or self.prediction.ways

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """All that a failing flow was to pass, and what was seen of one."""
        seen = self.journey.hops if self.journey else ()
        return (*seen, *(hop for way in self.failing for hop in way.hops))

    @cached_property
    def serving(self) -> tuple[str, ...]:
        """The nodes whose kube-proxies lead the flow to an endpoint: by their rules, or themselves."""
        requests = (hop for way in self.prediction.ways for hop in way.hops if hop.way is Way.REQUEST)
        found = dict.fromkeys(hop.at for hop in requests if "dst" in hop.changed or hop.hook == PROXY)
        return tuple(at.removeprefix(NODE) for at in found if at.startswith(NODE))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on the way, in its order."""
        found = dict.fromkeys(hop.at for way in self.prediction.ways for hop in way.hops if hop.at.startswith(NODE))
        return tuple(at.removeprefix(NODE) for at in found)


def _fits(flow: Flow, way: Foretold) -> bool:
    if flow.verdict is not way.verdict:
        return False
    if flow.pod is None and any(hop.hook == PROXY for hop in way.hops):
        return True
    translated = flow.translated.to if flow.translated else None
    known = translated is None or way.translated is None or translated == way.translated
    return known and (flow.pod, flow.source_seen) == (way.pod, way.source_seen)
