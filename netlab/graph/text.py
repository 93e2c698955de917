"""The picture for other programs to lay out: Mermaid (as in Markdown), Graphviz' dot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netlab.graph.scene import NodeDrawn, Scene, ServiceDrawn


def mermaid(scene: Scene) -> str:
    """A Mermaid flowchart; Services have no edge."""
    lines = ["flowchart TB", f"  fabric[/{_quoted(scene.wire)}/]"]
    for service in scene.services:
        lines.append(f"  {_id('service', service.name)}({_quoted(*_service(service))}):::service")
    for node in scene.nodes:
        lines += _mermaid_node(node)
    for external in scene.externals:
        name = _id("external", external.name)
        lines += [f"  {name}[{_quoted(external.name, *external.addresses)}]", f"  fabric --- {name}"]
    return "\n".join([*lines, "  classDef service stroke-dasharray: 6 4,fill:none,stroke:#8250df", ""])


def _mermaid_node(node: NodeDrawn) -> Iterator[str]:
    bridge, rules = _id("bridge", node.name), _id("rules", node.name)
    yield f"  subgraph {_id('node', node.name)}[{_quoted(node.name, *node.addresses)}]"
    for pod in node.pods:
        yield f"    {_id('pod', pod.place)}[{_quoted(pod.name, *pod.lines)}]"
    yield f"    {bridge}[{_quoted(*node.joint)}]"
    yield f"    {rules}{{{{{_quoted(f'kube-proxy: {node.mode}')}}}}}"
    yield "  end"
    yield from (f"  {_id('pod', pod.place)} --- {bridge}" for pod in node.pods if pod.cabled)
    yield f"  {bridge} --- {rules} --- fabric"


def dot(scene: Scene) -> str:
    """A graph for dot(1)."""
    lines = [
        f"graph {_dotted(scene.lab)} {{",
        '  node [shape=box, fontname="DejaVu Sans Mono", fontsize=10]; graph [fontname="DejaVu Sans Mono"]',
        f"  fabric [label={_dotted(scene.wire)}, width=6]",
    ]
    for service in scene.services:
        label = _dotted(*_service(service))
        lines.append(f"  {_id('service', service.name)} [label={label}, style=dashed, color=purple]")
    for node in scene.nodes:
        lines += _dot_node(node)
    for external in scene.externals:
        name = _id("external", external.name)
        lines += [f"  {name} [label={_dotted(external.name, *external.addresses)}]", f"  fabric -- {name}"]
    return "\n".join([*lines, "}", ""])


def _dot_node(node: NodeDrawn) -> Iterator[str]:
    bridge, rules = _id("bridge", node.name), _id("rules", node.name)
    yield f"  subgraph cluster_{_id('node', node.name)} {{ label={_dotted(node.name, *node.addresses)}"
    for pod in node.pods:
        label = _dotted(pod.name, *pod.lines)
        yield f"    {_id('pod', pod.place)} [label={label}, style=filled, fillcolor=lightblue]"
    yield f"    {bridge} [label={_dotted(*node.joint)}]"
    yield f"    {rules} [label={_dotted(f'kube-proxy: {node.mode}')}, shape=hexagon]"
    yield "  }"
    yield from (f"  {_id('pod', pod.place)} -- {bridge}" for pod in node.pods if pod.cabled)
    yield f"  {bridge} -- {rules} -- fabric"


def _service(service: ServiceDrawn) -> Iterable[str]:
    return (f"{service.name} {service.kind}", *service.doors, service.endpoints)


def _id(kind: str, name: str) -> str:
    """A name that both languages take for one word, and no two places share."""
    return f"{kind}_" + re.sub(r"[^a-z0-9]", lambda found: f"_{ord(found[0]):x}_", name)


def _quoted(*lines: str) -> str:
    return '"' + "<br/>".join(line.replace('"', "&quot;") for line in lines) + '"'


def _dotted(*lines: str) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
