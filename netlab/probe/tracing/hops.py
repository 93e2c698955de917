"""From a packet's stays in namespaces to the hops that a Journey has."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netlab.kernel.route_question import Choice
from netlab.kernel.tracing.events import Kind, TraceEvent
from netlab.model.ipvs import DEVICE
from netlab.model.journey import COUNTED, Hop, PacketSeen, RuleHit, Way
from netlab.model.rules import IPAddress
from netlab.probe.headers import Headers
from netlab.probe.tracing.passings import Passing, Scene
from netlab.probe.tracing.visits import Visit, is_dropped_by_policy, is_end, stage_of

_COMMENT = re.compile(r'(?:--comment (?:"((?:[^"\\]|\\.)*)"|(\S+)))|(?:\bcomment "((?:[^"\\]|\\.)*)")')
_CHANCE = re.compile(r"--mode random --probability (\d+\.\d+)|numgen random mod (\d+)(?: offset \d+)? (?:<|0|vmap|map)")
FIELDS = ("src", "sport", "dst", "dport", "mark")
"""What may be changed on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the kernel of a place is asked about a packet's way."""

    scene: Scene
    source: IPAddress
    destination: IPAddress
    incoming: str
    mark: int


Route = Callable[[Question], Choice]


@dataclass(slots=True)
class Narrator:
    """Tells visits as hops; `route` asks the kernel which way it chose."""

    route: Route
    hops: list[Hop] = field(default_factory=list)
    choices: dict[int, Choice] = field(default_factory=dict)
    """By the number of the hop: what the kernel said of the way."""
    stopped: dict[int, str] = field(default_factory=dict)
    """By the number of the hop: the rule whose verdict, as the kernel says, ended the packet there."""
    balancers: set[str] = field(default_factory=set)
    """The places that have IPVS."""
    delivered: dict[Way, str] = field(default_factory=dict)
    """The place for whose programs the packet was, the last one."""
    _left: dict[Way, PacketSeen] = field(default_factory=dict)
    _taken_in: dict[str, Headers] = field(default_factory=dict)
    """By place, the packet that a program there took in."""
    _balancing: set[str] = field(default_factory=set)
    """The places where IPVS chose: it translates the answer back as well, in FORWARD."""
    _stayed: Visit | None = None
    """The visit before, where the packet did not leave."""

    def tell(self, visit: Visit) -> None:
        """Add the hops of one visit."""
        if (
            self._stayed is not None
            and self._stayed.scene.station == visit.scene.station
            and self._stayed.way is visit.way
        ):
            self.tell_proxy(visit)
        self._stayed = visit if visit.left_by is None else None
        if DEVICE in visit.scene.interfaces.values():
            self.balancers.add(visit.scene.station.at)
        mark, passed_route = 0, visit.is_bridged
        first = visit.passings[0].headers
        if visit.came_by is None:
            self._tell_route(visit, first, mark)
            passed_route = all(each.headers.destination == first.destination for each in visit.passings)
        for position, each in enumerate(visit.passings):
            following = visit.passings[position + 1] if position + 1 < len(visit.passings) else None
            if not passed_route and _is_after_route(visit, position):
                passed_route = True
                self._tell_route(visit, each.headers, mark)
            mark = _mark_after(each, following, mark)
            headers = following.headers if following and not each.link else each.headers
            self._add(each, headers.seen(mark))
        if not passed_route and not is_end(visit.passings[-1]):
            self._tell_route(visit, visit.passings[-1].headers, mark)

    def tell_proxy(self, visit: Visit) -> None:
        """A program took the packet in and sent what was in it on in one of its own, or IPVS gave it to a server.

        IPVS takes packets at INPUT and goes on at OUTPUT (ip_vs(4)): the sender stays, with its port.
        """
        arrived = self._stayed and any(each.link or each.hook == "INPUT" for each in self._stayed.passings)
        if visit.came_by is not None or not arrived:
            return
        packet = self._sent_by_proxy(visit).seen()
        changed = self._changed(visit.way, packet, is_link=False)
        balanced = not {"src", "sport"} & set(changed)
        if balanced:
            self._balancing.add(visit.scene.station.at)
        self._append(
            Hop(
                at=visit.scene.station.at,
                hook="ipvs" if balanced else "proxy",
                way=visit.way,
                packet=packet,
                changed=changed,
                detail=f"real server {packet.dst}" + (f" port {packet.dport}" if packet.dport else "")
                if balanced
                else None,
            )
        )
        if visit.passings[0].link and not balanced:
            self._tell_silent_translation(visit.passings[0])

    def _tell_silent_translation(self, each: Passing) -> None:
        """What happened between a program and the interface, of which no hook told."""
        packet = each.headers.seen()
        if changed := self._changed(each.way, packet, is_link=False):
            hook = each.scene.nat_places.get("POSTROUTING", "nat/POSTROUTING")
            self._append(Hop(at=each.scene.station.at, hook=hook, way=each.way, packet=packet, changed=changed))

    def _sent_by_proxy(self, visit: Visit) -> Headers:
        """The packet as the program sent it; where no hook told of it, it is what answers the one taken in."""
        first, at = visit.passings[0], visit.scene.station.at
        if self._stayed and visit.way is Way.REQUEST:
            self._taken_in[at] = self._stayed.passings[-1].headers
        taken_in = self._taken_in.get(at)
        if visit.way is Way.REQUEST or taken_in is None or not first.link:
            return first.headers
        return replace(first.headers, source=taken_in.destination, source_port=taken_in.destination_port)

    def tell_nothing(self, scene: Scene, destination: IPAddress, packet: PacketSeen) -> None:
        """The one hop of a packet that could not even start."""
        choice = self.route(Question(scene=scene, source=destination, destination=destination, incoming="", mark=0))
        self.choices[0] = choice
        self._append(Hop(at=scene.station.at, hook="route", packet=packet, detail=choice.text))

    def _add(self, each: Passing, packet: PacketSeen) -> None:
        changed = self._changed(each.way, packet, is_link=bool(each.link))
        if each.events and each.events[-1].verdict == "drop":
            self.stopped[len(self.hops)] = each.events[-1].rule or f"the policy of {each.place}"
        at = each.scene.station.at
        place = "ipvs" if self._is_by_ipvs(each, at, changed) else each.place
        self._append(
            Hop(
                at=at,
                hook=f"link/{each.link}" if each.link else place,
                way=each.way,
                packet=packet,
                rules=tuple(hit(event) for event in each.events if event.kind is Kind.RULE or _is_end(event, each)),
                changed=changed,
                detail=COUNTED if any(event.counted for event in each.events) else each.tunnel,
            )
        )

    def _is_by_ipvs(self, each: Passing, at: str, changed: tuple[str, ...]) -> bool:
        """Whether IPVS translated and no rule: what the node itself sends in OUTPUT, answers in FORWARD."""
        if each.link or each.events or at not in self.balancers:
            return False
        if each.way is Way.REQUEST and "dst" in changed:
            self._balancing.add(at)
            return True
        return each.way is Way.REPLY and "src" in changed and at in self._balancing

    def _tell_route(self, visit: Visit, headers: Headers, mark: int) -> None:
        came = visit.came_by
        choice = self.route(
            Question(
                scene=visit.scene,
                source=headers.source,
                destination=headers.destination,
                incoming=came.link if came else "",
                mark=mark,
            )
        )
        if choice.is_local:
            self.delivered[visit.way] = visit.scene.station.at
            self._left.setdefault(visit.way, headers.seen(mark))
            return
        self.choices[len(self.hops)] = choice
        packet = headers.seen(mark)
        self._append(
            Hop(
                at=visit.scene.station.at,
                hook="route",
                way=visit.way,
                packet=packet,
                changed=self._changed(visit.way, packet, is_link=False),
                detail=choice.text,
            )
        )

    def _append(self, hop: Hop) -> None:
        self._left[hop.way] = hop.packet
        self.hops.append(hop)

    def _changed(self, way: Way, packet: PacketSeen, *, is_link: bool) -> tuple[str, ...]:
        before = self._left.get(way)
        if before is None or before.proto != packet.proto:
            return ()
        named = [name for name in FIELDS if getattr(before, name) != getattr(packet, name)]
        return tuple(name for name in named if not (is_link and name == "mark"))


def _is_after_route(visit: Visit, position: int) -> bool:
    """Whether the way has been chosen before this passing and after the one before it."""
    each = visit.passings[position]
    return stage_of(each) > 0 and not (each.hook == "OUTPUT" and position == 0)


def _mark_after(each: Passing, following: Passing | None, before: int) -> int:
    """The packet's mark as it leaves: what the next report says, or else the last of this one."""
    if each.link or not each.events:
        return before
    return following.events[0].mark if following and following.events else each.events[-1].mark


def _is_end(event: TraceEvent, each: Passing) -> bool:
    return event is each.events[-1] and is_dropped_by_policy(each)


def hit(event: TraceEvent) -> RuleHit:
    """The rule as reports show it."""
    comment = _COMMENT.search(event.rule)
    said = next((group for group in comment.groups() if group is not None), None) if comment else None
    return RuleHit(chain=event.chain, rule=event.rule, comment=said, probability=_probability(event.rule))


def _probability(rule: str) -> float | None:
    found = _CHANCE.search(rule)
    if found is None:
        return None
    return float(found[1]) if found[1] else 1.0 / int(found[2])
