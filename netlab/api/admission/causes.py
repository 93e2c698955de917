"""One wrong field of an object, in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address, ip_network

from netlab.api.encoding import quote
from netlab.api.statuses import Cause
from netlab.model.rules import IPAddress

Causes = Iterator[Cause]


def required(field: str, why: str = "") -> Cause:
    return Cause(
        reason="FieldValueRequired", message=f"Required value: {why}" if why else "Required value", field=field
    )


def wrong(field: str, value: object, why: str) -> Cause:
    return Cause(reason="FieldValueInvalid", message=f"Invalid value: {quote(value)}: {why}", field=field)


def unsupported(field: str, value: object, supported: Iterable[str]) -> Cause:
    listing = ", ".join(quote(each) for each in supported)
    message = f"Unsupported value: {quote(value)}: supported values: {listing}"
    return Cause(reason="FieldValueNotSupported", message=message, field=field)


def forbidden_field(field: str, why: str) -> Cause:
    return Cause(reason="FieldValueForbidden", message=f"Forbidden: {why}", field=field)


def duplicate(field: str, value: object) -> Cause:
    return Cause(reason="FieldValueDuplicate", message=f"Duplicate value: {quote(value)}", field=field)


def too_many(field: str, *, count: int, limit: int) -> Cause:
    message = f"Too many: {count}: must have at most {limit} items"
    return Cause(reason="FieldValueTooMany", message=message, field=field)


def too_long(field: str, *, limit: int) -> Cause:
    return Cause(reason="FieldValueTooLong", message=f"Too long: may not be more than {limit} bytes", field=field)


def address_in(text: str) -> IPAddress | None:
    """The address, or None where the text is none (or one with a zone, which means something on one machine only)."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def unusable(address: IPAddress) -> str:
    """Why an address cannot be reached from elsewhere, so that no Service can lead there; "" if it can."""
    told = address
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return f"may not be unspecified ({told})"
    if address.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if _is_link_local_multicast(address):
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return ""


def _is_link_local_multicast(address: IPAddress) -> bool:
    """In IPv6 whatever the flags are: the scope, the fourth digit, is 2 (RFC 4291)."""
    if isinstance(address, IPv6Address):
        return int(address) >> 112 & 0xFF0F == 0xFF02
    return address in ip_network("224.0.0.0/24")
