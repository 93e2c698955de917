"""Where everything stands: Services above, nodes side by side below them, then the wire, outsiders at the foot.

A tree hangs on the wire: machines by cables, in a node its rules, above them the bridge, on it the Pods. So there is
one way from any place to any other, which is what a packet's way is drawn along (`netlab.graph.way`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from netlab.graph.anchors import Anchor, Layout
from netlab.graph.scene import JOIN, ExternalDrawn, NodeDrawn, PodDrawn, Scene, ServiceDrawn
from netlab.graph.shapes import Box, Line, Point, Shape, Words, shortened, widest, width_of

MARGIN, GAP, PADDING = 24.0, 28.0, 10.0
ROW = 16.0
"""From one base line to the next."""
LONGEST_NAME = 25
LANE = 5.0
"""Between two cables that run side by side."""
BAR, CHIP = 36.0, 30.0
TRACK = 9.0
"""Below a bar's upper edge is where a packet's way runs; words stand below that."""
BESIDE = 14.0
"""From words to a cable, and from a cable to the end of the box that it goes through."""
BADGES = 96.0
"""Room beside a node's rules for the numbers of what happens there."""
LEAST_WIDTH = 640.0


def lay_out(scene: Scene) -> Layout:
    """The whole picture but for a packet's way."""
    pod_width, pod_height = _pod_size(scene)
    sizes = [_node_width(node, pod_width) for node in scene.nodes]
    inner = max(
        sum(sizes) + GAP * (len(sizes) - 1),
        _wire_width(scene),
        _services_width(scene.services),
        LEAST_WIDTH,
    )
    layout = Layout(width=inner + 2 * MARGIN)
    title = f"lab {scene.lab}"
    layout.shapes.append(Words("title", title, MARGIN, MARGIN + 14, bold=True))
    top = _services(layout, scene.services, MARGIN + 34)
    tallest = max((_node_height(node, pod_height) for node in scene.nodes), default=0.0)
    wire = _wire(layout, scene, top + tallest + GAP)
    x = MARGIN + (inner - sum(sizes) - GAP * (len(sizes) - 1)) / 2
    for node, width in zip(scene.nodes, sizes, strict=True):
        box = Box("node", node.place, x, top, width, tallest)
        _Node(layout, node, box, wire).draw(pod_width, pod_height)
        x += width + GAP
    layout.height = _externals(layout, scene, wire) + MARGIN
    return layout


# --- Services: dashed, and touched by no line


def _service_lines(service: ServiceDrawn) -> tuple[str, ...]:
    return (*service.doors, service.endpoints)


def _service_width(service: ServiceDrawn) -> float:
    head = width_of(f"{service.name}  ", "name") + width_of(service.kind, "small")
    return max(head, widest(_service_lines(service), "small")) + 2 * PADDING


def _services_width(services: Sequence[ServiceDrawn]) -> float:
    return max(map(_service_width, services), default=0.0)


def _services(layout: Layout, services: Sequence[ServiceDrawn], y: float) -> float:
    """In as many rows as it takes; where what comes next may begin."""
    if not services:
        return y
    caption = "Services are virtual: no interface has these addresses, rules on every node stand for them"
    layout.shapes.append(Words("small", caption, MARGIN, y + 8, tone="violet"))
    y += ROW
    for row in _rows(services, layout.width - 2 * MARGIN):
        height = max(len(_service_lines(service)) for service in row) * ROW + ROW + 2 * PADDING
        x = MARGIN
        for service in row:
            _service(layout, service, Box("service", f"service/{service.name}", x, y, _service_width(service), height))
            x += _service_width(service) + GAP / 2
        y += height + GAP / 2
    return y + GAP / 2


def _rows(services: Sequence[ServiceDrawn], room: float) -> Iterator[list[ServiceDrawn]]:
    row: list[ServiceDrawn] = []
    used = 0.0
    for service in services:
        width = _service_width(service) + GAP / 2
        if row and used + width - GAP / 2 > room:
            yield row
            row, used = [], 0.0
        row.append(service)
        used += width
    yield row


def _service(layout: Layout, service: ServiceDrawn, box: Box) -> None:
    x, y = box.x + PADDING, box.y + PADDING + 11
    name_end = x + width_of(f"{service.name}  ", "name")
    layout.shapes += [
        box,
        Words("name", service.name, x, y, within=box.name, bold=True, tone="violet"),
        Words("small", service.kind, name_end, y, within=box.name),
        *_lines(_service_lines(service), x, y + ROW, box),
    ]


