"""What a picture is made of: boxes, words, lines, each at its place, in pixels from the top left.

Words are monospaced, so that their width is known without a font: DejaVu Sans Mono, Menlo and Liberation Mono have
letters of 0.602 of their size, Consolas narrower ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

LETTER = 0.602
SIZES = {"title": 16.0, "name": 13.0, "small": 11.0, "badge": 10.0}
"""Pixels of a letter's height, by what is written."""
ELLIPSIS = "…"


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: `kind` says how it looks, `within` the box it stands in, by `name`."""

    kind: str
    name: str
    x: float
    y: float
    width: float
    height: float
    within: str | None = None

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> Point:
        return Point(self.x + self.width / 2, self.y + self.height / 2)


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text that begins at `x`; `y` is its base line. `full`: the whole of what was cut."""

    kind: str
    text: str
    x: float
    y: float
    within: str | None = None
    full: str = ""
    bold: bool = False
    tone: str = ""

    @property
    def bounds(self) -> Box:
        """The rectangle that it fills."""
        size = SIZES[self.kind]
        return Box("bounds", self.text, self.x, self.y - 0.8 * size, width_of(self.text, self.kind), size)


@dataclass(frozen=True, slots=True)
class Line:
    """A cable, or a part of a packet's way."""

    kind: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Badge:
    """A number in a circle, explained below the picture."""

    number: int
    at: Point
    tone: str


Shape = Box | Words | Line | Badge


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes in the order of drawing, on a page."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def width_of(text: str, kind: str) -> float:
    """How wide the text is, in pixels."""
    return len(text) * SIZES[kind] * LETTER


def widest(texts: Sequence[str], kind: str) -> float:
    return max((width_of(text, kind) for text in texts), default=0.0)


def shortened(text: str, limit: int) -> str:
    """The text, its middle left out where it is longer than `limit` letters: the ends tell Pods apart."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return text[: limit - 1 - tail] + ELLIPSIS + text[len(text) - tail :]
