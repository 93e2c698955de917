"""Virtual servers and address sets as the text that ipvsadm(8) and ipset(8) restore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model.ipvs import AddressSet, Scheduler, SetKind, VirtualServer
from netlab.model.rules import Family, Protocol
from netlab.proxy.addresses import with_port

SERVICE_OPTIONS = {Protocol.TCP: "-t", Protocol.UDP: "-u", Protocol.SCTP: "--sctp-service"}


def servers_text(servers: Iterable[VirtualServer]) -> str:
    """For `ipvsadm --restore`, sorted by what packets are addressed to."""
    ordered = sorted(servers, key=lambda server: (server.key.protocol, server.key.address.packed, server.key.port))
    return "".join(line + "\n" for server in ordered for line in _server(server))


def sets_text(sets: Iterable[AddressSet]) -> str:
    """For `ipset restore`: the sets in their order, the entries of each sorted."""
    return "".join(line + "\n" for each in sets for line in _set(each))


def _server(server: VirtualServer) -> Iterator[str]:
    key = server.key
    name = f"{SERVICE_OPTIONS[key.protocol]} {with_port(key.address, key.port)}"
    persistence = "" if server.persistent_seconds is None else f" -p {server.persistent_seconds}"
    by_port = " -b mh-port" if server.scheduler is Scheduler.MH else ""
    yield f"-A {name} -s {server.scheduler}{persistence}{by_port}"
    for real in server.real_servers:
        yield f"-a {name} -r {with_port(real.address, real.port)} -m -w 1"


def _set(wanted: AddressSet) -> Iterator[str]:
    if wanted.kind is SetKind.PORT:
        yield f"create {wanted.name} {wanted.kind} range 0-65535"
    else:
        family = "inet" if wanted.family is Family.IPV4 else "inet6"
        yield f"create {wanted.name} {wanted.kind} family {family} hashsize 1024 maxelem 65536"
    for entry in sorted(map(str, wanted.entries)):
        yield f"add {wanted.name} {entry}"
