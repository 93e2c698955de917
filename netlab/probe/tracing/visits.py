"""A packet's stay in one namespace, from where it came in to where it left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from netlab.kernel.tracing.events import Kind
from netlab.model.ipvs import DEVICE
from netlab.model.journey import Way
from netlab.probe.headers import Headers
from netlab.probe.tracing.passings import STAGES, Passing, Scene

NAT_PRIORITIES = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}
NAT_TABLE = "nat/"
_COMMENT = re.compile(r'"[^"]*"')
"""What is in quotes, in which a rule may speak of anything."""
ENDS = re.compile(r"-j (?:DROP|REJECT)\b|\b(?:drop|reject)\b|^-P \S+ DROP$")
"""In a rule's text, without its comments: it lets a packet go no further."""
TRANSLATIONS = ("dnat to", "snat to", "masquerade", "-j dnat", "-j snat", "redirect")


@dataclass(frozen=True, slots=True)
class Visit:
    """Consecutive passings of one packet in one namespace."""

    passings: tuple[Passing, ...]

    @property
    def scene(self) -> Scene:
        return self.passings[0].scene

    @property
    def way(self) -> Way:
        return self.passings[0].way

    @property
    def itinerary(self) -> tuple[object, ...]:
        """Where it was with which addresses: what is sent once more has the same."""
        places = tuple((each.link, each.place, each.outgoing, each.headers.ends) for each in self.passings)
        return self.scene.station, self.way, places

    @property
    def came_by(self) -> Passing | None:
        """The interface by which it came, the bridge's own where it went up through a bridge."""
        incoming = [each for each in self.passings if each.link and not each.outgoing]
        return incoming[-1] if incoming else None

    @property
    def left_by(self) -> Passing | None:
        """The interface by which it left."""
        last = self.passings[-1]
        return last if last.link and last.outgoing else None

    @property
    def is_bridged(self) -> bool:
        """Whether a bridge handed it from one of its ports to another, with no choice of a way."""
        links = {each.link for each in self.passings if each.link}
        inside = bool(self.came_by and self.scene.bridges) and not links & (self.scene.bridges | OTHER_WAYS)
        return inside and (self.left_by is not None or self._is_bound_for_port)

    @property
    def _is_bound_for_port(self) -> bool:
        events = self.passings[-1].events
        return bool(events) and self.scene.interfaces.get(events[-1].outgoing, "") in self.scene.bridges


OTHER_WAYS = frozenset({"lo", "eth0", "vxlan0"})
"""Interfaces that are no port of a bridge where they are."""


def visits(passings: Iterable[Passing]) -> list[Visit]:
    """The stays, in order, each with what translated the packet on it."""
    told = (Visit(tuple(_with_translations(_translator_last(_from_port_to_port(stay))))) for stay in stays(passings))
    return list({visit.itinerary: visit for visit in reversed(list(told))}.values())[::-1]


def stays(passings: Iterable[Passing]) -> list[list[Passing]]:
    """The passings that follow one another in one namespace, of a packet that comes, passes and leaves."""
    found: list[list[Passing]] = []
    for each in passings:
        if found and _goes_on(found[-1], each):
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _translator_last(stay: Sequence[Passing]) -> list[Passing]:
    """Of several tables that a hook asks for a translation, the one that had one last.

    The kernel asks them all first, and rewrites the packet after that (nf_nat_inet_fn() in nf_nat_core.c).
    """
    ordered: list[Passing] = []
    for each in stay:
        before = ordered[-1] if ordered else None
        if (
            before
            and _translates(before)
            and _translates(each)
            and before.hook == each.hook
            and _has_translation(before)
        ):
            ordered.insert(-1, each)
        else:
            ordered.append(each)
    return ordered


def _has_translation(each: Passing) -> bool:
    rules = " ".join(_COMMENT.sub("", event.rule) for event in each.events).lower()
    return any(word in rules for word in TRANSLATIONS)


