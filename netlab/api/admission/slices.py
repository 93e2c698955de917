"""For what Kubernetes refuses an EndpointSlice, be it written by hand or by a controller."""

from __future__ import annotations

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
from netlab.api.admission.names import check_metadata, label_problem
from netlab.model.objects import EndpointSlice

ENDPOINTS_LIMIT = 1000
ADDRESSES_LIMIT = 100


def check_slice(value: EndpointSlice, before: EndpointSlice | None = None) -> Causes:
    """The causes against an EndpointSlice."""
    yield from check_metadata(value)
    if before is not None and value.address_type != before.address_type:
        yield wrong("addressType", value.address_type, "field is immutable")
    if len(value.endpoints) > ENDPOINTS_LIMIT:
        yield too_many("endpoints", count=len(value.endpoints), limit=ENDPOINTS_LIMIT)
    for index, endpoint in enumerate(value.endpoints):
        yield from _check_addresses(endpoint.addresses, f"endpoints[{index}].addresses", value.address_type)
    names: set[str] = set()
    for index, port in enumerate(value.ports):
        name = port.name or ""
        if name and (why := label_problem(name)):
            yield wrong(f"ports[{index}].name", name, why)
        if name in names:
            yield duplicate(f"ports[{index}].name", name)
        names.add(name)


def _check_addresses(addresses: tuple[str, ...], field: str, family: str) -> Causes:
    if not addresses:
        yield required(field, "must contain at least 1 address")
    if len(addresses) > ADDRESSES_LIMIT:
        yield too_many(field, count=len(addresses), limit=ADDRESSES_LIMIT)
    for index, text in enumerate(addresses):
        if why := _problem(text, family):
            yield wrong(f"{field}[{index}]", text, why)


def _problem(text: str, family: str) -> str:
    if family == "FQDN":
        return ""
    address = address_in(text)
    if address is None:
        return NOT_AN_ADDRESS
    if f"IPv{address.version}" != family:
        return f"must be a valid {family} address"
    return unusable(address)