def _lines(texts: Iterable[str], x: float, y: float, box: Box) -> list[Shape]:
    return [Words("small", text, x, y + row * ROW, within=box.name) for row, text in enumerate(texts)]


# --- nodes


def _pod_size(scene: Scene) -> tuple[float, float]:
    """All Pods are of one size."""
    pods = [pod for node in scene.nodes for pod in node.pods]
    names = [shortened(pod.name, LONGEST_NAME) for pod in pods]
    lines = [line for pod in pods for line in pod.lines]
    rows = max((len(pod.addresses) for pod in pods), default=1)
    return max(widest(names, "name"), widest(lines, "small"), 70.0) + 2 * PADDING, ROW * (rows + 1) + PADDING


def _columns(pods: int) -> int:
    if pods <= 3:
        return max(1, pods)
    return 2 if pods <= 14 else ceil(pods / 8)


def _grid(node: NodeDrawn) -> tuple[int, int]:
    columns = _columns(len(node.pods))
    return columns, ceil(len(node.pods) / columns)


def _lanes(node: NodeDrawn) -> float:
    """Room left of a column of Pods for the cables of its rows; a single row's go straight down."""
    rows = _grid(node)[1]
    return (rows + 1) * LANE if rows > 1 else 0.0


def _chip_text(node: NodeDrawn) -> str:
    return f"kube-proxy's rules: {node.mode}"


def _node_width(node: NodeDrawn, pod_width: float) -> float:
    columns, _ = _grid(node)
    pods = columns * (pod_width + _lanes(node)) + (columns - 1) * PADDING
    head = width_of(node.name, "title")
    return max(pods + 2 * PADDING, head + 2 * PADDING, _left_of_spine(node) + BESIDE + BADGES + PADDING)


def _left_of_spine(node: NodeDrawn) -> float:
    """What must stand left of the cable that goes down through bridge and rules: the words on both."""
    joint, chip = width_of(JOIN.join(node.joint), "small"), width_of(_chip_text(node), "small")
    return 2 * PADDING + max(joint, chip) + BESIDE


def _head_height(node: NodeDrawn) -> float:
    return PADDING + 18 + ROW * len(node.addresses) + 6


def _node_height(node: NodeDrawn, pod_height: float) -> float:
    _, rows = _grid(node)
    pods = rows * (pod_height + PADDING) if node.pods else 0.0
    return _head_height(node) + pods + GAP + BAR + GAP / 2 + CHIP + GAP


