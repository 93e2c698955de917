"""The documents of a file as objects: which kind each is of, and what lists of objects hold."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.load import formats
from netlab.load.nearest import did_you_mean, nearest
from netlab.load.tree import Cursor, Mapping, Scalar, Sequence
from netlab.model.objects import KINDS, KubernetesObject
from netlab.model.topology import Topology

INERT = frozenset(
    (
        "ConfigMap",
        "Secret",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "StorageClass",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "ResourceQuota",
        "LimitRange",
        "PriorityClass",
        "Event",
        "Lease",
        "CustomResourceDefinition",
    )
)
"""Kinds that a lab can do without: they say nothing about which packet goes where."""
_KINDS: tuple[type[KubernetesObject], ...] = (Topology, *KINDS)
CLASSES = {kind.__name__: kind for kind in _KINDS if kind.__name__ not in INERT}
ABSENT = frozenset(
    (
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "ReplicationController",
        "Job",
        "CronJob",
        "Endpoints",
        "Ingress",
        "IngressClass",
        "NetworkPolicy",
        "Gateway",
        "HTTPRoute",
        "GatewayClass",
        "ServiceCIDR",
        "IPAddress",
    )
)
"""Kinds that make Pods or steer packets: a lab without them would not be what the file says."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of the file. `namespace` is "" for what lives in no namespace."""

    kind: str
    cursor: Cursor
    namespace: str

    @property
    def name(self) -> str:
        """Its name, or "" where it has none."""
        return self.cursor.get("metadata", "name").text

    @property
    def title(self) -> str:
        """What a problem calls it: `Pod web-1`, `Service kube-system/dns`."""
        inside = f"{self.namespace}/" if self.namespace not in ("", "default") else ""
        return f"{self.kind} {inside}{self.name}"


@dataclass(frozen=True, slots=True)
class Documents:
    """All of a file. `complete` False: something could not be read, so what seems to be missing may well be there."""

    all: tuple[Document, ...]
    complete: bool

    def of(self, *kinds: str) -> tuple[Document, ...]:
        """The objects of these kinds, in the order of the file."""
        return tuple(document for document in self.all if document.kind in kinds)


def recognised(root: Cursor, *, namespace: str) -> tuple[list[Document], bool]:
    """The objects of one YAML document, and whether that is all it holds. `namespace` is for objects that name none."""
    if isinstance(root.node, Scalar) and root.node.value is None:
        return [], True
    if not isinstance(root.node, Mapping):
        root.error("a document must be a mapping with apiVersion, kind and metadata")
        return [], False
    written = root.get("kind").text
    if written.endswith("List") and isinstance(root.get("items").node, Sequence):
        return _unfolded(root, namespace)
    kind = _kind(root)
    if kind is None:
        return [], False
    if kind in INERT:
        message = f"is left out: netlab has no {kind}, which plays no part in the Service network"
        root.get("kind").warn(message)
        return [], True
    _check_version(root, CLASSES[kind])
    return [_document(root, kind, namespace)], True


def _unfolded(root: Cursor, namespace: str) -> tuple[list[Document], bool]:
    """The objects of a `kind: List`, or of what `kubectl get -o yaml` writes."""
    found: list[Document] = []
    complete = True
    for item in root.get("items").items():
        documents, whole = recognised(item, namespace=namespace)
        found += documents
        complete = complete and whole
    return found, complete


def _kind(root: Cursor) -> str | None:
    """The kind that the document is of, or is most likely meant to be of; None where that cannot be told."""
    cursor = root.get("kind")
    if not cursor.present:
        cursor.error("is missing", f"add kind: one of {', '.join(CLASSES)}")
        return None
    if not cursor.text:
        cursor.error("must be a text", f"one of {', '.join(CLASSES)}")
        return None
    if cursor.text in CLASSES or cursor.text in INERT:
        return cursor.text
    if cursor.text in ABSENT:
        cursor.error(f"netlab has no {cursor.text}", f"it has {', '.join(CLASSES)}")
        return None
    remedy = did_you_mean(cursor.text, CLASSES) or f"known are {', '.join(CLASSES)}"
    cursor.error(f"{formats.shown(cursor.text)} is no kind of object", remedy)
    return nearest(cursor.text, CLASSES)


def _check_version(root: Cursor, kind: type[KubernetesObject]) -> None:
    cursor = root.get("apiVersion")
    if not cursor.present:
        cursor.error("is missing", f"add apiVersion: {kind.API_VERSION}")
    elif cursor.text != kind.API_VERSION:
        shown = formats.shown(cursor.node.value) if isinstance(cursor.node, Scalar) else "this"
        cursor.error(f"{shown} has no {kind.__name__}", f"write {kind.API_VERSION}")


def _document(root: Cursor, kind: str, namespace: str) -> Document:
    metadata = root.get("metadata")
    if not metadata.present:
        metadata.error("is missing", "add metadata: {name: ...}")
    elif isinstance(metadata.node, Mapping):
        _check_name(metadata, kind)
    if CLASSES[kind].NAMESPACED:
        return Document(kind, root, metadata.get("namespace").text or namespace)
    if metadata.get("namespace").present:
        metadata.get("namespace").error(f"a {kind} lives in no namespace", "take it out")
    return Document(kind, root, "")


def _check_name(metadata: Cursor, kind: str) -> None:
    name = metadata.get("name")
    if not name.present:
        name.error("is missing", "add name: ...")
    elif not isinstance(name.node, Scalar):
        return
    else:
        labels = kind in ("Topology", "Namespace", "Service")
        complaint = (formats.dns_label if labels else formats.dns_subdomain)(name.node)
        # A wrong type is the structure check's to report.
        if complaint and isinstance(name.node.value, str):
            name.error(*complaint)
