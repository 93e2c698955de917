"""Services, and who answers for them, as rows."""

from __future__ import annotations

from netlab.api.tables.column import AGE, NAME, NONE, UNSET, Column, Layout, Row, first, pairs
from netlab.model.objects import Endpoints, EndpointSlice, IPAddress, Service, ServiceCIDR, ServicePort, ServiceType
from netlab.model.timestamp import age

SHOWN = 3
"""Addresses that are shown, as in Kubernetes."""


def _service(value: Service) -> Row:
    spec = value.spec
    return (
        value.metadata.name,
        (spec.type or ServiceType.CLUSTER_IP).value,
        spec.cluster_ip or NONE,
        _external(value),
        ",".join(_port(port) for port in spec.ports) or NONE,
        age(value.metadata.creation_timestamp),
        pairs(spec.selector),
    )


def _external(value: Service) -> str:
    if value.spec.type is ServiceType.EXTERNAL_NAME:
        return value.spec.external_name or NONE
    ingress = [each.ip or each.hostname or "" for each in value.status.load_balancer.ingress]
    if value.spec.type is ServiceType.LOAD_BALANCER and not ingress and not value.spec.external_ips:
        return "<pending>"
    return ",".join([*ingress, *value.spec.external_ips]) or NONE


def _port(port: ServicePort) -> str:
    outside = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{outside}/{port.protocol}"


def _slice(value: EndpointSlice) -> Row:
    ports = ["*" if port.port is None else str(port.port) for port in value.ports]
    addresses = [address for endpoint in value.endpoints for address in endpoint.addresses]
    shown = first(addresses, SHOWN) or UNSET
    since = age(value.metadata.creation_timestamp)
    return (value.metadata.name, value.address_type, first(ports, SHOWN) or UNSET, shown, since)


def _endpoints(value: Endpoints) -> Row:
    pairs_ = [
        f"{address.ip}:{port.port}" if port is not None else address.ip
        for subset in value.subsets
        for port in (subset.ports or (None,))
        for address in subset.addresses
    ]
    return (value.metadata.name, first(pairs_, SHOWN) or NONE, age(value.metadata.creation_timestamp))


def _service_cidr(value: ServiceCIDR) -> Row:
    return (value.metadata.name, ",".join(value.spec.cidrs), age(value.metadata.creation_timestamp))


def _ip_address(value: IPAddress) -> Row:
    parent = value.spec.parent_ref
    whose = "/".join(part for part in (parent.resource, parent.namespace, parent.name) if part) if parent else NONE
    return (value.metadata.name, whose, age(value.metadata.creation_timestamp))


SERVICES = Layout(
    (
        NAME,
        Column("Type"),
        Column("Cluster-IP"),
        Column("External-IP"),
        Column("Port(s)"),
        AGE,
        Column("Selector", wide=True),
    ),
    _service,
)
ENDPOINT_SLICES = Layout((NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE), _slice)
ENDPOINTS = Layout((NAME, Column("Endpoints"), AGE), _endpoints)
SERVICE_CIDRS = Layout((NAME, Column("CIDRs"), AGE), _service_cidr)
IP_ADDRESSES = Layout((NAME, Column("ParentRef"), AGE), _ip_address)
