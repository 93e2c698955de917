"""The answer to a question about a name, as CoreDNS' kubernetes plugin gives it. Nobody else is ever asked.

    cluster.local
      <service>.<namespace>.svc                    A, AAAA: clusterIP, or the ready endpoints; CNAME: externalName
      <host>.<service>.<namespace>.svc             A, AAAA: that endpoint
      _<port>._<protocol>.<service>.<namespace>.svc   SRV, of named ports
      10-244-0-5.<namespace>.pod                   A, AAAA: what the name says, in any namespace that exists
    in-addr.arpa, ip6.arpa                         PTR: of clusterIPs, and of endpoints of headless Services

A name that is there, or has names below it, has records or none of the kind asked for: NOERROR. One that is not is
NXDOMAIN. Whatever lies outside is REFUSED: with nobody to forward to, this server cannot know whether it exists, and
says so at once. An ExternalName that leads outside is answered with its CNAME alone.

Sources: the Kubernetes DNS specification 1.1.0; RFC 2308 (negative answers), RFC 6604 (CNAME chains).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from netlab.dns.addon import CLUSTER_DOMAIN, DNS_SERVICE
from netlab.dns.records import (
    Address,
    Alias,
    Answer,
    Authority,
    Code,
    Data,
    Kind,
    Location,
    Name,
    NameServer,
    Pointer,
    Record,
    Text,
    parse_name,
)
from netlab.dns.zone import Endpoint, Key, Port, ServiceEntry, Zone
from netlab.model.rules import IPAddress

CLUSTER = parse_name(CLUSTER_DOMAIN)
REVERSE: tuple[Name, ...] = (("in-addr", "arpa"), ("ip6", "arpa"))
SERVER: Name = ("ns", "dns", *CLUSTER)
CONTACT: Name = ("hostmaster", *CLUSTER)
SCHEMA_VERSION = "1.1.0"
CHAIN_LIMIT = 8
"""ExternalNames that lead to one another are followed so far."""
PROTOCOLS = ("_tcp", "_udp", "_sctp")
WHOLE_WEIGHT = 100
"""Shared by the SRV records of one name."""


def answer(zone: Zone, name: Name, kind: int) -> Answer:
    """What the zone says of the name's records of that kind (a type's number, known or not)."""
    origin = _origin(name)
    if origin is None:
        return Answer(Code.REFUSED)
    soa = (Record(origin, Authority(SERVER, CONTACT, zone.serial)),)
    chain: tuple[Record, ...] = ()
    for _ in range(CHAIN_LIMIT):
        data = _data(zone, name)
        if data is None:
            return Answer(Code.NXDOMAIN, chain, soa)
        if found := tuple(Record(name, each) for each in data if kind in (each.kind, Kind.ANY)):
            return Answer(Code.NOERROR, (*chain, *found), additional=_additional(found))
        alias = next((each for each in data if isinstance(each, Alias)), None)
        if alias is None:
            return Answer(Code.NOERROR, chain, soa)
        chain, name = (*chain, Record(name, alias)), alias.target
        if _origin(name) != CLUSTER:
            return Answer(Code.NOERROR, chain)
    return Answer(Code.SERVFAIL)


def _origin(name: Name) -> Name | None:
    """The zone that the name is in, or None."""
    return next((origin for origin in (CLUSTER, *REVERSE) if name[-2:] == origin), None)


def _data(zone: Zone, name: Name) -> Sequence[Data] | None:
    """All that the name has; empty where there are only names below it, None where there is nothing."""
    if name[-2:] != CLUSTER:
        return _reverse(zone, name)
    match name[:-2]:
        case (*below, service_name, namespace, "svc"):
            service = zone.service((namespace, service_name))
            return _of_service(zone, service, tuple(below)) if service else None
        case (host, namespace, "pod"):
            address = _undashed(host) if zone.has_namespace(namespace) else None
            return (Address(address),) if address else None
        case (namespace, "svc" | "pod"):
            return () if zone.has_namespace(namespace) else None
    return _of_domain(zone, name[:-2])


def _of_domain(zone: Zone, below: Name) -> Sequence[Data] | None:
    """The names that are there whatever the cluster has."""
    service = zone.service(DNS_SERVICE)
    names: dict[Name, Sequence[Data]] = {
        (): (Authority(SERVER, CONTACT, zone.serial), NameServer(SERVER)),
        ("dns-version",): (Text(SCHEMA_VERSION),),
        ("ns", "dns"): tuple(map(Address, service.addresses)) if service else (),
        ("dns",): (),
        ("svc",): (),
        ("pod",): (),
    }
    return names.get(below)


def _of_service(zone: Zone, service: ServiceEntry, below: Name) -> Sequence[Data] | None:
    """What a Service's name has, or a name below it."""
    if service.external_name:
        return None if below else (Alias(service.external_name),)
    match below:
        case ():
            addresses = service.addresses or _addresses(zone.endpoints(service.key))
            return tuple(map(Address, addresses)) or None
        case (protocol,) if protocol in PROTOCOLS:
            ports = (port for _, ports, _ in _hosts(zone, service) for port in ports)
            return () if any(f"_{port.protocol}" == protocol for port in ports) else None
        case (port, protocol) if port.startswith("_") and protocol in PROTOCOLS:
            return _locations(zone, service, port=port[1:], protocol=protocol[1:]) or None
        case (host,):
            matching = (endpoint for endpoint in zone.endpoints(service.key) if endpoint.host == host)
            return tuple(map(Address, _addresses(matching))) or None
    return None


