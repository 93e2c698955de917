"""Which endpoints a Service has: from the Service, its Pods and the zones of their nodes alone.

Source: the EndpointSlice documentation; conditions as KEP-1672, hints as KEP-3015 say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from netlab.api.controllers.packing import Identity, identity
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
Group = tuple[str, tuple[EndpointPort, ...]]
"""Endpoints that may share a slice: of one address family, with the same ports."""


@dataclass(frozen=True, slots=True)
class _Contribution:
    """The endpoints of one Pod, and what they were worked out from."""

    pod: Pod
    zone: str | None
    endpoints: tuple[tuple[Group, Endpoint], ...]


class ServiceEndpoints:
    """The endpoints of one version of a Service, by group and identity.

    `refresh` works anew on those Pods alone that are not the same value as last time: one Pod of a thousand that
    becomes ready costs little more than one Pod.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.groups: dict[Group, dict[Identity, Endpoint]] = {}
        self._contributions: dict[str, _Contribution] = {}

    def refresh(self, pods: Collection[Pod], zones: Mapping[str, str | None]) -> None:
        """Take in the Pods that the Service selects now. `zones` is by name of node."""
        for pod in pods:
            before, zone = self._contributions.get(pod.key), zones.get(pod.spec.node_name or "")
            if before is None or before.pod is not pod or before.zone != zone:
                self._replace(pod.key, before, _Contribution(pod, zone, _endpoints(self.service, pod, zone)))
        if len(self._contributions) > len(pods):
            for key in self._contributions.keys() - {pod.key for pod in pods}:
                self._replace(key, self._contributions[key], None)

    def _replace(self, key: str, before: _Contribution | None, after: _Contribution | None) -> None:
        for group, endpoint in before.endpoints if before else ():
            members = self.groups[group]
            del members[identity(endpoint)]
            if not members:
                del self.groups[group]
        for group, endpoint in after.endpoints if after else ():
            self.groups.setdefault(group, {})[identity(endpoint)] = endpoint
        if after:
            self._contributions[key] = after
        else:
            del self._contributions[key]


def _endpoints(service: Service, pod: Pod, zone: str | None) -> tuple[tuple[Group, Endpoint], ...]:
    """A Pod's endpoints, one an address of the Service's families; none without an address or once it has ended."""
    if pod.has_ended:
        return ()
    ports = _ports(service, pod)
    if service.spec.ports and not ports:
        return ()
    families = ((f"IPv{ip_address(entry.ip).version}", entry.ip) for entry in pod.status.pod_ips)
    return tuple(
        ((family, ports), _endpoint(service, pod, ip, zone))
        for family, ip in families
        if family in service.spec.ip_families
    )


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
