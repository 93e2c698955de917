"""The objects of `-f FILE`, as a proxy gets them from an API server: each judged by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from netlab.api.foreign import Malformed, read_object
from netlab.cli.output import say
from netlab.load.plain import PlainDocument, load_documents
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service, ServiceCIDR, ServiceType
from netlab.proxy.complaints import Complaint

KINDS: dict[str, type[KubernetesObject]] = {kind.__name__: kind for kind in (Node, Service, EndpointSlice, ServiceCIDR)}


@dataclass(frozen=True, slots=True)
class ProxyObjects:
    """The objects that rules depend on, and those that cannot be read."""

    objects: tuple[KubernetesObject, ...]
    refused: tuple[Complaint, ...]


def read_proxy_objects(path: Path, *, node: str) -> ProxyObjects:
    """The Nodes, Services and EndpointSlices of a file; what else is in it is said on standard error. InvalidInput."""
    documents = load_documents(path)
    found = [read_object(KINDS[kind], _placed(each)) for each in documents if (kind := str(each["kind"])) in KINDS]
    others = Counter(kind for each in documents if (kind := str(each["kind"])) not in KINDS)
    if others:
        listed = ", ".join(f"{count} {kind}" for kind, count in others.items())
        say(f"left out, as no rule depends on it: {listed}")
    objects = tuple(each for each in found if not isinstance(each, Malformed))
    if not any(isinstance(each, Node) and each.metadata.name == node for each in objects):
        say(f"warning: {path} has no Node {node}: its zone, addresses and Pod ranges are not known")
    for each in objects:
        if isinstance(each, Service) and _lacks_address(each):
            say(f"warning: Service {each.key} has no clusterIP: an API server would give it one, a file must name it")
    return ProxyObjects(objects, tuple(each.complaint() for each in found if isinstance(each, Malformed)))


def _lacks_address(service: Service) -> bool:
    spec = service.spec
    return not (spec.cluster_ip or spec.cluster_ips) and spec.type is not ServiceType.EXTERNAL_NAME


def _placed(document: PlainDocument) -> PlainDocument:
    """The document, in the namespace `default` where it names none."""
    metadata = document.get("metadata")
    if (
        not KINDS.get(str(document["kind"]), Service).NAMESPACED
        or not isinstance(metadata, dict)
        or metadata.get("namespace")
    ):
        return document
    return {**document, "metadata": {**metadata, "namespace": "default"}}
