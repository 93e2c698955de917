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
    lab: Lab = None,
) -> None:
    """Draw a lab: nodes, Pods, bridges and wires with their addresses, and Services, which no wire touches.

    A lab that runs, or with -f what a file describes; that needs no root.
    """
    form = output or SUFFIXES.get(to.suffix if to else "", PictureFormat.SVG)
    data = drawn(_of_file(file) if file else _of_lab(lab), form)
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


def _of_file(file: Path) -> Scene:
    from netlab.api.simulate import simulate
    from netlab.cli.documents import read_topology
    from netlab.dns.addon import with_cluster_dns
    from netlab.graph.scene import scene

    lab = simulate(with_cluster_dns(read_topology(file)))
    return scene(
        lab.topology,
        nodes=lab.nodes,
        pods=lab.pods,
        services=lab.services,
        endpoint_slices=lab.endpoint_slices,
    )


def _of_lab(lab: str | None) -> Scene:
    from netlab.api.sync_client import SyncClient
    from netlab.graph.scene import scene
    from netlab.lab.find import find
    from netlab.model.objects import EndpointSlice, Node, Pod, Service
    from netlab.model.topology import Topology

    paths = find(lab)
    with SyncClient(paths.api_socket) as client:
        return scene(
            client.get(Topology, paths.lab),
            nodes=client.list(Node)[0],
            pods=client.list(Pod)[0],
            services=client.list(Service)[0],
            endpoint_slices=client.list(EndpointSlice)[0],
        )
