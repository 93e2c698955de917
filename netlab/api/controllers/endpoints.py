"""Which endpoints a Service has: pure, from the Service, its Pods and the zones of their nodes.

Source: the EndpointSlice documentation; conditions as KEP-1672, hints as KEP-3015 say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from netlab.model.objects import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    ForZone,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
)

ZONE_LABEL = "topology.kubernetes.io/zone"
FINISHED = ("Succeeded", "Failed")
Group = tuple[str, tuple[EndpointPort, ...]]
"""Endpoints that may share a slice: of one address family, with the same ports."""


def wanted_endpoints(
    service: Service, pods: Iterable[Pod], zones: Mapping[str, str | None]
) -> dict[Group, dict[str, Endpoint]]:
    """The Service's endpoints by group and by address. `zones` is by name of node."""
    wanted: dict[Group, dict[str, Endpoint]] = {}
    for pod in pods:
        if not pod.status.pod_ips or pod.status.phase in FINISHED:
            continue
        ports = _ports(service, pod)
        if service.spec.ports and not ports:
            continue
        zone = zones.get(pod.spec.node_name or "")
        for entry in pod.status.pod_ips:
            family = f"IPv{ip_address(entry.ip).version}"
            if family in service.spec.ip_families:
                group = wanted.setdefault((family, ports), {})
                group[entry.ip] = _endpoint(service, pod, entry.ip, zone)
    return wanted


def _ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    """The Service's ports as this Pod has them: a named targetPort that it does not have is left out."""
    numbers = ((port, _target(port, pod)) for port in service.spec.ports)
    return tuple(
        EndpointPort(name=port.name or "", protocol=port.protocol, port=number, app_protocol=port.app_protocol)
        for port, number in numbers
        if number is not None
    )


def _target(port: ServicePort, pod: Pod) -> int | None:
    if not isinstance(port.target_port, str):
        return port.target_port or port.port
    declared = (each for container in pod.spec.containers for each in container.ports)
    matching = (each for each in declared if each.name == port.target_port and each.protocol == port.protocol)
    return next((each.container_port for each in matching), None)


def _endpoint(service: Service, pod: Pod, ip: str, zone: str | None) -> Endpoint:
    serving, terminating = pod.condition("Ready"), pod.metadata.deletion_timestamp is not None
    ready = bool(service.spec.publish_not_ready_addresses) or (serving and not terminating)
    metadata, spec = pod.metadata, pod.spec
    named = spec.hostname and spec.subdomain == service.metadata.name
    reference = ObjectReference(kind="Pod", namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)
    return Endpoint(
        addresses=(ip,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=spec.hostname if named else None,
        node_name=spec.node_name,
        zone=zone,
        hints=_hints(service, spec.node_name, zone) if ready else None,
        target_ref=reference,
    )


def _hints(service: Service, node: str | None, zone: str | None) -> EndpointHints | None:
    """Where the endpoint's packets should come from, if the Service has a wish as to that."""
    wish = service.spec.traffic_distribution
    zones = (ForZone(name=zone),) if zone else ()
    if wish == "PreferSameNode" and node:
        return EndpointHints(for_zones=zones, for_nodes=(ForZone(name=node),))
    if wish in ("PreferClose", "PreferSameZone") and zones:
        return EndpointHints(for_zones=zones)
    return None