class _Node:
    """One node's box and what is in it, from the top down: Pods, bridge, rules, its cable to the wire."""

    def __init__(self, layout: Layout, node: NodeDrawn, box: Box, wire: Box) -> None:
        self.layout, self.node, self.box, self.wire = layout, node, box, wire
        self.spine = box.x + max(box.width / 2, _left_of_spine(node))
        left = self.spine - BESIDE - width_of(_chip_text(node), "small") - PADDING
        chip_y = box.bottom - GAP - CHIP
        self.rules = Box(
            "rules", f"{node.place} rules", left, chip_y, self.spine + BESIDE - left, CHIP, within=box.name
        )
        bar_y = chip_y - GAP / 2 - BAR
        self.joint = Box(
            "bridge", f"{node.place} bridge", box.x + PADDING, bar_y, box.width - 2 * PADDING, BAR, within=box.name
        )

    def draw(self, pod_width: float, pod_height: float) -> None:
        self.layout.shapes.append(self.box)
        self._head()
        self._spine()
        self._pods(pod_width, pod_height)

    def _head(self) -> None:
        x, y, name = self.box.x + PADDING, self.box.y + PADDING + 13, self.box.name
        self.layout.shapes.append(Words("title", self.node.name, x, y, within=name, bold=True))
        self.layout.shapes += _lines((f"eth0 {text}" for text in self.node.addresses), x, y + 17, self.box)

    def _spine(self) -> None:
        """Bridge, rules, and the cable to the wire, one below the other."""
        center, place = self.spine, self.node.place
        foot = Point(center, self.box.bottom)
        landing = Point(center, self.wire.y + TRACK)
        crossing, turn = Point(center, self.joint.y + TRACK), Point(center, self.rules.middle.y)
        anchors = {
            f"{place} bridge": Anchor(crossing, self.joint, self.rules.name, (turn,)),
            f"{place} rules": Anchor(turn, self.rules, f"{place} eth0", (foot,)),
            f"{place} eth0": Anchor(foot, self.box, f"fabric {place}", (landing,)),
            f"fabric {place}": Anchor(landing, self.wire),
        }
        self.layout.anchors |= anchors
        down = (
            (Point(center, self.joint.bottom), Point(center, self.rules.y)),
            (Point(center, self.rules.bottom), Point(center, self.wire.y)),
        )
        self.layout.shapes += [*(Line("wire", points) for points in down), self.joint, self.rules]
        self.layout.shapes += [
            _on(self.joint, JOIN.join(self.node.joint), y=self.joint.bottom - PADDING),
            _on(self.rules, _chip_text(self.node), y=self.rules.middle.y + 4, tone="amber"),
        ]

    def _pods(self, width: float, height: float) -> None:
        columns, rows = _grid(self.node)
        step = width + _lanes(self.node) + PADDING
        left = self.box.middle.x - (columns * step - PADDING) / 2
        top = self.box.y + _head_height(self.node)
        for number, pod in enumerate(self.node.pods):
            row, column = divmod(number, columns)
            x = left + column * step + _lanes(self.node)
            box = Box("pod", pod.place, x, top + row * (height + PADDING), width, height, within=self.box.name)
            way = self._cable(box, row=row, rows=rows)
            self._pod(pod, box, way)

    def _cable(self, box: Box, *, row: int, rows: int) -> tuple[Point, ...]:
        """A row's cables run outside those of the rows below it, so that none crosses another."""
        if rows == 1:
            return (Point(box.middle.x, box.bottom), Point(box.middle.x, self.joint.y))
        lane = box.x - LANE * (rows - row)
        return (Point(box.x, box.middle.y), Point(lane, box.middle.y), Point(lane, self.joint.y))

    def _pod(self, pod: PodDrawn, box: Box, way: tuple[Point, ...]) -> None:
        name = shortened(pod.name, LONGEST_NAME)
        full = pod.name if name != pod.name else ""
        x, y = box.x + PADDING, box.y + ROW
        if pod.cabled:
            self.layout.shapes.append(Line("wire", way))
        on_bridge = Point(way[-1].x, self.joint.y + TRACK)
        end = (self.joint if pod.cabled else self.rules).name
        along = (*way, on_bridge, self.layout.anchors[end].at) if pod.cabled else (self.layout.anchors[end].at,)
        self.layout.anchors[pod.place] = Anchor(way[0], box, end, along)
        self.layout.shapes += [
            box,
            Words("name", name, x, y, within=box.name, full=full, bold=True, tone="blue"),
            *_lines(pod.lines, x, y + ROW - 1, box),
        ]


def _on(box: Box, text: str, *, y: float, tone: str = "") -> Words:
    return Words("small", text, box.x + PADDING, y, within=box.name, tone=tone)


# --- the wire, and who is outside


def _external_width(external: ExternalDrawn) -> float:
    return max(width_of(external.name, "name"), widest(external.addresses, "small")) + 2 * PADDING


def _wire_width(scene: Scene) -> float:
    return width_of(scene.wire, "small") + 2 * PADDING + sum(_external_width(each) + GAP for each in scene.externals)


def _wire(layout: Layout, scene: Scene, y: float) -> Box:
    """The words stand at the left below the track; the cables of externals come from below, right of the words."""
    box = Box("bridge", "fabric", MARGIN, y, layout.width - 2 * MARGIN, BAR)
    layout.shapes += [box, _on(box, scene.wire, y=box.bottom - PADDING)]
    return box


def _externals(layout: Layout, scene: Scene, wire: Box) -> float:
    """In a row; the bottom of what was drawn."""
    x, y = wire.x + 2 * PADDING + width_of(scene.wire, "small"), wire.bottom + GAP
    for external in scene.externals:
        width = _external_width(external)
        height = ROW * (1 + len(external.addresses)) + PADDING
        box = Box("external", external.place, x, y, width, height)
        top = Point(box.middle.x, box.y)
        landing = Point(top.x, wire.y + TRACK)
        layout.anchors[external.place] = Anchor(top, box, f"fabric {external.place}", (landing,))
        layout.anchors[f"fabric {external.place}"] = Anchor(landing, wire)
        layout.shapes += [
            Line("wire", (Point(top.x, wire.bottom), top)),
            box,
            Words("name", external.name, x + PADDING, y + ROW, within=box.name, bold=True),
            *_lines(external.addresses, x + PADDING, y + 2 * ROW - 1, box),
        ]
        x += width + GAP
    return y + max((ROW * (1 + len(each.addresses)) + PADDING for each in scene.externals), default=-GAP)
