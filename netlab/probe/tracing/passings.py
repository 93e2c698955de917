"""What was seen and what the kernel told, put into the one order in which it happened.

Packet sockets know the time, the rules' reports do not: within a namespace they are merged by the way that a packet
takes through the kernel, and between namespaces the sightings' times decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.kernel.tracing.events import TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.legacy_rules import COMMENT as OUR_COMMENT
from netlab.kernel.tracing.nft_rules import TABLE as OURS
from netlab.model.journey import Way
from netlab.probe.headers import Headers, read_headers
from netlab.probe.tracing.recognition import Recognition
from netlab.probe.tracing.stations import Station
from netlab.probe.tracing.watch import Sighting

STAGES = {"PREROUTING": 0, "OUTPUT": 0, "INPUT": 1, "FORWARD": 1, "POSTROUTING": 2}
"""How far on its way through a namespace a packet is."""
ANEW = 10


@dataclass(frozen=True, slots=True)
class Scene:
    """A namespace that was watched. `bridges` are its bridges; with `through_rules` what they forward meets rules."""

    station: Station
    interfaces: Mapping[int, str] = field(default_factory=dict)
    bridges: frozenset[str] = frozenset()
    through_rules: bool = False
    peers: Mapping[str, str] = field(default_factory=dict)
    """The namespace at the other end of a bridge's port."""
    nat_places: Mapping[str, str] = field(default_factory=dict)
    """What translates at a hook: `nat/PREROUTING`, or a base chain of nftables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """The packet at one place, as it came there: at an interface, or at a hook with what happened to it there."""

    scene: Scene
    way: Way
    headers: Headers
    link: str = ""
    outgoing: bool = False
    tunnel: str | None = None
    place: str = ""
    hook: str = ""
    events: tuple[TraceEvent, ...] = ()
    begins: bool = False
    """Whether a stay begins with it, of a packet that a program here has sent on: so says conntrack."""

    @property
    def stage(self) -> int:
        """How far through the namespace: links come before and after everything."""
        return STAGES.get(self.hook, 0)


@dataclass(frozen=True, slots=True)
class _Event:
    way: Way
    headers: Headers
    event: TraceEvent


@dataclass(frozen=True, slots=True)
class _Seen:
    order: int
    way: Way
    sighting: Sighting


def passings(
    match: FlowMatch,
    scenes: Sequence[Scene],
    sightings: Iterable[Sighting],
    events: Mapping[str, Sequence[TraceEvent]],
) -> list[Passing]:
    """All that concerns the flow, in order; `events` by namespace."""
    recognition = Recognition(match)
    seen = _without_copies(scenes, _recognised(recognition, sightings))
    keyed: list[tuple[tuple[int, int, int], Passing]] = []
    for scene in scenes:
        where = scene.station.namespace
        here = [each for each in seen if each.sighting.where == where]
        known = _without_repetition(_in_order(_told(recognition, events.get(where, ()))))
        told = _interleaved([each for each in known if not is_ours(each.event)])
        keyed += _merged(scene, here, told)
    ordered = [passing for _, passing in sorted(keyed, key=lambda pair: pair[0])]
    return _grouped(ordered)


def _recognised(recognition: Recognition, sightings: Iterable[Sighting]) -> list[_Seen]:
    found = []
    for order, sighting in enumerate(sorted(sightings, key=lambda each: each.time)):
        way = recognition.way(sighting.headers)
        if way is not None:
            found.append(_Seen(order, way, sighting))
    return found


def _without_copies(scenes: Sequence[Scene], seen: Sequence[_Seen]) -> list[_Seen]:
    """What was seen, without what a bridge sent to everybody because it did not know where to.

    Who got a copy has overheard it. Where that one is not watched, somebody else who is has got the packet itself.
    """
    peers = {(scene.station.namespace, port): where for scene in scenes for port, where in scene.peers.items()}
    watched = {scene.station.namespace for scene in scenes}
    came_in = [each for each in seen if not each.sighting.outgoing]
    overheard = {
        _copied(each, each.sighting.where) for each in came_in if each.sighting.overheard and not _port(each, peers)
    }
    received = {_copied(each, each.sighting.where) for each in came_in if not each.sighting.overheard}

    def is_copy(each: _Seen) -> bool:
        peer, where = _port(each, peers), each.sighting.where
        if peer is None or not each.sighting.outgoing:
            return peer is None and each.sighting.overheard and not each.sighting.outgoing
        if peer in watched:
            return _copied(each, peer) in overheard
        return any(_copied(each, other) in received for (bridge, _), other in peers.items() if bridge == where)

    return [each for each in seen if not is_copy(each)]


def _port(each: _Seen, peers: Mapping[tuple[str, str], str]) -> str | None:
    """Who hangs on the interface, where that is a port of a bridge."""
    return peers.get((each.sighting.where, each.sighting.interface))


def _copied(each: _Seen, where: str) -> tuple[str, Way, Headers]:
    """What all copies of a packet have in common, in a namespace."""
    return where, each.way, each.sighting.headers


def _without_repetition(told: Iterable[_Event]) -> Iterator[_Event]:
    """The reports without those of a bridge's further copies, which meet the rules behind the bridge once more."""
    last: _Event | None = None
    repeating = False
    for each in told:
        if last is None or each.way is not last.way or each.event.hook in ("PREROUTING", "OUTPUT", "INPUT"):
            repeating = False
        elif each.event.hook == "FORWARD" and last.event.hook == "POSTROUTING":
            repeating = True
        last = each
        if not repeating:
            yield each


