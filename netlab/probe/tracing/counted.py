"""Rules that were counted, not traced, put where the packets of the flow passed that the packet sockets saw.

A counter does not say whose packet it was, nor in which direction it went. So a rule goes to the flow's packets that
passed its hook, as many as it counted, the request first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from ipaddress import ip_address
from itertools import groupby

from netlab.kernel.conntrack import Flow as Connection
from netlab.kernel.tracing.events import HOOKS, TraceEvent
from netlab.model.ipvs import DEVICE
from netlab.model.journey import Way
from netlab.model.rules import IPAddress
from netlab.probe.headers import Headers
from netlab.probe.tracing.passings import Passing, Scene
from netlab.probe.tracing.visits import ENDS, stays

STARTS, LAST = ("PREROUTING", "OUTPUT"), "POSTROUTING"
TRANSLATES = 100
"""The priority of translation, -100 or 100: only a connection's first packet comes there."""
_STATES = re.compile(r"(?:--ctstate|--state|ct state) \{? ?([\w,]+)", re.IGNORECASE)
_LED_TO = re.compile(r"(?:--to-destination|dnat (?:ip6? )?to) \[?([\da-f.:]+?)\]?(?::(\d+))?(?: |$)")


@dataclass(slots=True)
class _Stay:
    """A packet's stay in a namespace by what was seen at its interfaces, and the rules that it may have met there."""

    scene: Scene
    way: Way
    first: Headers
    """The packet as it came, or as it was sent here."""
    passings: list[Passing]
    hooks: tuple[str, ...] = ()
    led_to: tuple[IPAddress, int] | None = None
    """For whom it was, as conntrack has it, which knows no packet that was dropped."""
    events: list[TraceEvent] = field(default_factory=list)
    is_sent_on: bool = False
    """Whether a program there sent it, which had taken in the packet of the stay before."""

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
    passings: Sequence[Passing],
    counted: Mapping[str, Sequence[TraceEvent]],
    connections: Sequence[tuple[str, Connection]],
    *,
    scene: Scene,
    sent: Headers | None,
) -> list[Passing]:
    """The passings with the hooks whose rules counted, by namespace.

    `sent` is the packet as it started in `scene`; None where it did not, or was seen there as it was.
    """
    kept = [part for each in stays(passings) for part in _parts(each, connections)]
    if sent is not None and scene.station.namespace in counted:
        _start(kept, scene, sent)
    for namespace, events in counted.items():
        here = [stay for stay in kept if stay.scene.station.namespace == namespace]
        for stay in here:
            stay.hooks = _hooks(stay, events)
        for event in events:
            for stay in [each for each in here if each.may_have_met(event)][: event.counted]:
                stay.events.append(event)
    return [each for stay in kept for each in _told(stay)]


def _told(stay: _Stay) -> list[Passing]:
    first, *others = _with_hooks(stay) if stay.hooks else stay.passings
    return [replace(first, begins=stay.is_sent_on), *others]


def _parts(passings: list[Passing], connections: Sequence[tuple[str, Connection]]) -> Iterator[_Stay]:
    """A stay as one, or as two: the packet was for a program there, and what left is the program's own."""
    stay = _part(passings, connections)
    taken_in = stay.led_to and stay.outgoing and stay.led_to[0] != stay.outgoing[-1].headers.destination
    if stay.incoming and taken_in:
        yield _part(stay.incoming, connections)
        sent_on = _part(stay.outgoing, connections)
        sent_on.is_sent_on = True
        yield sent_on
    else:
        yield stay


def _part(passings: list[Passing], connections: Sequence[tuple[str, Connection]]) -> _Stay:
    stay = _Stay(passings[0].scene, passings[0].way, passings[0].headers, passings)
    stay.led_to = _led_to(stay, connections)
    return stay


