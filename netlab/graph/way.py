"""A packet's way over the picture: along the cables, with a number where something happens to it, explained below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from netlab.graph.anchors import Anchor, Layout, way_between
from netlab.graph.layout import BADGES, GAP, MARGIN, ROW
from netlab.graph.shapes import Badge, Box, Line, Point, Words, width_of
from netlab.model.journey import Hop, Journey, Way
from netlab.plan.bridges import POD_BRIDGE
from netlab.plan.stations import WIRE

TONES = {Way.REQUEST: "request", Way.REPLY: "reply"}
ASIDE = {Way.REQUEST: -3.0, Way.REPLY: 3.0}
"""Pixels that a way stands beside the cable, so that both ways are seen."""
STEP = 19.0
"""From one number to the next beside it."""
MOST_AT_ONE_PLACE = int(BADGES // STEP)


def add_way(layout: Layout, journey: Journey) -> None:
    """Draw the way of what was seen, or of what was foretold where nothing was."""
    hops = journey.hops or journey.prediction
    for way in Way:
        layout.shapes += _lines(layout, [hop for hop in hops if hop.way is way], way)
    told = _badges(layout, hops)
    _legend(layout, journey, told)


def anchor_of(hop: Hop) -> str | None:
    """The anchor where a hop is; None for the wire, which lies between two others anyway."""
    if not hop.at.startswith("node/"):
        return None if hop.at == "fabric" else hop.at
    kind, _, name = hop.hook.partition("/")
    if kind == "link":
        return f"{hop.at} eth0" if name == WIRE else f"{hop.at} {'bridge' if _is_inside(name) else 'eth0'}"
    return f"{hop.at} rules"


def _is_inside(interface: str) -> bool:
    """Whether it leads to Pods; a tunnel leads to the wire."""
    return interface == POD_BRIDGE or interface.startswith("veth")


def _lines(layout: Layout, hops: Sequence[Hop], way: Way) -> Iterator[Line]:
    stops = [name for hop in hops if (name := anchor_of(hop)) in layout.anchors]
    points: list[Point] = []
    for start, end in pairwise(stops):
        if start != end:
            points += way_between(layout.anchors, start, end)
    if points:
        aside = ASIDE[way]
        yield Line(TONES[way], tuple(Point(x + aside, y + aside) for x, y in _without_repeats(points)))


def _without_repeats(points: Sequence[Point]) -> Iterator[Point]:
    before = None
    for point in points:
        if point != before:
            yield point
        before = point


def _badges(layout: Layout, hops: Sequence[Hop]) -> list[tuple[int, Hop]]:
    """A number for every hop that changes the packet or ends it."""
    told: list[tuple[int, Hop]] = []
    there: Counter[str] = Counter()
    for hop in hops:
        name = anchor_of(hop)
        if (hop.changed or hop.verdict) and name in layout.anchors and there[name] < MOST_AT_ONE_PLACE:
            told.append((len(told) + 1, hop))
            at = _spot(layout.anchors[name], there[name])
            there[name] += 1
            layout.shapes.append(Badge(len(told), at, TONES[hop.way]))
    return told


def _spot(anchor: Anchor, before: int) -> Point:
    """Beside a node's rules; on the corner of any other box."""
    box: Box = anchor.box
    if box.kind == "rules":
        return Point(box.right + 14 + STEP * before, box.middle.y)
    if box.kind == "node":
        return Point(anchor.at.x + 16 + STEP * before, anchor.at.y)
    return Point(box.right - STEP * before, box.y)


def _legend(layout: Layout, journey: Journey, told: Sequence[tuple[int, Hop]]) -> None:
    head = f"{journey.from_} to {journey.to}: {journey.verdict}" + (f" by pod/{journey.pod}" if journey.pod else "")
    lines = [head, *(f"{number}  {_explained(hop)}" for number, hop in told)]
    if journey.meaning:
        lines.append(journey.meaning)
    y = layout.height - MARGIN + GAP
    for row, text in enumerate(lines):
        kind, bold = ("name", True) if row == 0 else ("small", False)
        layout.shapes.append(Words(kind, text, MARGIN, y + row * ROW, bold=bold))
        layout.width = max(layout.width, width_of(text, kind) + 2 * MARGIN)
    layout.height = y + len(lines) * ROW + MARGIN / 2


def _explained(hop: Hop) -> str:
    where = f"{hop.at} {hop.hook}:"
    changes = [f"{field} becomes {value}" for field, value in _changes(hop)]
    ends = [str(hop.verdict)] if hop.verdict else []
    return " ".join([where, ", ".join([*changes, *ends])])


def _changes(hop: Hop) -> Iterator[tuple[str, str]]:
    packet = hop.packet
    values = {
        "src": packet.src,
        "dst": packet.dst,
        "sport": str(packet.sport),
        "dport": str(packet.dport),
        "mark": hex(packet.mark),
    }
    for name in hop.changed:
        yield name, values.get(name, "another")
