"""The plots of docs/pictures: what is drawn where, and that it is well-formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from bench.svg_plot import BOTTOM, COLOURS, HEIGHT, LEFT, MARKERS, RIGHT, TOP, WIDTH, Axis, Plot, Series

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = Axis("Services <of two endpoints>", (10, 100, 1000), logarithmic=True)
RATIO = Axis("times", (0, 1, 2))
LINES = (Series("iptables", 0, ((10, 0), (100, 1), (1000, 2))), Series("a & b", 3, ((10, 2), (1000, 2))))
PLOT = Plot("A title", "What it shows", x=COUNTS, y=RATIO, series=LINES, reference=(1, "direct"))


@pytest.fixture(scope="module")
def drawn() -> ElementTree.Element:
    return ElementTree.fromstring(PLOT.svg())


def texts(drawn: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in drawn.iter(f"{SVG}text")]


def points(drawn: ElementTree.Element) -> list[list[tuple[float, ...]]]:
    lines = [each.attrib["points"].split() for each in drawn.iter(f"{SVG}polyline")]
    return [[tuple(map(float, point.split(","))) for point in line] for line in lines]


def test_a_logarithmic_axis_gives_each_power_of_ten_the_same_length() -> None:
    assert [COUNTS.share(value) for value in (10, 100, 1000)] == pytest.approx([0, 0.5, 1])


def test_lines_go_from_corner_to_corner_of_the_axes(drawn: ElementTree.Element) -> None:
    middle = ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2)
    assert points(drawn)[0] == [(LEFT, HEIGHT - BOTTOM), middle, (WIDTH - RIGHT, TOP)]


def test_title_axes_ticks_and_legend_are_written_whatever_letters_they_have(drawn: ElementTree.Element) -> None:
    wanted = {"A title", "Services <of two endpoints>", "times", "10", "1 000", "0", "2", "iptables", "a & b", "direct"}
    assert wanted - set(texts(drawn)) == set()


def test_who_cannot_see_it_is_told_what_it_shows(drawn: ElementTree.Element) -> None:
    assert (drawn.attrib["role"], drawn.attrib["aria-labelledby"]) == ("img", "title desc")
    assert [drawn.findtext(f"{SVG}title"), drawn.findtext(f"{SVG}desc")] == ["A title", "What it shows"]


def test_every_mode_has_a_colour_and_a_marker_of_its_own() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(COLOURS) == 4


def test_a_point_has_a_marker_in_the_colour_of_its_line(drawn: ElementTree.Element) -> None:
    of_first = [each for each in drawn.iter(f"{SVG}g") if each.attrib["fill"] == COLOURS[0]]
    assert sum(len(each) for each in of_first) == len(LINES[0].points) + 1  # and the legend's