def _service_name(key: Key) -> Name:
    namespace, name = key
    return (name, namespace, "svc", *CLUSTER)


def _addresses(endpoints: Iterable[Endpoint]) -> tuple[IPAddress, ...]:
    return tuple(dict.fromkeys(endpoint.address for endpoint in endpoints))


def _hosts(zone: Zone, service: ServiceEntry) -> Iterator[tuple[Name, tuple[Port, ...], tuple[IPAddress, ...]]]:
    """Whom SRV records lead to, with ports and addresses: the Service itself, or each endpoint of a headless one."""
    name = _service_name(service.key)
    if service.addresses:
        yield name, service.ports, service.addresses
        return
    hosts: dict[str, list[Endpoint]] = {}
    for endpoint in zone.endpoints(service.key):
        hosts.setdefault(endpoint.host, []).append(endpoint)
    for host, endpoints in hosts.items():
        ports = tuple(dict.fromkeys(port for endpoint in endpoints for port in endpoint.ports))
        yield (host, *name), ports, _addresses(endpoints)


def _locations(zone: Zone, service: ServiceEntry, *, port: str, protocol: str) -> tuple[Location, ...]:
    found = [
        (target, each.number, addresses)
        for target, ports, addresses in _hosts(zone, service)
        for each in ports
        if (each.name, each.protocol) == (port, protocol)
    ]
    weight = max(1, WHOLE_WEIGHT // len(found)) if found else 0
    return tuple(Location(target, number, weight, addresses) for target, number, addresses in found)


def _additional(records: Sequence[Record]) -> tuple[Record, ...]:
    """The addresses of what SRV records lead to."""
    targets = {record.data.target: record.data.addresses for record in records if isinstance(record.data, Location)}
    return tuple(Record(target, Address(address)) for target, addresses in targets.items() for address in addresses)


def _undashed(host: str) -> IPAddress | None:
    """The address that a Pod's name spells: dots or colons as dashes."""
    for separator in (".", ":") if set(host) <= set("0123456789abcdef-") else ():
        try:
            return ip_address(host.replace("-", separator))
        except ValueError:
            continue
    return None


def _reverse(zone: Zone, name: Name) -> Sequence[Data] | None:
    """What the name of an address has; a part of such a name has nothing, but names below it."""
    digits = name[:-2]
    length, base, most = (4, 10, 255) if name[-2] == "in-addr" else (32, 16, 15)
    if len(digits) > length or not all(_is_digit(digit, base=base, most=most) for digit in digits):
        return None
    if len(digits) < length:
        return ()
    numbers = [int(digit, base) for digit in reversed(digits)]
    if length == 4:
        address: IPAddress = IPv4Address(bytes(numbers))
    else:
        address = IPv6Address(int("".join(reversed(digits)), 16))
    found = (Pointer((*([host] if host else []), *_service_name(key))) for key, host in zone.names_at(address))
    return tuple(dict.fromkeys(found)) or None


def _is_digit(text: str, *, base: int, most: int) -> bool:
    """Whether a label is one number of an address, spelled in the one way there is."""
    if not text.isascii() or not text.isalnum():
        return False
    try:
        number = int(text, base)
    except ValueError:
        return False
    return number <= most and text == (str(number) if base == 10 else f"{number:x}")
