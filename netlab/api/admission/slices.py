"""For what Kubernetes refuses an EndpointSlice, be it written by hand or by a controller.

Source: kube-apiserver's limits and messages. It takes 20000 ports a slice, though its documentation speaks of 100; more
endpoints or ports than a slice may have are told alone, without a look at each.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from netlab.api.admission.causes import (
    NOT_AN_ADDRESS,
    Causes,
    address_in,
    duplicate,
    required,
    too_many,
    unusable,
    wrong,
)
from netlab.api.admission.names import (
    check_metadata,
    key_problem,
    label_problem,
    label_value_problem,
    subdomain_problem,
)
from netlab.model.objects import Endpoint, EndpointHints, EndpointPort, EndpointSlice

ENDPOINTS_LIMIT = 1000
ADDRESSES_LIMIT = 100
PORTS_LIMIT = 20000
HINTS_LIMIT = 8


def check_slice(value: EndpointSlice, before: EndpointSlice | None = None) -> Causes:
    """The causes against an EndpointSlice."""
    yield from check_metadata(value)
    if len(value.endpoints) > ENDPOINTS_LIMIT:
        yield too_many("endpoints", count=len(value.endpoints), limit=ENDPOINTS_LIMIT)
    else:
        for index, endpoint in enumerate(value.endpoints):
            yield from _check_endpoint(endpoint, f"endpoints[{index}]", value.address_type)
    if len(value.ports) > PORTS_LIMIT:
        yield too_many("ports", count=len(value.ports), limit=PORTS_LIMIT)
    else:
        yield from _check_ports(value.ports)
    if before is not None and value.address_type != before.address_type:
        yield wrong("addressType", value.address_type, "field is immutable")


def _check_endpoint(endpoint: Endpoint, field: str, family: str) -> Causes:
    yield from _check_addresses(endpoint.addresses, f"{field}.addresses", family)
    if endpoint.node_name is not None and (why := subdomain_problem(endpoint.node_name)):
        yield wrong(f"{field}.nodeName", endpoint.node_name, why)
    if endpoint.hostname is not None and (why := label_problem(endpoint.hostname)):
        yield wrong(f"{field}.hostname", endpoint.hostname, why)
    if endpoint.hints is not None:
        yield from _check_hints(endpoint.hints, f"{field}.hints")


def _check_ports(ports: tuple[EndpointPort, ...]) -> Causes:
    names: set[str] = set()
    for index, port in enumerate(ports):
        name = port.name or ""
        if name and (why := label_problem(name)):
            yield wrong(f"ports[{index}].name", name, why)
        if name in names:
            yield duplicate(f"ports[{index}].name", name)
        names.add(name)
        if port.app_protocol is not None and (why := key_problem(port.app_protocol)):
            yield wrong(f"ports[{index}].appProtocol", port.app_protocol, why)


def _check_hints(hints: EndpointHints, field: str) -> Causes:
    for listed, rule, within in (
        (hints.for_zones, label_value_problem, f"{field}.forZones"),
        (hints.for_nodes, subdomain_problem, f"{field}.forNodes"),
    ):
        if len(listed) > HINTS_LIMIT:
            yield too_many(within, count=len(listed), limit=HINTS_LIMIT)
            continue
        names = [each.name for each in listed]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield duplicate(f"{within}[{index}].name", name)
            if why := rule(name):
                yield wrong(f"{within}[{index}].name", name, why)


def _check_addresses(addresses: tuple[str, ...], field: str, family: str) -> Causes:
    if not addresses:
        yield required(field, "must contain at least 1 address")
    if len(addresses) > ADDRESSES_LIMIT:
        yield too_many(field, count=len(addresses), limit=ADDRESSES_LIMIT)
        return
    for index, text in enumerate(addresses):
        if why := _domain_problem(text) if family == "FQDN" else _problem(text, family):
            yield wrong(f"{field}[{index}]", text, why)


def _problem(text: str, family: str) -> str:
    address = address_in(text)
    if address is None:
        return NOT_AN_ADDRESS
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    if f"IPv{address.version}" != family or mapped:
        return f"must be a valid {family} address"
    return unusable(address)


def _domain_problem(text: str) -> str:
    name = text.removesuffix(".")
    if why := subdomain_problem(name):
        return why
    return "" if "." in name else "should be a domain with at least two segments separated by dots"
