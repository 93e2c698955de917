"""A list, or one object, as a Table of meta.k8s.io."""

from __future__ import annotations

import json
from collections.abc import Iterable

from netlab.api.encoding import Json
from netlab.api.scale_kind import Scale
from netlab.api.tables import cluster, network, workloads
from netlab.api.tables.column import Column, Layout
from netlab.api.tables.forms import Included, Wanted
from netlab.model.objects import (
    ConfigMap,
    Deployment,
    Endpoints,
    EndpointSlice,
    Event,
    IPAddress,
    KubernetesObject,
    Namespace,
    Node,
    Pod,
    ReplicaSet,
    Service,
    ServiceCIDR,
)
from netlab.model.topology import Topology

_LAYOUTS: dict[type[KubernetesObject], Layout] = {
    ConfigMap: cluster.CONFIG_MAPS,
    Deployment: workloads.DEPLOYMENTS,
    Endpoints: network.ENDPOINTS,
    EndpointSlice: network.ENDPOINT_SLICES,
    Event: cluster.EVENTS,
    IPAddress: network.IP_ADDRESSES,
    Namespace: cluster.NAMESPACES,
    Node: cluster.NODES,
    Pod: workloads.PODS,
    ReplicaSet: workloads.REPLICA_SETS,
    Scale: workloads.SCALES,
    Service: network.SERVICES,
    ServiceCIDR: network.SERVICE_CIDRS,
    Topology: cluster.TOPOLOGIES,
}


def table(
    kind: type[KubernetesObject],
    rows: Iterable[tuple[KubernetesObject, bytes]],
    *,
    wanted: Wanted,
    included: Included,
    metadata: Json = None,
    headed: bool = True,
) -> bytes:
    """The Table of these objects, each with its JSON. Without `headed` it goes on from an earlier one's columns."""
    layout = _LAYOUTS.get(kind, cluster.PLAIN)
    columns = [_definition(column) for column in layout.columns] if headed else []
    lines = b",".join(_row(layout, value, body, wanted=wanted, included=included) for value, body in rows)
    head = {"kind": "Table", "apiVersion": f"meta.k8s.io/{wanted.version}", "metadata": metadata or {}}
    text = json.dumps({**head, "columnDefinitions": columns or None}, separators=(",", ":")).encode()
    return b'%b,"rows":[%b]}' % (text[:-1], lines)


def _definition(column: Column) -> dict[str, Json]:
    """`kubectl` shows what has priority 0, and the rest with `-o wide`."""
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.name,
        "priority": 1 if column.wide else 0,
    }


def _row(layout: Layout, value: KubernetesObject, body: bytes, *, wanted: Wanted, included: Included) -> bytes:
    cells = json.dumps(layout.row(value)).encode()
    match included:
        case Included.NONE:
            return b'{"cells":%b}' % cells
        case Included.METADATA:
            body = partial(body, version=wanted.version)
    return b'{"cells":%b,"object":%b}' % (cells, body)


def partial(body: bytes, *, version: str) -> bytes:
    """An object's metadata alone: PartialObjectMetadata."""
    head = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    return json.dumps({**head, "metadata": json.loads(body).get("metadata", {})}, separators=(",", ":")).encode()