def _start(kept: list[_Stay], scene: Scene, sent: Headers) -> None:
    """Say how the packet started: where it did, it was seen only behind the rules, or not at all."""
    if not kept:
        return
    start = kept[0]
    if start.scene is not scene or start.way is not Way.REQUEST:
        kept.insert(0, _Stay(scene, Way.REQUEST, sent, []))
    elif start.outgoing:
        start.first = sent


def _led_to(stay: _Stay, connections: Sequence[tuple[str, Connection]]) -> tuple[IPAddress, int] | None:
    """Where a connection of that place leads the packet: one that it began, or that it answers."""
    ends = stay.first.ends
    for where, connection in connections:
        there, back = connection.original, connection.reply
        if where == stay.scene.station.namespace and ends == astuple(there):
            return back.source, back.source_port
        if where == stay.scene.station.namespace and ends == astuple(back):
            return there.source, there.source_port
    return None


def _hooks(stay: _Stay, counted: Sequence[TraceEvent]) -> tuple[str, ...]:
    """The hooks that the packet passed, by the interfaces at which it was seen."""
    links = {each.link for each in stay.passings}
    if not stay.passings:
        return ("OUTPUT",)
    if not stay.incoming:
        return "OUTPUT", "POSTROUTING"
    if stay.outgoing:
        bridged = bool(stay.scene.bridges) and links <= stay.scene.peers.keys()
        return () if bridged and not stay.scene.through_rules else ("PREROUTING", "FORWARD", "POSTROUTING")
    ended = any(event.hook == "FORWARD" and ENDS.search(event.rule) for event in counted)
    return "PREROUTING", "FORWARD" if ended and stay.led_to is None else "INPUT"


def _with_hooks(stay: _Stay) -> list[Passing]:
    """The stay with its hooks between the interfaces, each with the packet as it came there."""
    first = stay.first
    early = [event for event in stay.events if event.hook in STARTS and event.priority <= -TRANSLATES]
    routed = _routed(first, stay, early)
    at_hooks: dict[str, list[Passing]] = {hook: [] for hook in HOOKS}
    for place, events in groupby(stay.events, key=lambda event: event.place):
        told = tuple(events)
        at_hooks[told[0].hook].append(_at(stay, place, told, first if told[0] in early else routed))
    start = "PREROUTING" if stay.incoming else "OUTPUT"
    _translate(stay, at_hooks[start], start, packet=first, left=routed)
    last = stay.outgoing[-1].headers if stay.outgoing else routed
    _translate(stay, at_hooks[LAST], LAST, packet=routed, left=last)
    split = _up_to_rules(stay)
    middle = [*at_hooks["INPUT"], *at_hooks["FORWARD"], *(at_hooks["OUTPUT"] if start == "OUTPUT" else ())]
    before = at_hooks["PREROUTING"]
    if not (stay.passings or stay.events):
        return [_unseen(stay)]
    return [*stay.incoming[:split], *before, *stay.incoming[split:], *middle, *at_hooks[LAST], *stay.outgoing]


def _unseen(stay: _Stay) -> Passing:
    """Where a packet ended that was never seen, and that no rule counted: something answered it."""
    return Passing(scene=stay.scene, way=stay.way, headers=stay.first, place="filter/OUTPUT", hook="OUTPUT")


def _routed(first: Headers, stay: _Stay, early: Sequence[TraceEvent]) -> Headers:
    """The packet once its destination was translated, and its source not yet."""
    if first.quoted is not None:
        return stay.outgoing[-1].headers if stay.outgoing else first
    if stay.outgoing:
        left = stay.outgoing[-1].headers
        return replace(first, destination=left.destination, destination_port=left.destination_port)
    if stay.led_to is not None:
        return _led(first, *stay.led_to)
    rules = [found for event in early if (found := _LED_TO.search(event.rule))]
    return _led(first, ip_address(rules[-1][1]), int(rules[-1][2] or 0)) if rules else first


def _led(headers: Headers, address: IPAddress, port: int) -> Headers:
    ported = headers.destination_port and port
    return replace(headers, destination=address, destination_port=port if ported else headers.destination_port)


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
