"""What a diagnosis judges, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from netlab.model.cluster import ClusterView
from netlab.model.diagnosis import CauseName
from netlab.model.journey import Flow, PacketVerdict, ProbeResult
from netlab.model.status import ProxyStatus
from netlab.trace.foretell import Foretold, Prediction

REACHED = PacketVerdict.REACHED


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, in a sentence, and what to type or edit."""

    cause: CauseName
    text: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was found out about the flows from one place to a target.

    `proxies` are the kube-proxies by node.
    """

    prediction: Prediction
    flows: tuple[Flow, ...]
    proxies: Mapping[str, ProxyStatus] = field(default_factory=dict)

    @classmethod
    def of(cls, prediction: Prediction, seen: ProbeResult) -> Evidence:
        """What real flows alone tell; where ICMP errors were rationed, only the first."""
        return cls(prediction=prediction, flows=seen.flows[:1] if seen.notes else seen.flows)

    @property
    def view(self) -> ClusterView:
        return self.prediction.view

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
        """How the flows fare; that of a strange one, or a lost one, where there is one."""
        first = next(iter((*self.strange, *self.lost, *self.flows)), None)
        return first.verdict if first else self.prediction.first.verdict

    @cached_property
    def foretold_lost(self) -> tuple[Foretold, ...]:
        """The foretold ways that do not end well."""
        return tuple(way for way in self.prediction.ways if way.verdict is not REACHED)

    @property
    def by_proxy(self) -> bool:
        """Whether a program in between takes the flow in: nobody who probes sees the Pod behind it."""
        return any(hop.hook == "proxy" for way in self.prediction.ways for hop in way.hops)


def _fits(flow: Flow, way: Foretold) -> bool:
    if flow.verdict is not way.verdict:
        return False
    if flow.pod is None and any(hop.hook == "proxy" for hop in way.hops):
        return True
    translated = flow.translated.to if flow.translated else None
    known = translated is None or way.translated is None or translated == way.translated
    return known and (flow.pod, flow.source_seen) == (way.pod, way.source_seen)
