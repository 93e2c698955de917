"""A plot as SVG text: lines with markers over two axes, and a legend.

Colour-blind people tell the colours apart too (they are of Okabe and Ito's palette), and each line has its own marker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 84, 104, 78, 72
COLOURS = ("#0072b2", "#d55e00", "#cc79a7", "#009e73")
MARKERS = (
    '<circle cx="{x}" cy="{y}" r="5.5"/>',
    '<rect x="{x}" y="{y}" width="10" height="10" transform="translate(-5 -5)"/>',
    '<path d="M{x} {y} m0 -7 l7 7 l-7 7 l-7 -7 z"/>',
    '<path d="M{x} {y} m0 -7 l6.5 11.5 h-13 z"/>',
)
STYLE = """\
    .page { fill: #ffffff }
    .grid { stroke: #d0d7de; stroke-width: 1 }
    .one { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 6 4 }
    .line { fill: none; stroke-width: 2.5 }
    text { font-family: ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; font-size: 14px; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 12px; fill: #57606a }"""


@dataclass(frozen=True)
class Axis:
    """What is along it, and the values that are marked; it reaches from the first to the last."""

    label: str
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """How far along the axis the value is: 0 to 1."""
        first, last, at = (log10(v) if self.logarithmic else v for v in (self.ticks[0], self.ticks[-1], value))
        return (at - first) / (last - first)


@dataclass(frozen=True)
class Series:
    """A line: its name and its points. `number` chooses colour and marker."""

    name: str
    number: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """What is drawn. `reference` is a value of `y` with a line of its own, and what that is."""

    title: str
    description: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    reference: tuple[float, str]

    def svg(self) -> str:
        """The picture as text."""
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
                'aria-labelledby="title desc">',
                f'  <title id="title">{escape(self.title)}</title>',
                f'  <desc id="desc">{escape(self.description)}</desc>',
                f"  <style>\n{STYLE}\n  </style>",
                f'  <rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
                f'  <text class="title" x="{LEFT}" y="28">{escape(self.title)}</text>',
                *self._axes(),
                *self._reference(),
                *(text for each in self.series for text in self._line(each)),
                *self._legend(),
                "</svg>\n",
            )
        )

    def _axes(self) -> Iterator[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for tick in self.x.ticks:
            x = self._x(tick)
            yield f'  <line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}"/>'
            yield f'  <text x="{x}" y="{bottom + 22}" text-anchor="middle">{_number(tick)}</text>'
        for tick in self.y.ticks:
            y = self._y(tick)
            yield f'  <line class="grid" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>'
            yield f'  <text x="{LEFT - 10}" y="{y + 5}" text-anchor="end">{_number(tick)}</text>'
        middle, centre = (LEFT + right) / 2, (TOP + bottom) / 2
        yield f'  <text x="{middle}" y="{HEIGHT - 20}" text-anchor="middle">{escape(self.x.label)}</text>'
        turned = f'transform="rotate(-90 24 {centre})"'
        yield f'  <text x="24" y="{centre}" text-anchor="middle" {turned}>{escape(self.y.label)}</text>'

    def _reference(self) -> Iterator[str]:
        value, name = self.reference
        y = self._y(value)
        yield f'  <line class="one" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
        yield f'  <text class="small" x="{WIDTH - RIGHT + 8}" y="{y + 4}">{escape(name)}</text>'

    def _line(self, series: Series) -> Iterator[str]:
        colour = COLOURS[series.number]
        places = [(self._x(x), self._y(y)) for x, y in series.points]
        points = " ".join(f"{x},{y}" for x, y in places)
        yield f'  <polyline class="line" stroke="{colour}" points="{points}"/>'
        markers = "".join(MARKERS[series.number].format(x=x, y=y) for x, y in places)
        yield f'  <g fill="{colour}">{markers}</g>'

    def _legend(self) -> Iterator[str]:
        for column, series in enumerate(self.series):
            x, y = LEFT + 8 + 130 * column, TOP - 24
            yield f'  <g fill="{COLOURS[series.number]}">{MARKERS[series.number].format(x=x, y=y)}</g>'
            yield f'  <text x="{x + 14}" y="{y + 5}">{escape(series.name)}</text>'

    def _x(self, value: float) -> float:
        return round(LEFT + self.x.share(value) * (WIDTH - RIGHT - LEFT), 1)

    def _y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - self.y.share(value) * (HEIGHT - BOTTOM - TOP), 1)


def _number(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value:,.0f}".replace(",", " ")
