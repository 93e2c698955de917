"""A failed test on a page: what was expected, the journey, the lab as a drawing, its packets on a time line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from netlab.testing.packets import Captured, Sight

MOST_SHOWN = 2000
"""Packets; the file has all of them."""
LANE, LEFT, WIDTH = 26, 190, 1100
"""Pixels: the height of a place's lane, where time begins, how wide the time line is."""
QUIET = ("ARP", "ICMP6, neighbor", "ICMP6, router", "ICMP6, multicast")
"""How packets begin that are about the wire itself."""
STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1300px; padding: 0 1rem;
       color: #1f2328; background: #fff }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; margin-top: 2rem }
pre { background: #f6f8fa; padding: .8rem; overflow-x: auto; border-radius: 6px; font-size: 13px }
table { border-collapse: collapse; font: 13px/1.4 ui-monospace, monospace } td { padding: .1rem .6rem .1rem 0 }
svg { max-width: 100%; height: auto } .quiet { opacity: .45 } summary { cursor: pointer; padding: .2rem 0 }
.lane { stroke: #d0d7de } .in { fill: #0969da } .out { fill: #bc4c00 } .label { font: 13px ui-monospace, monospace }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } pre { background: #161b22 } .lane { stroke: #30363d }
  .label { fill: #e6edf3 } .in { fill: #58a6ff } .out { fill: #f0883e }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page shows. `nodes` are texts by node and by file, `pods` logs by Pod; `drawing` is SVG."""

    title: str
    lab: str
    failure: str
    story: str
    drawing: str
    captured: Captured | None
    nodes: Mapping[str, Mapping[str, str]]
    pods: Mapping[str, str]


def page(shown: Page) -> str:
    """The whole page, which needs no other file."""
    return "\n".join(
        ("<!doctype html>", '<html lang="en">', *_head(shown), "<body>", *_body(shown), "</body></html>", "")
    )


def _head(shown: Page) -> Iterator[str]:
    yield f'<head><meta charset="utf-8"><title>{escape(shown.title)}</title>'
    yield f"<style>\n{STYLE}</style></head>"


def _body(shown: Page) -> Iterator[str]:
    yield f"<h1>{escape(shown.title)}</h1>"
    yield f"<p>failed in lab {escape(shown.lab)}</p>"
    yield f"<pre>{escape(shown.failure)}</pre>"
    if shown.story:
        yield f"<h2>The last probe</h2><pre>{escape(shown.story)}</pre>"
    yield f"<h2>The lab</h2>{shown.drawing}"
    yield from _packets(shown.captured)
    for node, texts in shown.nodes.items():
        yield f"<h2>node/{escape(node)}</h2>"
        yield from (_folded(file, text) for file, text in texts.items())
    yield "<h2>Pods</h2>"
    yield from (_folded(pod, text) for pod, text in shown.pods.items())


def _folded(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def _packets(captured: Captured | None) -> Iterator[str]:
    yield "<h2>Its packets</h2>"
    if captured is None:
        yield "<p>None were recorded.</p>"
        return
    sights = tuple(captured.sights())
    yield f"<p>{len(sights)} sights of packets at {len(captured.places)} places; packets.pcapng has them whole.</p>"
    yield from _time_line(captured.places, sights)
    yield "<details open><summary>one by one</summary><table>"
    yield from map(_row, sights[:MOST_SHOWN])
    yield "</table></details>"
    if len(sights) > MOST_SHOWN:
        yield f"<p>and {len(sights) - MOST_SHOWN} more</p>"


def _row(sight: Sight) -> str:
    way = "in" if sight.incoming else "out"
    cells = (f"{sight.milliseconds:.3f} ms", sight.place, sight.interface, way, sight.text)
    quiet = ' class="quiet"' if _is_quiet(sight) else ""
    return f"<tr{quiet}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _is_quiet(sight: Sight) -> bool:
    return sight.text.removeprefix("IP6 ").startswith(QUIET) or " ICMP6, " in sight.text


def _time_line(places: Sequence[str], sights: Sequence[Sight]) -> Iterator[str]:
    """A lane a place, time from left to right; what a dot is, the pointer tells."""
    shown = sights[:MOST_SHOWN]
    last = max((sight.milliseconds for sight in shown), default=0.0) or 1.0
    passed = {sight.place for sight in shown}
    lanes = {place: LANE * (number + 1) for number, place in enumerate(each for each in places if each in passed)}
    height = LANE * (len(lanes) + 2)
    yield f'<svg viewBox="0 0 {LEFT + WIDTH + 20} {height}" role="img"><title>packets by place and time</title>'
    for place, y in lanes.items():
        yield f'<line class="lane" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>'
        yield f'<text class="label" x="0" y="{y + 4}">{escape(place)}</text>'
    for sight in shown:
        x, y = LEFT + WIDTH * sight.milliseconds / last, lanes[sight.place]
        kind = f"{'in' if sight.incoming else 'out'}{' quiet' if _is_quiet(sight) else ''}"
        said = f"{sight.milliseconds:.3f} ms {sight.interface}: {sight.text}"
        yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4"><title>{escape(said)}</title></circle>'
    yield f'<text class="label" x="{LEFT}" y="{height - 6}">0 ms</text>'
    yield f'<text class="label" x="{LEFT + WIDTH - 60}" y="{height - 6}">{last:.1f} ms</text></svg>'
