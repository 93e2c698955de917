"""Nodes, Namespaces, Events, ConfigMaps and the Topology as rows."""

from __future__ import annotations

from netlab.api.tables.column import AGE, NAME, NONE, UNKNOWN, Column, Layout, Row
from netlab.model.objects import ConfigMap, Event, KubernetesObject, Namespace, Node, NodeInfo
from netlab.model.timestamp import age
from netlab.model.topology import Topology

ROLE = "node-role.kubernetes.io/"


def _node(value: Node) -> Row:
    info = value.status.node_info or NodeInfo()
    addresses = {each.type: each.address for each in reversed(value.status.addresses)}
    roles = sorted(label.removeprefix(ROLE) for label in value.metadata.labels if label.startswith(ROLE))
    return (
        value.metadata.name,
        _node_status(value),
        ",".join(roles) or NONE,
        age(value.metadata.creation_timestamp),
        info.kubelet_version,
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.os_image or UNKNOWN,
        info.kernel_version or UNKNOWN,
        info.container_runtime_version or UNKNOWN,
    )


def _node_status(value: Node) -> str:
    said = [each.status for each in value.status.conditions if each.type == "Ready"]
    status = ("Ready" if "True" in said else "NotReady") if said else "Unknown"
    return f"{status},SchedulingDisabled" if value.spec.unschedulable else status


def _namespace(value: Namespace) -> Row:
    phase = "Terminating" if value.metadata.deletion_timestamp else value.status.phase or "Active"
    return (value.metadata.name, phase, age(value.metadata.creation_timestamp))


def _config_map(value: ConfigMap) -> Row:
    return (value.metadata.name, len(value.data) + len(value.binary_data), age(value.metadata.creation_timestamp))


def _event(value: Event) -> Row:
    about, count = value.involved_object, value.count or 1
    last = age(value.last_timestamp or value.event_time or value.metadata.creation_timestamp)
    first = age(value.first_timestamp or value.event_time or value.metadata.creation_timestamp)
    source = ", ".join(filter(None, (value.source.component or value.reporting_component, value.source.host)))
    return (
        f"{last} (x{count} over {first})" if count > 1 else last,
        value.type or "",
        value.reason or "",
        f"{(about.kind or '').lower()}/{about.name or ''}",
        about.field_path or "",
        source,
        (value.message or "").strip(),
        first,
        count,
        value.metadata.name,
    )


def _topology(value: Topology) -> Row:
    network = value.spec.network
    nodes = ",".join(node.name for node in value.spec.nodes)
    since = age(value.metadata.creation_timestamp)
    return (
        value.metadata.name,
        nodes,
        value.spec.proxy.mode.value,
        network.fabric.value,
        network.pod_link.value,
        since,
    )


def _plain(value: KubernetesObject) -> Row:
    return (value.metadata.name, value.metadata.creation_timestamp or "")


NODES = Layout(
    (
        NAME,
        Column("Status"),
        Column("Roles"),
        AGE,
        Column("Version"),
        Column("Internal-IP", wide=True),
        Column("External-IP", wide=True),
        Column("OS-Image", wide=True),
        Column("Kernel-Version", wide=True),
        Column("Container-Runtime", wide=True),
    ),
    _node,
)
NAMESPACES = Layout((NAME, Column("Status"), AGE), _namespace)
CONFIG_MAPS = Layout((NAME, Column("Data", type="integer"), AGE), _config_map)
EVENTS = Layout(
    (
        Column("Last Seen"),
        Column("Type"),
        Column("Reason"),
        Column("Object"),
        Column("Subobject", wide=True),
        Column("Source", wide=True),
        Column("Message"),
        Column("First Seen", wide=True),
        Column("Count", wide=True, type="integer"),
        Column("Name", wide=True, format="name"),
    ),
    _event,
)
TOPOLOGIES = Layout(
    (NAME, Column("Nodes"), Column("Proxy"), Column("Fabric"), Column("Pod Link"), AGE),
    _topology,
)
PLAIN = Layout((NAME, Column("Created At", type="date")), _plain)
"""For kinds that have no columns of their own."""
