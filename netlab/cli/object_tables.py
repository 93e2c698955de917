"""Objects as kubectl shows them (`kubectl get KIND -o wide`): one function a kind, one line an object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netlab.cli.output import columns
from netlab.model.objects import (
    ContainerStatus,
    Deployment,
    EndpointSlice,
    Event,
    KubernetesObject,
    Namespace,
    Node,
    Pod,
    Service,
    ServicePort,
    ServiceType,
)
from netlab.model.timestamp import age
from netlab.model.topology import Topology

Row = tuple[str, ...]
SHOWN_ENDPOINTS = 3
"""As kubectl: the first three addresses, then how many more there are."""


def table(kind: type[KubernetesObject], values: Sequence[KubernetesObject], *, with_namespace: bool = False) -> str:
    """The objects, all of one kind, under that kind's headings."""
    header, row = LAYOUTS[kind]
    rows = [row(value) for value in values]
    if with_namespace:
        header = ("NAMESPACE", *header)
        rows = [(value.metadata.namespace or "", *each) for value, each in zip(values, rows, strict=True)]
    return columns(header, rows)


def _namespace(value: Namespace) -> Row:
    return (value.metadata.name, "Terminating" if value.metadata.deletion_timestamp else "Active", _age(value))


def _node(value: Node) -> Row:
    said = [each.status for each in value.status.conditions if each.type == "Ready"]
    status = ("Ready" if "True" in said else "NotReady") if said else "Unknown"
    if value.spec.unschedulable:
        status += ",SchedulingDisabled"
    addresses = ",".join(each.address for each in value.status.addresses if each.type == "InternalIP")
    ranges = ",".join(value.spec.pod_cidrs or ((value.spec.pod_cidr,) if value.spec.pod_cidr else ()))
    return (value.metadata.name, status, _age(value), addresses, ranges)


def _pod(value: Pod) -> Row:
    statuses = value.status.container_statuses
    ready = f"{sum(each.ready for each in statuses)}/{len(value.spec.containers)}"
    restarts = str(sum(each.restart_count for each in statuses))
    addresses = ",".join(each.ip for each in value.status.pod_ips) or value.status.pod_ip or ""
    name, node = value.metadata.name, value.spec.node_name or ""
    return (name, ready, _pod_status(value), restarts, _age(value), addresses, node)


def _pod_status(value: Pod) -> str:
    """Like kubectl: Terminating, else why a container waits or ended, else the phase."""
    if value.metadata.deletion_timestamp:
        return "Terminating"
    reasons = [reason for each in value.status.container_statuses if (reason := _reason(each))]
    return reasons[0] if reasons else value.status.phase or "Pending"


def _reason(status: ContainerStatus) -> str:
    waiting = status.state.get("waiting") or status.state.get("terminated") or {}
    return str(waiting.get("reason", ""))


def _service(value: Service) -> Row:
    spec = value.spec
    kind = spec.type or ServiceType.CLUSTER_IP
    address = ",".join(spec.cluster_ips) or spec.cluster_ip or ""
    ports = ",".join(_port(port) for port in spec.ports)
    selector = ",".join(f"{key}={text}" for key, text in (spec.selector or {}).items())
    return (value.metadata.name, kind.value, address, _external(value), ports, _age(value), selector)


def _external(value: Service) -> str:
    if value.spec.type is ServiceType.EXTERNAL_NAME:
        return value.spec.external_name or ""
    ingress = [each.ip or each.hostname or "" for each in value.status.load_balancer.ingress]
    if value.spec.type is ServiceType.LOAD_BALANCER and not ingress and not value.spec.external_ips:
        return "<pending>"
    return ",".join([*ingress, *value.spec.external_ips])


def _port(port: ServicePort) -> str:
    outside = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{outside}/{port.protocol}"


def _slice(value: EndpointSlice) -> Row:
    ports = ",".join(str(port.port) for port in value.ports if port.port is not None)
    addresses = [address for endpoint in value.endpoints for address in endpoint.addresses]
    shown = ",".join(addresses[:SHOWN_ENDPOINTS])
    if len(addresses) > SHOWN_ENDPOINTS:
        shown += f" + {len(addresses) - SHOWN_ENDPOINTS} more..."
    return (value.metadata.name, value.address_type, ports or "<unset>", shown or "<unset>", _age(value))


def _deployment(value: Deployment) -> Row:
    status = value.status
    ready = f"{status.ready_replicas}/{value.spec.replicas}"
    return (value.metadata.name, ready, str(status.updated_replicas), str(status.available_replicas), _age(value))


def _event(value: Event) -> Row:
    last = value.last_timestamp or value.event_time or value.metadata.creation_timestamp
    seen = age(last) if (value.count or 1) == 1 else f"{age(last)} (x{value.count})"
    about = value.involved_object
    subject = f"{(about.kind or '').lower()}/{about.name or ''}"
    return (seen, value.type or "", value.reason or "", subject, " ".join((value.message or "").split()))


def _topology(value: Topology) -> Row:
    network = value.spec.network
    nodes = ",".join(node.name for node in value.spec.nodes)
    return (value.metadata.name, nodes, value.spec.proxy.mode, network.fabric, network.pod_link, _age(value))


def _age(value: KubernetesObject) -> str:
    return age(value.metadata.creation_timestamp)


LAYOUTS: dict[type[KubernetesObject], tuple[Row, Callable[..., Row]]] = {
    Namespace: (("NAME", "STATUS", "AGE"), _namespace),
    Node: (("NAME", "STATUS", "AGE", "INTERNAL-IP", "POD-CIDR"), _node),
    Pod: (("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"), _pod),
    Service: (("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"), _service),
    EndpointSlice: (("NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"), _slice),
    Deployment: (("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"), _deployment),
    Event: (("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), _event),
    Topology: (("NAME", "NODES", "PROXY", "FABRIC", "POD LINK", "AGE"), _topology),
}
