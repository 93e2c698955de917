"""Rules that were counted, not traced, put where the packets of the flow passed that the packet sockets saw.

A counter does not say whose packet it was, nor in which direction it went. So a rule goes to the flow's packets that
passed its hook, as many as it counted, the request first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import groupby

from netlab.kernel.tracing.events import HOOKS, TraceEvent
from netlab.model.cluster import Destination
from netlab.model.ipvs import DEVICE
from netlab.model.journey import Way
from netlab.model.targets import TargetProtocol
from netlab.probe.headers import Headers
from netlab.probe.tracing.passings import Passing, Scene
from netlab.probe.tracing.visits import stays

STARTS, LAST = ("PREROUTING", "OUTPUT"), "POSTROUTING"
TRANSLATES = 100
"""The priority of translation, -100 or 100: only a connection's first packet comes there."""
_ENDS = re.compile(r"-j (?:DROP|REJECT)\b|\b(?:drop|reject)\b|^-P \S+ DROP$")
_STATES = re.compile(r"(?:--ctstate|--state|ct state) \{? ?([\w,]+)", re.IGNORECASE)
_LED_TO = re.compile(r"(?:--to-destination|dnat (?:ip6? )?to) \[?([\da-f.:]+?)\]?(?::(\d+))?(?: |$)")


@dataclass(slots=True)
class _Stay:
    """A packet's stay in a namespace by what was seen at its interfaces, and the rules that it may have met there."""

    passings: list[Passing]
    hooks: tuple[str, ...]
    events: list[TraceEvent] = field(default_factory=list)

    @property
    def scene(self) -> Scene:
        return self.passings[0].scene

    @property
    def way(self) -> Way:
        return self.passings[0].way

    @property
    def incoming(self) -> list[Passing]:
        return [each for each in self.passings if not each.outgoing]

    @property
    def outgoing(self) -> list[Passing]:
        return [each for each in self.passings if each.outgoing]

    def may_have_met(self, event: TraceEvent) -> bool:
        """Whether the packet passed the rule's hook, in a state that the rule asks for."""
        if event.hook not in self.hooks:
            return False
        if abs(event.priority) == TRANSLATES:
            return self.way is Way.REQUEST
        states = _STATES.search(event.rule)
        named = states[1].upper().split(",") if states else []
        return not named or ("NEW" if self.way is Way.REQUEST else "ESTABLISHED") in named


def with_counted(
    passings: Sequence[Passing], counted: Mapping[str, Sequence[TraceEvent]], asked: Destination
) -> list[Passing]:
    """The passings with the hooks whose rules counted, by namespace. `asked` is where the flow's first packet went."""
    found: list[Passing] = []
    kept = [_stay(each, counted.get(each[0].scene.station.namespace)) for each in stays(passings)]
    for namespace, events in counted.items():
        here = [stay for stay in kept if stay.scene.station.namespace == namespace]
        for event in events:
            for stay in [each for each in here if each.may_have_met(event)][: event.counted]:
                stay.events.append(event)
    for stay in kept:
        is_counted = stay.scene.station.namespace in counted
        found += _with_hooks(stay, asked if stay is kept[0] else None) if is_counted else stay.passings
    return found


def _stay(passings: list[Passing], counted: Sequence[TraceEvent] | None) -> _Stay:
    stay = _Stay(passings, ())
    stay.hooks = _hooks(stay, counted or ())
    return stay


def _hooks(stay: _Stay, counted: Sequence[TraceEvent]) -> tuple[str, ...]:
    """The hooks that the packet passed, by the interfaces at which it was seen."""
    links = {each.link for each in stay.passings}
    if not stay.incoming:
        return "OUTPUT", "POSTROUTING"
    if stay.outgoing:
        bridged = bool(stay.scene.bridges) and links <= stay.scene.peers.keys()
        return () if bridged and not stay.scene.through_rules else ("PREROUTING", "FORWARD", "POSTROUTING")
    ended = any(event.hook == "FORWARD" and _ENDS.search(event.rule) for event in counted)
    return "PREROUTING", "FORWARD" if ended else "INPUT"


def _with_hooks(stay: _Stay, asked: Destination | None) -> list[Passing]:
    """The stay with its hooks between the interfaces, each with the packet as it came there."""
    first = stay.passings[0].headers
    if not stay.incoming and asked is not None:
        first = _addressed(first, asked)
    early = [event for event in stay.events if event.hook in STARTS and event.priority <= -TRANSLATES]
    routed = _routed(first, stay, early)
    at_hooks: dict[str, list[Passing]] = {hook: [] for hook in HOOKS}
    for place, events in groupby(stay.events, key=lambda event: event.place):
        told = tuple(events)
        at_hooks[told[0].hook].append(_at(stay, place, told, first if told[0] in early else routed))
    start = "PREROUTING" if stay.incoming else "OUTPUT"
    if stay.hooks:
        _translate(stay, at_hooks[start], start, packet=first, left=routed)
        last = stay.outgoing[-1].headers if stay.outgoing else routed
        _translate(stay, at_hooks[LAST], LAST, packet=routed, left=last)
    split = _up_to_rules(stay)
    middle = [*at_hooks["INPUT"], *at_hooks["FORWARD"], *(at_hooks["OUTPUT"] if start == "OUTPUT" else ())]
    before = at_hooks["PREROUTING"]
    return [*stay.incoming[:split], *before, *stay.incoming[split:], *middle, *at_hooks[LAST], *stay.outgoing]


def _addressed(headers: Headers, asked: Destination) -> Headers:
    """The packet as it was sent, where it was seen only after the rules of the place that sent it."""
    port = headers.destination_port if asked.protocol is TargetProtocol.ICMP else asked.port
    return replace(headers, destination=asked.address, destination_port=port)


def _routed(first: Headers, stay: _Stay, early: Sequence[TraceEvent]) -> Headers:
    """The packet once its destination was translated, and its source not yet."""
    if first.quoted is not None:
        return stay.outgoing[-1].headers if stay.outgoing else first
    if stay.outgoing:
        left = stay.outgoing[-1].headers
        return replace(first, destination=left.destination, destination_port=left.destination_port)
    led = [found for event in early if (found := _LED_TO.search(event.rule))]
    if not led:
        return first
    port = int(led[-1][2]) if led[-1][2] else first.destination_port
    return replace(first, destination=ip_address(led[-1][1]), destination_port=port)


def _at(stay: _Stay, place: str, events: tuple[TraceEvent, ...], headers: Headers) -> Passing:
    return Passing(scene=stay.scene, way=stay.way, headers=headers, place=place, hook=events[0].hook, events=events)


def _translate(stay: _Stay, there: list[Passing], hook: str, *, packet: Headers, left: Headers) -> None:
    """Tell the translation at that hook, where no counted rule does: that of an answer has none."""
    told = any(abs(event.priority) == TRANSLATES for each in there for event in each.events)
    if packet.ends == left.ends or told or DEVICE in stay.scene.interfaces.values():
        return
    place = stay.scene.nat_places.get(hook, f"nat/{hook}")
    there.append(Passing(scene=stay.scene, way=stay.way, headers=packet, place=place, hook=hook))


def _up_to_rules(stay: _Stay) -> int:
    """How many interfaces come before the rules: with bridge-nf-call-iptables they are asked inside the bridge."""
    links = [each.link for each in stay.incoming]
    inside = [number for number, link in enumerate(links) if number and link in stay.scene.bridges]
    return inside[0] if inside and stay.scene.through_rules else len(links)
