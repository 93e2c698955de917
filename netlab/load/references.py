"""Names that stand for something else in the file: is it there?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netlab.load.documents import Document, Documents
from netlab.load.nearest import did_you_mean
from netlab.load.tree import Cursor
from netlab.model.topology import TopologySpec

BUILT_IN_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
HOSTNAME_LABEL = "kubernetes.io/hostname"


Names = Mapping[tuple[str, str], Document | None]
"""Objects by namespace and name; None: it will be there, and what it will say is not known."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to refer to. None: the file does not say it legibly, so that nothing can be called missing."""

    nodes: dict[str, dict[str, str]] | None
    """Labels by name."""
    externals: frozenset[str] | None
    pods: Names | None
    services: Names | None
    deployments: Names | None


def known(topology: Cursor, documents: Documents) -> Known:
    """Everything in the file that has a name others can use."""

    def named(kind: str) -> Names | None:
        found = {(document.namespace, document.name): document for document in documents.of(kind)}
        return found if documents.complete and all(name for _, name in found) else None

    externals = _names(topology.get("spec", "externals"))
    return Known(_nodes(topology), externals, named("Pod"), named("Service"), named("Deployment"))


def _nodes(topology: Cursor) -> dict[str, dict[str, str]] | None:
    cursor = topology.get("spec", "nodes")
    if not cursor.present:
        return {node.name: {HOSTNAME_LABEL: node.name} for node in TopologySpec().nodes}
    if _names(cursor) is None:
        return None
    names = {node.get("name").text: node.get("labels").labels for node in cursor.items()}
    return {name: {HOSTNAME_LABEL: name} | labels for name, labels in names.items()}


def _names(cursor: Cursor) -> frozenset[str] | None:
    names = [item.get("name").text for item in cursor.items()]
    legible = all(names) and (names or not cursor.present)
    return frozenset(names) if legible else None


def missing(kind: str, name: str, names: Iterable[str]) -> tuple[str, str]:
    """What to say about a name that nothing has."""
    listed = sorted(names)
    few = f"there are {', '.join(listed)}" if 0 < len(listed) <= 6 else ""
    return f'there is no {kind} "{name[:80]}"', did_you_mean(name, listed) or few or f"the file has no {kind}"


def check_references(documents: Documents, there: Known) -> None:
    """Report Pods on nodes that are not there, and objects in Kubernetes namespaces that are not."""
    for document in documents.of("Pod", "Deployment"):
        inner = ("spec",) if document.kind == "Pod" else ("spec", "template", "spec")
        _check_node(document.cursor.get(*inner), there)
    for document in documents.of("Node"):
        name = document.cursor.get("metadata", "name")
        name.error("a lab's nodes are those of its Topology", "write it, and its labels, into spec.nodes there")
    _check_namespaces(documents)


def _check_node(spec: Cursor, there: Known) -> None:
    if there.nodes is None:
        return
    name, selector = spec.get("nodeName"), spec.get("nodeSelector").labels
    if name.text and name.text not in there.nodes:
        name.error(*missing("node", name.text, there.nodes))
    if selector and not any(selector.items() <= labels.items() for labels in there.nodes.values()):
        terms = ",".join(f"{key}={value}" for key, value in selector.items())
        spec.get("nodeSelector").warn(f"no node has the labels {terms}: the Pod will stay Pending")


def _check_namespaces(documents: Documents) -> None:
    names = {*BUILT_IN_NAMESPACES, *(document.name for document in documents.of("Namespace"))}
    if not documents.complete:
        return
    for document in documents.all:
        if document.namespace and document.namespace not in names:
            message, remedy = missing("Namespace", document.namespace, names)
            if not remedy.startswith("did"):
                remedy = f"add a document apiVersion: v1, kind: Namespace, metadata: {{name: {document.namespace}}}"
            document.cursor.get("metadata", "namespace").error(message, remedy)
