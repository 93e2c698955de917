"""Services, EndpointSlices and namespaces for the tests of the cluster's DNS, written in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netlab.dns.answers import answer
from netlab.dns.records import (
    Address,
    Alias,
    Answer,
    Data,
    Kind,
    Location,
    Pointer,
    Record,
    Text,
    parse_name,
    spell_name,
)
from netlab.dns.zone import Zone
from netlab.model.objects import EndpointSlice, KubernetesObject, Namespace, Service

Ports = Mapping[str, tuple[str, int]]
"""Protocol and number by name."""
HTTP: Ports = {"http": ("TCP", 80)}


def namespace(name: str) -> Namespace:
    return Namespace.model_validate({"metadata": {"name": name}})


def service(name: str, *ips: str, where: str = "default", ports: Ports = HTTP, **spec: Any) -> Service:
    """A Service with these clusterIPs; `None` makes it headless."""
    listed = [{"name": port, "protocol": protocol, "port": number} for port, (protocol, number) in ports.items()]
    spec = {"clusterIP": ips[0] if ips else None, "clusterIPs": list(ips), "ports": listed, **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": where}, "spec": spec})


def external(name: str, target: str, *, where: str = "default") -> Service:
    return service(name, where=where, ports={}, type="ExternalName", externalName=target)


def slice_of(
    owner: str,
    *endpoints: str | Mapping[str, Any],
    where: str = "default",
    ports: Ports = HTTP,
    name: str = "",
) -> EndpointSlice:
    """A slice of a Service: an endpoint is its address, or what an EndpointSlice says of it."""
    listed = [{"addresses": [each]} if isinstance(each, str) else dict(each) for each in endpoints]
    addresses = [address for each in listed for address in each["addresses"]]
    return EndpointSlice.model_validate(
        {
            "metadata": {
                "name": name or f"{owner}-1",
                "namespace": where,
                "labels": {"kubernetes.io/service-name": owner},
            },
            "addressType": "IPv6" if any(":" in address for address in addresses) else "IPv4",
            "endpoints": listed,
            "ports": [{"name": port, "protocol": kind, "port": number} for port, (kind, number) in ports.items()],
        }
    )


def zone_of(*objects: KubernetesObject) -> Zone:
    """A zone that holds these, and the two namespaces that every cluster has."""
    zone = Zone()
    for value in (namespace("default"), namespace("kube-system"), *objects):
        zone.put(value)
    return zone


def ask(zone: Zone, name: str, kind: Kind | int) -> Answer:
    return answer(zone, parse_name(name), kind)


def said(records: Sequence[Record]) -> list[str]:
    """Records as a person would write them, without the cluster's domain and sorted: `web.default.svc A 10.96.0.80`."""
    return sorted(
        f"{_short(spell_name(record.name))} {record.data.kind.name} {_text(record.data)}" for record in records
    )


def _text(data: Data) -> str:
    match data:
        case Address():
            return str(data.address)
        case Location():
            return f"{data.weight} {data.port} {_short(spell_name(data.target))}"
        case Text():
            return data.text
        case Alias() | Pointer():
            return _short(spell_name(data.target))
    return _short(spell_name(data.target if hasattr(data, "target") else data.server))


def _short(name: str) -> str:
    return name.removesuffix(".cluster.local")
