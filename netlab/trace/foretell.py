"""Foretell a flow: every way it may take, one an endpoint, with the hops, the verdict and the reason of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

from netlab.errors import NetlabError
from netlab.model.cluster import ClusterView, Destination, spell
from netlab.model.journey import Hop, Journey, PacketVerdict
from netlab.model.names import Place
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import Target, TargetProtocol
from netlab.proxy.slices import Endpoint
from netlab.trace.causes import Cause
from netlab.trace.lab import TracedLab
from netlab.trace.meaning import explain
from netlab.trace.packet import Packet
from netlab.trace.policy import Choice
from netlab.trace.track import Track
from netlab.trace.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """One way that the flow may take. `endpoint` is None where there was nothing to choose.

    `chance` is the part of all new flows that take it. `pod` is the Pod that gets the request, `source_seen` the
    address that it sees, `translated` what the target became (ADDRESS:PORT).
    """

    endpoint: str | None
    chance: float
    verdict: PacketVerdict
    pod: str | None
    source_seen: str | None
    translated: str | None
    cause: Cause | None
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class Prediction:
    """All ways that a flow may take: at least one."""

    from_: str
    to: str
    destination: Destination
    ways: tuple[Foretold, ...]
    view: ClusterView

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Whom the flow may be sent to, ADDRESS:PORT each."""
        return tuple(way.endpoint for way in self.ways if way.endpoint)

    @cached_property
    def first(self) -> Foretold:
        """The way of the first endpoint."""
        return self.ways[0]

    def through(self, endpoint: str | None) -> Foretold | None:
        """The way by that endpoint (ADDRESS:PORT); None where the flow cannot be sent there."""
        return next((way for way in self.ways if way.endpoint == endpoint), None)

    def by_pod(self, pod: str) -> Foretold | None:
        """The way to the Pod of that name."""
        return next((way for way in self.ways if way.pod == pod), None)

    def meaning(self, way: Foretold) -> str | None:
        """What the end of that way means, and what to do about it; None where there is nothing to say."""
        return explain(self.view, way.cause) if way.cause else None

    def journey(self, way: Foretold) -> Journey:
        """One of the ways as a Journey that nobody has observed."""
        return Journey(
            from_=self.from_,
            to=self.to,
            verdict=way.verdict,
            pod=way.pod,
            meaning=self.meaning(way),
            prediction=way.hops,
            endpoints=self.endpoints,
        )


def foretell(
    lab: TracedLab, from_: Place, to: Target, *, family: Family | None = None, source_port: int | None = None
) -> Prediction:
    """What becomes of the first packet of a new flow, and of its answer.

    `source_port` is the client's, where it is known. NotFound where FROM or TO is not there; NetlabError for a protocol
    that is not traced.
    """
    destination = lab.view.destination(to, family=family)
    if destination.protocol is TargetProtocol.SCTP:
        raise NetlabError(f"cannot trace {destination}/sctp: traces speak TCP, UDP and ICMP")
    machine = lab.machine_of(from_)
    packet = _first_packet(destination, machine.route(destination.address).source, source_port)
    asked = _Asked()
    tracks = [Walk(lab, pick=asked.pick).run(machine, packet)]
    for endpoint in asked.endpoints[1:]:
        tracks.append(Walk(lab, pick=partial(_always, endpoint)).run(machine, packet))
    endpoints = asked.endpoints or (None,)
    ways = tuple(_foretold(track, endpoint, len(endpoints)) for track, endpoint in zip(tracks, endpoints, strict=True))
    return Prediction(from_=str(from_), to=str(to), destination=destination, ways=ways, view=lab.view)


class _Asked:
    """Takes the first endpoint, and remembers which others there were."""

    def __init__(self) -> None:
        self.endpoints: tuple[Endpoint, ...] = ()

    def pick(self, choice: Choice) -> Endpoint:
        self.endpoints = choice.endpoints
        return choice.endpoints[0]


def _always(endpoint: Endpoint, _: Choice) -> Endpoint:
    return endpoint


def _first_packet(to: Destination, source: IPAddress | None, source_port: int | None) -> Packet:
    has_ports = to.protocol is not TargetProtocol.ICMP
    return Packet(
        src=source or to.address,
        dst=to.address,
        proto=to.protocol.value,
        sport=source_port if has_ports else None,
        dport=to.port if has_ports else None,
        flags="S" if to.protocol is TargetProtocol.TCP else None,
    )


def _foretold(track: Track, endpoint: Endpoint | None, ways: int) -> Foretold:
    return Foretold(
        endpoint=spell(endpoint.address, endpoint.port) if endpoint else None,
        chance=1 / ways,
        verdict=track.verdict,
        pod=track.pod,
        source_seen=track.source_seen,
        translated=track.translated[1] if track.translated else None,
        cause=track.cause,
        hops=tuple(track.hops),
    )
