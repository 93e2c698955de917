"""Labs to foretell packets in: files of topologies/ in any proxy mode, and small ones written in a test."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import yaml

from netlab.lab.view import foreseen_view
from netlab.load import load_lab
from netlab.model.journey import Hop, Way
from netlab.model.modes import ProxyMode
from netlab.model.names import Place
from netlab.model.rules import Family
from netlab.model.targets import Target
from netlab.trace import Prediction, TracedLab, foretell

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
HEAD = """\
apiVersion: netlab/v1
kind: Topology
metadata: {{name: small}}
spec: {spec}
"""


@cache
def lab(name: str, mode: ProxyMode | None = None, **spec: str) -> TracedLab:
    """The lab of a file of topologies/, its mode or other parts of its spec put in the place of its own."""
    first, *others = yaml.safe_load_all((TOPOLOGIES / f"{name}.yaml").read_text())
    if mode:
        first["spec"]["proxy"] = {"mode": mode.value}
    first["spec"].setdefault("network", {}).update(spec)
    return written(yaml.safe_dump_all([first, *others]))


def small(objects: str, spec: str = "{}") -> TracedLab:
    """A lab of two nodes with these objects."""
    return written(f"{HEAD.format(spec=spec)}---\n{objects}")


def written(text: str) -> TracedLab:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return TracedLab(foreseen_view(load_lab(Path(file.name))))


def predicted(traced: TracedLab, from_: str, to: str, *, family: Family | None = None) -> Prediction:
    return foretell(traced, Place.parse(from_), Target.parse(to), family=family)


def told(hops: tuple[Hop, ...], way: Way = Way.REQUEST) -> list[str]:
    """Interfaces by their names, one after the other; other hops with what the packet is there."""
    return [_told(hop) for hop in hops if hop.way is way and hop.hook != "route"]


def _told(hop: Hop) -> str:
    if hop.hook.startswith("link/"):
        return f"{hop.at} {hop.hook.removeprefix('link/')[:4]}"
    return f"{hop.at} {hop.hook}: {_end(hop.packet.src, hop.packet.sport)} > {_end(hop.packet.dst, hop.packet.dport)}"


def _end(address: str, port: int | None) -> str:
    return address if port is None else f"{address}:{port}"
