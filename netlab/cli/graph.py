"""graph: a lab as a picture."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netlab.cli.mistakes import wrong
from netlab.cli.options import Lab
from netlab.cli.output import write
from netlab.cli.views import view_of

if TYPE_CHECKING:
    from netlab.graph.scene import Scene
    from netlab.model.journey import Journey


class PictureFormat(StrEnum):
    """What `-o` takes."""

    SVG = "svg"
    PNG = "png"
    HTML = "html"
    MERMAID = "mermaid"
    DOT = "dot"


SUFFIXES = {f".{each.value}": each for each in PictureFormat} | {
    ".htm": PictureFormat.HTML,
    ".mmd": PictureFormat.MERMAID,
    ".gv": PictureFormat.DOT,
}


WITHOUT_WAY = (PictureFormat.MERMAID, PictureFormat.DOT)
"""Forms that are laid out by whoever reads them."""


def graph(
    *,
    file: Annotated[
        Path | None, typer.Option("--filename", "-f", metavar="FILE", help="A topology file, instead of a running lab.")
    ] = None,
    output: Annotated[
        PictureFormat | None, typer.Option("--output", "-o", help="What to draw; svg, or what -w FILE is called.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--write", "-w", metavar="FILE", help="Write there, not to standard output.")
    ] = None,
    trace: Annotated[
        tuple[str, str] | None,
        typer.Option("--trace", metavar="FROM TO", help="Draw one flow's way over it; with -f the foretold one."),
    ] = None,
    lab: Lab = None,
) -> None:
    """Draw a lab: nodes, Pods, bridges and wires with their addresses, and Services, which no wire touches.

    A lab that runs, or with -f what a file describes; that needs no root.
    """
    form = output or SUFFIXES.get(to.suffix if to else "", PictureFormat.SVG)
    if trace and form in WITHOUT_WAY:
        raise wrong(
            f"--trace cannot be drawn as {form}", "choose svg, png or html; netlab trace -o mermaid draws a sequence"
        )
    journey = _journey(trace, file=file, lab=lab) if trace else None
    from netlab.lab.picture import scene_of

    data = drawn(scene_of(view_of(file, lab)), form, journey=journey)
    if to:
        to.write_bytes(data)
    elif form is not PictureFormat.PNG:
        write(data.decode())
    elif sys.stdout.isatty():
        raise wrong("a PNG is nothing for a terminal", "add -w lab.png")
    else:
        sys.stdout.buffer.write(data)


def drawn(scene: Scene, form: PictureFormat, *, journey: Journey | None = None) -> bytes:
    """The picture, with a packet's way over it where one is given; MissingCapability: PNG cannot be made here."""
    from netlab.graph import svg, text
    from netlab.graph.layout import lay_out
    from netlab.graph.way import add_way

    if form is PictureFormat.MERMAID:
        return text.mermaid(scene).encode()
    if form is PictureFormat.DOT:
        return text.dot(scene).encode()
    layout = lay_out(scene)
    if journey:
        add_way(layout, journey)
    picture = layout.picture(f"lab {scene.lab}")
    match form:
        case PictureFormat.HTML:
            return svg.page(picture).encode()
        case PictureFormat.PNG:
            from netlab.cli.png import png

            return png(svg.svg(picture, dark=False))
    return svg.svg(picture).encode()


def _journey(ends: tuple[str, str], *, file: Path | None, lab: str | None) -> Journey:
    """A real flow's; of a file, the foretold one."""
    from netlab.cli.arguments import place, target
    from netlab.cli.traces import foretold
    from netlab.lab.find import find
    from netlab.lab.traced import traced

    source, aim = place(ends[0]), target(ends[1])
    return foretold(view_of(file, lab), source, aim)[0] if file else traced(find(lab), source, aim)[0]
