"""What the cluster's names are made of: its Services, ready endpoints and namespaces, found by name and by address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from netlab.dns.records import Name
from netlab.model.objects import (
    SERVICE_NAME_LABEL,
    EndpointSlice,
    KubernetesObject,
    Namespace,
    Service,
    ServiceType,
)
from netlab.model.objects import Endpoint as SliceEndpoint
from netlab.model.rules import IPAddress

Member = TypeVar("Member")
Key = tuple[str, str]
"""A Service's namespace and name."""


@dataclass(frozen=True, slots=True)
class Port:
    """A named port; `protocol` in lower case."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready endpoint. `host` is the label by which it is known below its Service's name."""

    address: IPAddress
    host: str
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """What DNS says of a Service. Without addresses it is headless, or with `external_name` an alias."""

    key: Key
    addresses: tuple[IPAddress, ...]
    ports: tuple[Port, ...]
    external_name: Name


class Zone:
    """The cluster's objects as they were last put."""

    def __init__(self) -> None:
        self.serial = 0
        """Counts the changes."""
        self._namespaces: set[str] = set()
        self._services: dict[Key, ServiceEntry] = {}
        self._endpoints: dict[Key, dict[str, tuple[Endpoint, ...]]] = {}
        self._owners: dict[str, Key] = {}
        self._services_at: dict[IPAddress, dict[Key, None]] = {}
        self._endpoints_at: dict[IPAddress, dict[tuple[Key, str], None]] = {}

    def put(self, value: KubernetesObject) -> None:
        """Take in an object that is new or has changed; kinds that have no names here are ignored."""
        self.remove(value)
        match value:
            case Namespace():
                self._namespaces.add(value.metadata.name)
            case Service():
                entry = self._services[service_key(value)] = _entry(value)
                for address in entry.addresses:
                    self._services_at.setdefault(address, {})[entry.key] = None
            case EndpointSlice() if key := _owner(value):
                endpoints = tuple(_endpoints(value))
                self._owners[value.key] = key
                self._endpoints.setdefault(key, {})[value.key] = endpoints
                for endpoint in endpoints:
                    self._endpoints_at.setdefault(endpoint.address, {})[key, value.key] = None

    def remove(self, value: KubernetesObject) -> None:
        """Forget an object."""
        self.serial += 1
        match value:
            case Namespace():
                self._namespaces.discard(value.metadata.name)
            case Service():
                entry = self._services.pop(service_key(value), None)
                for address in entry.addresses if entry else ():
                    _drop(self._services_at, address, service_key(value))
            case EndpointSlice() if key := self._owners.pop(value.key, None):
                for endpoint in self._endpoints[key].pop(value.key):
                    _drop(self._endpoints_at, endpoint.address, (key, value.key))
                if not self._endpoints[key]:
                    del self._endpoints[key]

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def service(self, key: Key) -> ServiceEntry | None:
        return self._services.get(key)

    def endpoints(self, key: Key) -> tuple[Endpoint, ...]:
        """A Service's ready endpoints; one that is in two slices comes once."""
        found = (endpoint for endpoints in self._endpoints.get(key, {}).values() for endpoint in endpoints)
        return tuple(dict.fromkeys(found))

    def names_at(self, address: IPAddress) -> Iterator[tuple[Key, str]]:
        """The Services that have the address, with "", and the headless ones with an endpoint there, with its host."""
        yield from ((key, "") for key in self._services_at.get(address, ()))
        for key, slice_name in self._endpoints_at.get(address, ()):
            service = self._services.get(key)
            if service and not service.addresses:
                found = self._endpoints[key][slice_name]
                yield from ((key, endpoint.host) for endpoint in found if endpoint.address == address)


def service_key(service: Service) -> Key:
    return service.metadata.namespace or "default", service.metadata.name


def _owner(value: EndpointSlice) -> Key | None:
    service = value.metadata.labels.get(SERVICE_NAME_LABEL)
    return (value.metadata.namespace or "default", service) if service else None


def _entry(service: Service) -> ServiceEntry:
    spec = service.spec
    external = spec.type is ServiceType.EXTERNAL_NAME
    spelled = () if external else spec.cluster_ips or (spec.cluster_ip or "",)
    return ServiceEntry(
        key=service_key(service),
        addresses=tuple(address for text in spelled if (address := _address(text))),
        ports=tuple(Port(port.name, port.protocol.lower(), port.port) for port in spec.ports if port.name),
        external_name=tuple((spec.external_name or "").lower().rstrip(".").split(".")) if external else (),
    )


def _endpoints(value: EndpointSlice) -> Iterator[Endpoint]:
    ports = tuple(
        Port(port.name, port.protocol.lower(), port.port) for port in value.ports if port.name and port.port is not None
    )
    for endpoint in value.endpoints:
        for text in endpoint.addresses if endpoint.conditions.ready is not False else ():
            address = _address(text)
            if address and f"IPv{address.version}" == value.address_type:
                yield Endpoint(address, _host(endpoint, address), ports)


def _host(endpoint: SliceEndpoint, address: IPAddress) -> str:
    """The endpoint's host name, or its address with dashes: `10-244-0-5`, as CoreDNS has it."""
    return endpoint.hostname.lower() if endpoint.hostname else dashed(address)


def dashed(address: IPAddress) -> str:
    return str(address).replace(".", "-").replace(":", "-")


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _drop(index: dict[IPAddress, dict[Member, None]], address: IPAddress, member: Member) -> None:
    members = index.get(address, {})
    members.pop(member, None)
    if not members:
        index.pop(address, None)
