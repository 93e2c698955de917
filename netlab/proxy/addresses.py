"""Addresses out of objects: read once, checked once, `ipaddress` values from then on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

from netlab.model.rules import Family, IPAddress, IPNetwork

_PLAIN_FIRST_BYTES = frozenset(range(1, 224)) - {127, 169}
"""None of the addresses that begin so is special."""


def family_of(value: IPAddress | IPNetwork) -> Family:
    """The family that an address or a network belongs to."""
    return Family.IPV4 if isinstance(value, (IPv4Address, IPv4Network)) else Family.IPV6


def read_address(text: str) -> IPAddress | None:
    """The address that a text says, or None. An IPv4 address wrapped in IPv6 (::ffff:10.0.0.1) is an IPv4 address."""
    try:
        return IPv4Address(inet_pton(AF_INET, text))  # as strict as ipaddress, and three times as fast
    except (OSError, ValueError):
        pass
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        return None
    return address.ipv4_mapped or address


def read_host(text: str) -> IPAddress | str:
    """The address that a text says, if a Pod or a Service can have it; else why not: `is a loopback address`."""
    try:
        packed = inet_pton(AF_INET, text)
    except (OSError, ValueError):
        packed = b"\0"
    if packed[0] in _PLAIN_FIRST_BYTES:
        return IPv4Address(packed)
    address = read_address(text)
    return "is not an IP address" if address is None else special(address) or address


def read_network(text: str) -> IPNetwork | None:
    """The network that a text says, or None. Space around it and host bits are let pass, as Kubernetes does."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def special(address: IPAddress) -> str:
    """Why no Pod or Service can have this address, or an empty string.

    The same addresses that the API server refuses for endpoints: a packet to them would not leave the node, or would
    reach many.
    """
    if address.is_unspecified:
        return "is the unspecified address"
    if address.is_loopback:
        return "is a loopback address"
    if address.is_link_local:
        return "is a link-local address"
    return "is a multicast address" if address.is_multicast else ""


class _Host4(IPv4Network):
    """A network of one address, whose constructor has nothing to read or check: a node needs tens of thousands."""

    def __init__(self, address: IPv4Address) -> None:
        self.network_address = address
        self.netmask = _ALL_BITS_4
        self._prefixlen = 32

    def __reduce__(self) -> tuple[type[IPv4Network], tuple[str]]:
        return IPv4Network, (str(self),)


class _Host6(IPv6Network):
    def __init__(self, address: IPv6Address) -> None:
        self.network_address = address
        self.netmask = _ALL_BITS_6
        self._prefixlen = 128

    def __reduce__(self) -> tuple[type[IPv6Network], tuple[str]]:
        return IPv6Network, (str(self),)


_ALL_BITS_4 = IPv4Address("255.255.255.255")
_ALL_BITS_6 = IPv6Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")


def host_network(address: IPAddress) -> IPNetwork:
    """The network of this one address: /32, or /128."""
    return _Host4(address) if isinstance(address, IPv4Address) else _Host6(address)


def with_port(address: IPAddress, port: int) -> str:
    """`10.244.1.5:8080`, `[fd00::5]:8080`: how kube-proxy names and sorts endpoints."""
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
