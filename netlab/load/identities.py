"""Two things of one name: objects, nodes, and what would be the same network namespace."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.load.documents import Document, Documents
from netlab.load.tree import Cursor
from netlab.model.names import DNS_LABEL, FABRIC, Place, PlaceKind, network_namespace
from netlab.model.topology import TopologySpec

NAME_LIMIT = 255
"""Bytes in the name of a file (NAME_MAX), and so of a network namespace."""


def check_duplicates(documents: Documents) -> None:
    """Report every object whose kind, namespace and name another one has already."""
    seen: dict[tuple[str, str, str], Document] = {}
    for document in documents.all:
        if not document.name or document.kind == "Topology":
            continue
        first = seen.setdefault((document.kind, document.namespace, document.name), document)
        if first is not document:
            name = document.cursor.get("metadata", "name")
            line = first.cursor.get("metadata", "name").mark.line
            name.error(f"{document.title} is here a second time", f"the first is in line {line}")


def check_one_topology(documents: Documents, *, file_start: Cursor) -> Document | None:
    """The Topology of the file; more or fewer than one are reported."""
    found = documents.of("Topology")
    if not found and documents.complete:
        file_start.error("there is no document of kind Topology", _SMALLEST)
    for another in found[1:]:
        message = "a file has one Topology, and this is another one"
        another.cursor.get("kind").error(message, f"the first is in line {found[0].cursor.get('kind').mark.line}")
    return found[0] if found else None


_SMALLEST = "begin the file with apiVersion: netlab/v1, kind: Topology, metadata: {name: my-lab}, and a line ---"


def check_places(lab: str, topology: Cursor, documents: Documents) -> None:
    """Report nodes, externals and Pods that would share a network namespace, and names too long for one."""
    lab = lab if DNS_LABEL.fullmatch(lab) else "lab"
    seen: dict[str, tuple[Place, Cursor]] = {}
    for place, cursor in _places(topology, documents):
        namespace = network_namespace(lab, place)
        if len(namespace) > NAME_LIMIT:
            cursor.error(f"its network namespace would have a name of {len(namespace)} characters, beyond {NAME_LIMIT}")
        if namespace == network_namespace(lab, Place(PlaceKind.NODE, FABRIC)):
            cursor.error(f'"{FABRIC}" is the name of the wire between the nodes', "choose another name")
        first, where = seen.setdefault(namespace, (place, cursor))
        if where is not cursor and first != place:
            message = f"{first} (line {where.mark.line}) and {place} would be the same network namespace {namespace}"
            cursor.error(message, "rename one of them")
        elif where is not cursor and place.kind is not PlaceKind.POD:
            cursor.error(f"{place} is here a second time", f"the first is in line {where.mark.line}")


def _places(topology: Cursor, documents: Documents) -> Iterator[tuple[Place, Cursor]]:
    nodes = topology.get("spec", "nodes")
    if not nodes.present:
        yield from ((Place(PlaceKind.NODE, node.name), nodes) for node in TopologySpec().nodes)
    for kind, cursors in (
        (PlaceKind.NODE, nodes.items()),
        (PlaceKind.EXTERNAL, topology.get("spec", "externals").items()),
    ):
        yield from ((Place(kind, item.get("name").text), item.get("name")) for item in cursors if item.get("name").text)
    for pod in documents.of("Pod"):
        if pod.name:
            yield Place(PlaceKind.POD, pod.name, pod.namespace), pod.cursor.get("metadata", "name")
