"""The places of a picture that a packet's way goes by: a tree that hangs on the wire, with one way between any two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.graph.shapes import Box, Picture, Point, Shape


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place on the picture: its point, the anchor below it towards the wire, and the points of the way there."""

    at: Point
    box: Box
    below: str | None = None
    way: tuple[Point, ...] = ()


@dataclass(slots=True)
class Layout:
    """Shapes so far, and the anchors by name (`pod/web-1`, `node/node1 rules`)."""

    width: float
    shapes: list[Shape] = field(default_factory=list)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    height: float = 0.0

    def picture(self, title: str) -> Picture:
        return Picture(title, self.width, self.height, tuple(self.shapes))


def way_between(anchors: Mapping[str, Anchor], start: str, end: str) -> tuple[Point, ...]:
    """The points of the one way from one anchor to another: down to where both ways meet, and up again."""
    down, up = list(_to_the_wire(anchors, start)), list(_to_the_wire(anchors, end))
    while len(down) > 1 and len(up) > 1 and down[-2] == up[-2]:
        down.pop()
        up.pop()
    meeting_down = _points(anchors, down)
    meeting_up = _points(anchors, up)
    return (*meeting_down, *reversed(meeting_up))


def _to_the_wire(anchors: Mapping[str, Anchor], start: str) -> Iterator[str]:
    """The anchors from one down to the wire, and at last the wire itself, which all have in common."""
    name: str | None = start
    while name is not None:
        yield name
        name = anchors[name].below
    yield "fabric"


def _points(anchors: Mapping[str, Anchor], names: Sequence[str]) -> list[Point]:
    """From the middle of the first one to the middle of the last one."""
    inner = [name for name in names if name != "fabric"]
    points = [anchors[inner[0]].at]
    for name in inner[:-1]:
        points += anchors[name].way
    return points