def _told(recognition: Recognition, events: Iterable[TraceEvent]) -> list[_Event]:
    """The reports of the flow. One that shows too little of its packet goes on with the packet before."""
    found: list[_Event] = []
    for event in events:
        headers = read_headers(event.packet)
        way = recognition.way(headers) if headers else None
        if way is None and headers and found and _is_continued(found[-1], headers):
            way = found[-1].way
        if way is not None and headers is not None:
            found.append(_Event(way, headers, event))
    return found


def _is_continued(before: _Event, headers: Headers) -> bool:
    """Whether it is the same packet behind a translation of its destination, shown too short to see its token."""
    sender = (headers.protocol, headers.source, headers.source_port)
    return bool(before.event.family) and sender == (
        before.headers.protocol,
        before.headers.source,
        before.headers.source_port,
    )


def _in_order(told: Iterable[_Event]) -> list[_Event]:
    """The reports, a refusal before what it sends back.

    nftables reports a rule once it is done: by then the ICMP error has passed all of its own hooks.
    """
    ordered: list[_Event] = []
    for each in told:
        same = [n for n, other in enumerate(ordered) if other.way is each.way]
        last = same[-1] if same else len(ordered) - 1
        late = bool(same) and ordered[last].event.place == each.event.place and ordered[last].headers == each.headers
        ordered.insert(last + 1 if late and each.event.family else len(ordered), each)
    return ordered


def _interleaved(told: Sequence[_Event]) -> list[_Event]:
    """Reports of legacy tables and of nftables in the order in which a hook asks them."""
    legacy = [each for each in told if not each.event.family]
    modern = [each for each in told if each.event.family]
    merged: list[_Event] = []
    while legacy and modern:
        last = merged[-1] if merged else None
        merged.append((legacy if _rank(legacy[0], last) <= _rank(modern[0], last) else modern).pop(0))
    return merged + legacy + modern


def _rank(each: _Event, last: _Event | None) -> tuple[bool, int, int]:
    stage = STAGES.get(each.event.hook, 0)
    reached = STAGES.get(last.event.hook, 0) if last and last.way is each.way else 0
    return last is not None and each.way is not last.way, stage + (ANEW if stage < reached else 0), each.event.priority


def _merged(scene: Scene, seen: Sequence[_Seen], told: Sequence[_Event]) -> list[tuple[tuple[int, int, int], Passing]]:
    """One namespace's passings, each with its place among those of all."""
    merged: list[tuple[tuple[int, int, int], Passing]] = []
    links, rules = list(seen), list(told)
    anchor = (links[0].order, -1) if links else (-1, 0)
    last: Way | None = None
    came_in = False
    while links or rules:
        if links and (not rules or _link_first(scene, links[0], rules[0], last=last, came_in=came_in)):
            link = links.pop(0)
            anchor, last, came_in = (link.order, 1), link.way, not link.sighting.outgoing
            merged.append(((link.order, 0, 0), _at_link(scene, link)))
        else:
            rule = rules.pop(0)
            last, came_in = rule.way, came_in and rule.event.hook == "PREROUTING"
            merged.append(((*anchor, len(merged)), _at_hook(scene, rule)))
    return merged


def _link_first(scene: Scene, link: _Seen, rule: _Event, *, last: Way | None, came_in: bool) -> bool:
    """Whether the packet passed the interface before the hook. `came_in`: it has just done so by another one."""
    sighting, hook = link.sighting, rule.event.hook
    if link.way is not rule.way:
        return rule.way is not (last or Way.REQUEST)
    if hook == "PREROUTING":
        up_through_bridge = scene.through_rules and sighting.interface in scene.bridges
        return not (came_in and (sighting.outgoing or up_through_bridge))
    return not sighting.outgoing and hook in ("INPUT", "FORWARD")


def is_ours(event: TraceEvent) -> bool:
    """Whether it is the rule of ours that put the packet under trace."""
    return event.table == OURS or OUR_COMMENT in event.rule


def _at_link(scene: Scene, seen: _Seen) -> Passing:
    sighting = seen.sighting
    return Passing(
        scene=scene,
        way=seen.way,
        headers=sighting.headers,
        link=sighting.interface,
        outgoing=sighting.outgoing,
        tunnel=sighting.tunnel,
    )


def _at_hook(scene: Scene, told: _Event) -> Passing:
    event = told.event
    return Passing(scene=scene, way=told.way, headers=told.headers, place=event.place, hook=event.hook, events=(event,))


def _grouped(ordered: Iterable[Passing]) -> list[Passing]:
    """What happened at one hook as one passing; an interface that is seen from both its sides once."""
    grouped: list[Passing] = []
    for each in ordered:
        before = grouped[-1] if grouped else None
        if before is None or before.scene is not each.scene or before.way is not each.way:
            grouped.append(each)
        elif each.place and before.place == each.place:
            grouped[-1] = Passing(
                scene=before.scene,
                way=before.way,
                headers=before.headers,
                place=before.place,
                hook=before.hook,
                events=before.events + each.events,
            )
        elif not (
            each.link and before.link == each.link and before.outgoing is not each.outgoing and each.link == "lo"
        ):
            grouped.append(each)
    return grouped
