"""Endpoints as a proxy sees them, out of EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from operator import lt
from typing import NamedTuple

from netlab.model.objects import SERVICE_NAME_LABEL, EndpointSlice
from netlab.model.objects import Endpoint as EndpointObject
from netlab.model.rules import Family, IPAddress, Protocol
from netlab.proxy.addresses import read_host, with_port
from netlab.proxy.complaints import Complaint
from netlab.proxy.ports import ServiceName

HEADLESS_LABEL = "service.kubernetes.io/headless"
"""On an EndpointSlice: no proxy uses it, whatever the value."""


class Endpoint(NamedTuple):
    """One address and port behind a Service port. `name` is both, as kube-proxy writes and sorts them."""

    address: IPAddress
    port: int
    name: str
    local: bool
    """Whether it runs on the node that the rules are for. One without nodeName runs nowhere."""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zones: frozenset[str] = frozenset()
    """Zones that this endpoint is meant for, by its hints."""
    nodes: frozenset[str] = frozenset()


PortOfSlice = tuple[str, Protocol]


class SliceEndpoints(NamedTuple):
    """One EndpointSlice, checked: its endpoints by port name and protocol, each sorted by name."""

    service: ServiceName
    family: Family
    by_port: Mapping[PortOfSlice, tuple[Endpoint, ...]]


@dataclass(slots=True)
class SliceReader:
    """Reads one EndpointSlice for the node of that name; endpoints that cannot be served go to `complaints`."""

    slice: EndpointSlice
    node_name: str
    complaints: list[Complaint] = field(default_factory=list)

    def endpoints(self) -> SliceEndpoints | None:
        """The slice's endpoints; None for a slice that no proxy uses."""
        metadata = self.slice.metadata
        service = metadata.labels.get(SERVICE_NAME_LABEL)
        if HEADLESS_LABEL in metadata.labels or not service or self.slice.address_type == "FQDN":
            return None
        family = _FAMILIES[self.slice.address_type]
        hosts = self._hosts(family)
        by_port: dict[PortOfSlice, tuple[Endpoint, ...]] = {}
        for port in self.slice.ports:
            if port.port:
                key = (port.name or "", _PROTOCOLS[port.protocol])
                found = self._endpoints_of(port.port, hosts)
                by_port[key] = merged((*by_port[key], *found) if key in by_port else found)
        return SliceEndpoints(ServiceName(metadata.namespace or "default", service), family, by_port)

    def _hosts(self, family: Family) -> list[_Host]:
        """Each endpoint with its first address: the others are not used, as the API says."""
        kind, found = _ADDRESSES[family], list[_Host]()
        for index, endpoint in enumerate(self.slice.endpoints):
            text = endpoint.addresses[0] if endpoint.addresses else ""
            address = read_host(text)
            if isinstance(address, kind):
                found.append(_Host(address, text if ":" not in text else with_port(address, 0)[:-2], endpoint))
            else:
                reason = address if isinstance(address, str) else f"is not an {family} address"
                self._complain(f"endpoints[{index}].addresses[0]", f"{text[:80]!r} {reason}")
        return found

    def _endpoints_of(self, port: int, hosts: Iterable[_Host]) -> tuple[Endpoint, ...]:
        here = self.node_name
        return tuple([_endpoint(host, port, here=here) for host in hosts])

    def _complain(self, path: str, message: str) -> None:
        self.complaints.append(Complaint("EndpointSlice", self.slice.key[:200], path, message))


class _Host(NamedTuple):
    address: IPAddress
    name: str
    """The address as `with_port` spells it."""
    given: EndpointObject


def _endpoint(host: _Host, port: int, *, here: str) -> Endpoint:
    address, name, given = host
    conditions, hints = given.conditions, given.hints
    return Endpoint(
        address,
        port,
        f"{name}:{port}",
        given.node_name == here,
        conditions.ready is not False,
        conditions.serving is not False,
        bool(conditions.terminating),
        frozenset([zone.name for zone in hints.for_zones]) if hints else _NOBODY,
        frozenset([node.name for node in hints.for_nodes]) if hints else _NOBODY,
    )


_NOBODY: frozenset[str] = frozenset()
_ADDRESSES = {Family.IPV4: IPv4Address, Family.IPV6: IPv6Address}
_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}
_PROTOCOLS = {"TCP": Protocol.TCP, "UDP": Protocol.UDP, "SCTP": Protocol.SCTP}


def merged(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """All of them sorted by name, the same address and port once.

    While an endpoint moves from one slice to another both hold it; and a Pod may have got the address of one that is
    about to go: then the one that is not terminating wins. Between others kube-proxy does not decide; here, the one
    that is ready, then the one that serves, then the one on this node.
    """
    names = [endpoint.name for endpoint in endpoints]
    if all(map(lt, names, names[1:])):
        return endpoints
    found: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        known = found.get(endpoint.name)
        if known is None or _preference(endpoint) > _preference(known):
            found[endpoint.name] = endpoint
    return tuple([found[name] for name in sorted(found)])


def _preference(endpoint: Endpoint) -> tuple[bool, ...]:
    return not endpoint.terminating, endpoint.ready, endpoint.serving, endpoint.local