def _from_port_to_port(stay: Sequence[Passing]) -> list[Passing]:
    """Without the bridge itself, where it hands the packet on to another port.

    The first packet to a neighbour takes a detour through it, with the neighbour's address to be written
    (br_nf_pre_routing_finish_bridge() in net/bridge/br_netfilter_hooks.c); none after it does.
    """
    links = [each for each in stay if each.link]
    detour = [each for each in links if each.link in each.scene.bridges and each.outgoing]
    came_by_port = bool(links) and links[0].link in links[0].scene.peers and not links[0].outgoing
    up = any(each.link in each.scene.bridges and not each.outgoing for each in links)
    return [each for each in stay if each not in detour] if came_by_port and detour and not up else list(stay)


def _goes_on(stay: Sequence[Passing], each: Passing) -> bool:
    last = stay[-1]
    if each.begins or last.scene is not each.scene or last.way is not each.way:
        return False
    starts_anew = (each.hook == "OUTPUT" and last.hook not in ("", "OUTPUT")) or (
        last.hook == "INPUT" and each.outgoing
    )
    comes_back = bool(last.outgoing and each.link) and not each.outgoing
    return not starts_anew and not comes_back


def _with_translations(stay: Sequence[Passing]) -> Iterator[Passing]:
    """The passings, and between two that differ in addresses the hook that translates, unless it is there itself."""
    for each, following in zip(stay, [*stay[1:], None], strict=True):
        yield each
        if following is None or not _differ(each.headers, following.headers):
            continue
        if _translates(each) and (_has_translation(each) or DEVICE not in each.scene.interfaces.values()):
            continue
        hook = _translating_hook(each)
        place = each.scene.nat_places.get(hook, f"{NAT_TABLE}{hook}")
        yield Passing(scene=each.scene, way=each.way, headers=each.headers, place=place, hook=hook)


def _differ(one: Headers, other: Headers) -> bool:
    """Whether a translation lies between them, of the packet or of the one that it quotes."""
    if one.quoted is not None and other.quoted is not None and one.quoted.ends != other.quoted.ends:
        return True
    return one.ends != other.ends


def _translates(each: Passing) -> bool:
    """Whether it is where translations are decided: a chain at their priority."""
    priority = NAT_PRIORITIES.get(each.hook)
    return bool(each.place) and all(event.priority == priority for event in each.events)


def _translating_hook(each: Passing) -> str:
    """The hook after this passing that asks the table nat."""
    if each.link:
        return "POSTROUTING" if each.link in each.scene.bridges else "PREROUTING"
    priority = max((event.priority for event in each.events), default=0)
    if each.hook in NAT_PRIORITIES and priority <= NAT_PRIORITIES[each.hook]:
        return each.hook
    return "INPUT" if each.hook == "INPUT" else "POSTROUTING"


def without_silence(visit: Visit) -> Visit:
    """The visit without the hooks where nothing matched and nothing changed, or had been changed on the way there."""
    whole = visit.passings
    kept = [
        each
        for before, each, following in zip([None, *whole[:-1]], whole, [*whole[1:], None], strict=True)
        if each.link
        or not each.events
        or _says_something(each, following)
        or (before is not None and _differ(before.headers, each.headers))
    ]
    return replace(visit, passings=tuple(kept))


def _says_something(each: Passing, following: Passing | None) -> bool:
    if any(event.kind is Kind.RULE for event in each.events):
        return True
    if following is None:
        return is_dropped_by_policy(each)
    return _differ(each.headers, following.headers) and _translates(each)


def is_dropped_by_policy(each: Passing) -> bool:
    """Whether the last that happened at the hook is that its policy dropped the packet."""
    last = each.events[-1] if each.events else None
    if last is None or last.kind is not Kind.POLICY:
        return False
    return last.verdict == "drop" or " DROP" in last.rule


def is_end(each: Passing) -> bool:
    """Whether a rule, or the policy, let the packet go no further."""
    last = each.events[-1].rule if each.events else ""
    return bool(ENDS.search(_COMMENT.sub("", last))) or is_dropped_by_policy(each)


def stage_of(each: Passing) -> int:
    """0 before the choice of a way, 1 after it, 2 when leaving."""
    if each.link:
        return 2 if each.outgoing else 0
    return STAGES.get(each.hook, 1)
