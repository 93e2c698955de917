"""Pictures of labs: everything is in them, nothing stands on anything else, and no line touches a Service."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from netlab.api.simulate import simulate
from netlab.cli.app import app
from netlab.cli.graph import PictureFormat, drawn
from netlab.cli.main import run
from netlab.dns.addon import with_cluster_dns
from netlab.graph.anchors import Layout
from netlab.graph.layout import lay_out
from netlab.graph.scene import Scene, scene
from netlab.graph.shapes import Badge, Box, Line, Point, Words, shortened
from netlab.graph.svg import page, svg
from netlab.graph.way import add_way
from netlab.load import load_lab
from netlab.model.journey import Hop, Journey, PacketSeen, PacketVerdict, Way

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
LABS = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))
HAIR = 0.5
"""Pixels by which things may touch."""


@cache
def shown(lab: str) -> Scene:
    found = simulate(with_cluster_dns(load_lab(TOPOLOGIES / f"{lab}.yaml")))
    return scene(
        found.topology,
        nodes=found.nodes,
        pods=found.pods,
        services=found.services,
        endpoint_slices=found.endpoint_slices,
    )


def seen(destination: str, port: int) -> PacketSeen:
    return PacketSeen(src="10.244.0.3", dst=destination, proto="tcp", sport=40000, dport=port)


BEFORE, AFTER = seen("10.96.0.80", 80), seen("10.244.1.2", 8080)
JOURNEY = Journey(
    from_="pod/shell",
    to="service/web:80",
    verdict=PacketVerdict.REACHED,
    pod="web-2",
    meaning="node1 made the Service's address that of pod/web-2.",
    hops=(
        Hop(at="pod/shell", hook="link/eth0", packet=BEFORE),
        Hop(at="node/node1", hook="link/veth12345678", packet=BEFORE),
        Hop(at="node/node1", hook="nat/PREROUTING", packet=AFTER, changed=("dst", "dport")),
        Hop(at="node/node1", hook="link/eth0", packet=AFTER),
        Hop(at="fabric", hook="link/node1", packet=AFTER),
        Hop(at="node/node2", hook="link/eth0", packet=AFTER),
        Hop(at="node/node2", hook="link/cni0", packet=AFTER),
        Hop(at="pod/web-2", hook="socket", packet=AFTER, verdict=PacketVerdict.REACHED),
        Hop(at="pod/web-2", hook="link/eth0", way=Way.REPLY, packet=AFTER),
        Hop(at="node/node1", hook="nat/PREROUTING", way=Way.REPLY, packet=BEFORE, changed=("src", "sport")),
        Hop(at="pod/shell", hook="socket", way=Way.REPLY, packet=BEFORE),
    ),
)


@cache
def laid_out(lab: str, journey: Journey | None = None) -> Layout:
    layout = lay_out(shown(lab))
    if journey:
        add_way(layout, journey)
    return layout


PICTURES = [*((lab, None) for lab in LABS), ("two-nodes", JOURNEY)]
NAMES = [*LABS, "two-nodes with a packet's way"]
every_picture = pytest.mark.parametrize(("lab", "journey"), PICTURES, ids=NAMES)


def boxes(layout: Layout, *kinds: str) -> list[Box]:
    return [shape for shape in layout.shapes if isinstance(shape, Box) and (not kinds or shape.kind in kinds)]


def words(layout: Layout) -> list[Words]:
    return [shape for shape in layout.shapes if isinstance(shape, Words)]


def lines(layout: Layout) -> list[Line]:
    return [shape for shape in layout.shapes if isinstance(shape, Line)]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.right - HAIR
        and other.x < one.right - HAIR
        and one.y < other.bottom - HAIR
        and other.y < one.bottom - HAIR
    )


def inside(one: Box, other: Box) -> bool:
    return one.x >= other.x and one.right <= other.right and one.y >= other.y and one.bottom <= other.bottom


def segments(line: Line) -> list[Box]:
    """Each stretch of the line as a box that is as thin as a hair."""
    return [
        Box("segment", "", min(a.x, b.x) - 1, min(a.y, b.y) - 1, abs(a.x - b.x) + 2, abs(a.y - b.y) + 2)
        for a, b in pairwise(line.points)
    ]


@every_picture
def test_no_words_stand_on_others(lab: str, journey: Journey | None) -> None:
    for one, other in combinations(words(laid_out(lab, journey)), 2):
        assert not overlap(one.bounds, other.bounds), (one.text, other.text)


@every_picture
def test_words_and_boxes_stay_within_their_box_and_the_page(lab: str, journey: Journey | None) -> None:
    layout = laid_out(lab, journey)
    whole = Box("page", "page", 0, 0, layout.width, layout.height)
    by_name = {box.name: box for box in boxes(layout)}
    for shape in (*words(layout), *boxes(layout)):
        bounds = shape.bounds if isinstance(shape, Words) else shape
        assert inside(bounds, whole), bounds.name
        assert shape.within is None or inside(bounds, by_name[shape.within]), bounds.name


@every_picture
def test_boxes_of_the_same_level_are_apart(lab: str, journey: Journey | None) -> None:
    for one, other in combinations(boxes(laid_out(lab, journey)), 2):
        if one.within == other.within:
            assert not overlap(one, other), (one.name, other.name)


@every_picture
def test_no_line_touches_a_service_or_crosses_words(lab: str, journey: Journey | None) -> None:
    layout = laid_out(lab, journey)
    for line in lines(layout):
        for segment in segments(line):
            assert not [box.name for box in boxes(layout, "service") if overlap(segment, box)]
            assert not [each.text for each in words(layout) if overlap(segment, each.bounds)]


@every_picture
def test_a_cable_passes_no_pod_but_its_own(lab: str, journey: Journey | None) -> None:
    layout = laid_out(lab, journey)
    for line in lines(layout):
        ends = {box.name for box in boxes(layout, "pod") if overlap(segments(line)[0], box)}
        passed = {box.name for box in boxes(layout, "pod") for part in segments(line) if overlap(part, box)}
        last = {box.name for box in boxes(layout, "pod") if overlap(segments(line)[-1], box)}
        assert passed <= ends | last


@pytest.mark.parametrize("lab", LABS)
def test_every_place_and_address_is_in_every_form(lab: str) -> None:
    drawing = shown(lab)
    pods = [pod for node in drawing.nodes for pod in node.pods]
    names = [*(node.name for node in drawing.nodes), *(external.name for external in drawing.externals)]
    addresses = [address for machine in (*drawing.nodes, *drawing.externals, *pods) for address in machine.addresses]
    doors = [door for service in drawing.services for door in service.doors]
    for form in (PictureFormat.SVG, PictureFormat.HTML, PictureFormat.MERMAID, PictureFormat.DOT):
        text = drawn(drawing, form).decode()
        assert [each for each in (*names, *addresses, *doors, *(pod.name for pod in pods)) if each not in text] == []


@pytest.mark.parametrize("lab", LABS)
def test_the_same_lab_is_drawn_the_same(lab: str) -> None:
    shown.cache_clear()
    first = drawn(shown(lab), PictureFormat.SVG)
    shown.cache_clear()
    assert drawn(shown(lab), PictureFormat.SVG) == first


@pytest.mark.parametrize("lab", LABS)
def test_the_picture_is_one_well_formed_file_without_others(lab: str) -> None:
    for text in (svg(laid_out(lab).picture(lab)), page(laid_out(lab).picture(lab)).split("\n", 1)[1]):
        root = ElementTree.fromstring(re.sub(r"<meta[^>]*>", "", text))
        assert root.tag.rpartition("}")[2] in ("svg", "html")
        assert not re.search(r"href|url\(|@import|<script", text)


def test_services_are_dashed_and_every_pod_has_a_cable() -> None:
    layout = laid_out("two-nodes")
    assert {box.name for box in boxes(layout, "service")} == {
        "service/web",
        "service/web-outside",
        "service/kubernetes",
        "service/kube-system/kube-dns",
    }
    pods = boxes(layout, "pod")
    cabled = [box.name for box in pods if any(overlap(segments(line)[0], box) for line in lines(layout))]
    assert len(cabled) == len(pods) == 4
    assert "stroke-dasharray" in svg(layout.picture("x"))


def test_a_packets_way_goes_by_the_wire_and_ends_at_the_pod() -> None:
    layout = laid_out("two-nodes", JOURNEY)
    (request,) = (line for line in lines(layout) if line.kind == "request")
    by_name = {box.name: box for box in boxes(layout)}

    def passes(name: str) -> bool:
        return any(overlap(part, by_name[name]) for part in segments(request))

    assert passes("pod/shell")
    assert passes("pod/web-2")
    assert all(
        map(passes, ("node/node1 bridge", "node/node1 rules", "fabric", "node/node2 rules", "node/node2 bridge"))
    )
    assert not passes("pod/web-1")
    assert not passes("external/client")
    assert len([line for line in lines(layout) if line.kind == "reply"]) == 1


def test_a_way_on_one_node_does_not_go_by_the_wire() -> None:
    layout = lay_out(shown("two-nodes"))
    hops = tuple(
        Hop(at=at, hook=hook, packet=AFTER)
        for at, hook in (("pod/shell", "link/eth0"), ("node/node1", "nat/PREROUTING"), ("pod/web-1", "socket"))
    )
    add_way(layout, JOURNEY.model_copy(update={"hops": (), "prediction": hops}))
    (way,) = (line for line in lines(layout) if line.kind == "request")
    fabric = next(box for box in boxes(layout) if box.name == "fabric")
    assert max(point.y for point in way.points) < fabric.y


def test_what_happens_on_the_way_has_a_number_and_an_explanation() -> None:
    layout = laid_out("two-nodes", JOURNEY)
    badges = [shape for shape in layout.shapes if isinstance(shape, Badge)]
    assert [badge.number for badge in badges] == [1, 2, 3]
    assert len({badge.at for badge in badges}) == 3
    said = [each.text for each in words(layout)]
    assert "1  node/node1 nat/PREROUTING: dst becomes 10.244.1.2, dport becomes 8080" in said
    assert "2  pod/web-2 socket: reached" in said
    assert JOURNEY.meaning in said
    assert "pod/shell to service/web:80: reached by pod/web-2" in said


def test_a_place_that_is_not_in_the_picture_is_passed_over() -> None:
    layout = lay_out(shown("minimal"))
    add_way(layout, JOURNEY)
    assert all(isinstance(point, Point) for line in lines(layout) for point in line.points)


def test_a_long_name_loses_its_middle() -> None:
    assert shortened("web-1", 25) == "web-1"
    assert shortened("a" * 20 + "b" * 20, 9) == "aaaa…bbbb"


def test_the_command_draws_a_file_and_takes_the_form_from_the_files_name(tmp_path: Path) -> None:
    run = CliRunner()
    file = str(TOPOLOGIES / "two-nodes.yaml")
    assert run.invoke(app, ["graph", "-f", file]).stdout.startswith("<svg ")
    assert run.invoke(app, ["graph", "-f", file, "-o", "mermaid"]).stdout.startswith("flowchart TB\n")
    for name, beginning in (("lab.html", b"<!doctype html>"), ("lab.dot", b"graph "), ("lab.svg", b"<svg ")):
        assert run.invoke(app, ["graph", "-f", file, "-w", str(tmp_path / name)]).exit_code == 0
        assert (tmp_path / name).read_bytes().startswith(beginning)


def test_of_a_file_the_foretold_way_is_drawn_where_a_form_has_places_for_it() -> None:
    ends = ["--trace", "pod/shell", "pod/web-2:8080"]
    arguments = ["graph", "-f", str(TOPOLOGIES / "two-nodes.yaml"), *ends]
    assert "pod/shell to pod/web-2:8080: reached by pod/web-2" in CliRunner().invoke(app, arguments).stdout
    assert run([*arguments, "-o", "dot"]) == 2


def test_a_png_is_an_image_of_twice_the_size() -> None:
    data = drawn(shown("two-nodes"), PictureFormat.PNG, journey=JOURNEY)
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    layout = laid_out("two-nodes", JOURNEY)
    assert data.startswith(b"\x89PNG\r\n")
    assert abs(width - 2 * layout.width) <= 2
    assert abs(height - 2 * layout.height) <= 2


def test_without_resvg_a_png_ends_with_3_and_says_what_to_install(tmp_path: Path) -> None:
    """As where netlab was installed without its extra `png`."""
    arguments = ["graph", "-f", str(TOPOLOGIES / "minimal.yaml"), "-w", str(tmp_path / "lab.png")]
    script = f"import sys; sys.modules['resvg_py'] = None; from netlab.cli.main import run; sys.exit(run({arguments}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install resvg-py" in done.stderr
