"""A picture as SVG: one text, no other file, light or dark as the reader's screen is."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from netlab.graph.shapes import SIZES, Badge, Box, Line, Picture, Shape, Words

FONT = "'DejaVu Sans Mono', ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace"
LIGHT = """\
.page { fill: #ffffff }
.node { fill: #f6f8fa; stroke: #57606a }
.external { fill: #f6f8fa; stroke: #57606a }
.pod { fill: #ddf4ff; stroke: #0969da }
.bridge { fill: #eaeef2; stroke: #57606a }
.rules { fill: #fff8c5; stroke: #9a6700 }
.service { fill: none; stroke: #8250df; stroke-width: 1.8; stroke-dasharray: 7 5 }
.wire { fill: none; stroke: #57606a; stroke-width: 1.6 }
.request { fill: none; stroke: #1a7f37; stroke-width: 4; stroke-opacity: 0.75 }
.reply { fill: none; stroke: #bc4c00; stroke-width: 3; stroke-opacity: 0.75; stroke-dasharray: 2 5 }
.badge-request { fill: #1a7f37 }
.badge-reply { fill: #bc4c00 }
text { fill: #1f2328 }
text.small { fill: #424a53 }
text.violet { fill: #6639ba }
text.amber { fill: #7d4e00 }
text.blue { fill: #0550ae }
text.badge { fill: #ffffff }
"""
DARK = """\
.page { fill: #0d1117 }
.node, .external { fill: #161b22; stroke: #8b949e }
.pod { fill: #0c2d6b; stroke: #58a6ff }
.bridge { fill: #30363d; stroke: #8b949e }
.rules { fill: #3b2300; stroke: #d29922 }
.service { stroke: #bc8cff }
.wire { stroke: #8b949e }
.request { stroke: #3fb950 }
.reply { stroke: #f0883e }
text { fill: #e6edf3 }
text.small { fill: #c9d1d9 }
text.violet { fill: #d2a8ff }
text.amber { fill: #e3b341 }
text.blue { fill: #a5d6ff }
"""
ROUND = {"node": 10, "service": 8}
SHAPED = "stroke-linejoin: round; stroke-linecap: round"


def svg(picture: Picture, *, dark: bool = True) -> str:
    """The picture; with `dark` it also follows a screen that prefers dark colours."""
    width, height = round(picture.width), round(picture.height)
    sizes = "".join(f"text.{kind} {{ font-size: {size:g}px }}\n" for kind, size in SIZES.items())
    night = f"@media (prefers-color-scheme: dark) {{\n{DARK}}}\n" if dark else ""
    body = "\n".join(line for shape in picture.shapes for line in _drawn(shape))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img">\n<title>{escape(picture.title)}</title>\n'
        f"<style>\ntext {{ font-family: {FONT}; white-space: pre }}\nrect {{ stroke-width: 1.4 }}\n"
        f"polyline {{ {SHAPED} }}\n{sizes}{LIGHT}{night}</style>\n"
        f'<rect class="page" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
    )


def page(picture: Picture) -> str:
    """The picture in a page of its own for a browser."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(picture.title)}</title>\n"
        "<style>body { margin: 0; display: flex; justify-content: center } svg { max-width: 100%; height: auto }\n"
        "@media (prefers-color-scheme: dark) { body { background: #0d1117 } }</style>\n"
        f"</head>\n<body>\n{svg(picture)}</body>\n</html>\n"
    )


def _drawn(shape: Shape) -> Iterator[str]:
    match shape:
        case Box():
            yield (
                f'<rect class="{shape.kind}" x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
                f'height="{shape.height:.1f}" rx="{ROUND.get(shape.kind, 5)}"/>'
            )
        case Words():
            yield _text(shape)
        case Line():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            yield f'<polyline class="{shape.kind}" points="{points}"/>'
        case Badge():
            x, y = shape.at
            yield f'<circle class="badge-{shape.tone}" cx="{x:.1f}" cy="{y:.1f}" r="8"/>'
            yield f'<text class="badge" x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle">{shape.number}</text>'


def _text(words: Words) -> str:
    classes = quoteattr(" ".join(filter(None, (words.kind, words.tone))))
    weight = ' font-weight="600"' if words.bold else ""
    hint = f"<title>{escape(words.full)}</title>" if words.full else ""
    return f'<text class={classes} x="{words.x:.1f}" y="{words.y:.1f}"{weight}>{escape(words.text)}{hint}</text>'
