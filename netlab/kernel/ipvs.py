"""IPVS of the current network namespace: virtual servers and their real servers, over generic netlink.

Packed and read by hand, as in `netlink`: many changes are one system call. The tests have pyroute2 decode each kind of
request. Source: <linux/ip_vs.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from netlab.errors import KernelError, MissingCapability
from netlab.kernel import sysctls
from netlab.kernel.netlink import HEADER, Request, RouteSocket, attribute, attributes, nested
from netlab.model.ipvs import Load, RealServer, Scheduler, SeenServer, ServerKey, VirtualServer
from netlab.model.rules import IPAddress, IPNetwork, Protocol

HERE = "this network namespace"
NETLINK_GENERIC, CONTROLLER = 16, 16
GET_FAMILY, FAMILY_ID, FAMILY_NAME = 3, 1, 2
GENERIC_HEADER = struct.Struct("=BBxx")
VERSION = 1
NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
FLUSH = 17
SERVICE, DEST = 1, 2
(AF, PROTOCOL, ADDRESS, PORT, SCHEDULER, FLAGS, TIMEOUT, NETMASK) = (1, 2, 3, 4, 6, 7, 8, 9)
(DEST_ADDRESS, DEST_PORT, FORWARDING, WEIGHT, UPPER, LOWER, ACTIVE, INACTIVE) = (1, 2, 3, 4, 5, 6, 7, 8)
PERSISTENT, SOURCE_HASH = 0x1, 0x10
"""IP_VS_SVC_F_PERSISTENT; IP_VS_SVC_F_SCHED2, with which the scheduler mh looks at the client's port too."""
ALL_FLAGS = 0xFFFFFFFF
MASQUERADING = 0
"""IP_VS_CONN_F_MASQ: the packet is translated, not tunnelled or sent on as it is."""
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
PROTOCOLS = {number: protocol for protocol, number in NUMBERS.items()}
U16, U32, BE16 = struct.Struct("=H"), struct.Struct("=I"), struct.Struct("!H")
LENGTHS = {4: 4, 6: 16}
"""Bytes of an address."""
NAMES = {version: struct.Struct(f"=HHH2xHHH2xHH{length}sHH2s2x") for version, length in LENGTHS.items()}
REALS = {version: struct.Struct(f"=HH{length}sHH2s2xHHIHHIHHIHHI") for version, length in LENGTHS.items()}
"""Of each attribute its length, its number and its value, up to the next multiple of four bytes."""
NO_ADDRESS = "a namespace that has never had an address takes no real server: run `ip link set lo up` in it"
CONNTRACK = "net/ipv4/vs/conntrack"
MISSING = MissingCapability(
    "this kernel has no IP virtual server (ip_vs)",
    "load it with `sudo modprobe ip_vs` (Debian: package linux-image-amd64, Ubuntu: linux-modules-extra), "
    "or use another proxy mode",
)


@dataclass(frozen=True, slots=True)
class Change:
    """A step: the command, the virtual server and, where it is about one, the real server with its weight."""

    command: int
    server: VirtualServer
    real: RealServer | None = None
    weight: int = 1


def add(server: VirtualServer) -> Change:
    """Make a virtual server, without its real servers."""
    return Change(NEW_SERVICE, server)


def alter(server: VirtualServer) -> Change:
    """Another scheduler or persistence; its connections stay. (pyroute2's "update" would delete it.)"""
    return Change(SET_SERVICE, server)


def remove(server: VirtualServer) -> Change:
    """Delete a virtual server with its real servers."""
    return Change(DEL_SERVICE, server)


def add_real(server: VirtualServer, real: RealServer) -> Change:
    """Give a virtual server one more real server."""
    return Change(NEW_DEST, server, real)


def weigh(server: VirtualServer, real: RealServer, *, weight: int) -> Change:
    """With weight 0 a real server keeps the connections it has and gets no other."""
    return Change(SET_DEST, server, real, weight)


def remove_real(server: VirtualServer, real: RealServer) -> Change:
    """Take a real server away, whatever connections it has."""
    return Change(DEL_DEST, server, real)


class IpvsSocket(RouteSocket):
    """IPVS of the network namespace that the thread is in. MissingCapability: this kernel has none."""

    protocol = NETLINK_GENERIC

    def __init__(self) -> None:
        super().__init__(HERE)
        try:
            self._family = self._resolve()
        except BaseException:
            self.close()
            raise

    def _resolve(self) -> int:
        """The number by which this kernel knows IPVS; asking for it loads the module where there is one."""
        body = GENERIC_HEADER.pack(GET_FAMILY, 1) + attribute(FAMILY_NAME, b"IPVS\0")
        try:
            answer = self.ask(CONTROLLER, body)
        except KernelError as error:
            if error.number == errno.ENOENT:
                raise MISSING from error
            raise
        return int(U16.unpack(attributes(answer[HEADER.size + GENERIC_HEADER.size :])[FAMILY_ID])[0])

    def do(self, changes: Sequence[Change]) -> None:
        """Carry the changes out in order. MissingCapability: no such scheduler; KernelError: refused."""
        for refusal in self.send([Request(self._family, 0, body(change)) for change in changes]):
            change = changes[refusal.index]
            if refusal.number == errno.ENOENT and change.command in (NEW_SERVICE, SET_SERVICE):
                scheduler = change.server.scheduler
                raise MissingCapability(
                    f"this kernel has no IPVS scheduler {scheduler}", f"load it with `sudo modprobe ip_vs_{scheduler}`"
                )
            never_had_one = change.command == NEW_DEST and refusal.number == errno.EINVAL
            detail = NO_ADDRESS if never_had_one else ""
            raise KernelError(f"ipvs command {change.command} for {change.server.key}", HERE, refusal.number, detail)

    def clear(self, spared: Sequence[IPNetwork] = ()) -> None:
        """Delete every virtual server but those in these networks. KernelError."""
        if spared:
            found = tuple(self._virtual_servers())
            self.do([remove(each) for each in found if not any(each.key.address in network for network in spared)])
            return
        for refusal in self.send([Request(self._family, 0, GENERIC_HEADER.pack(FLUSH, VERSION))]):
            raise KernelError("ipvsadm --clear", HERE, refusal.number)

    def servers(self) -> Iterator[SeenServer]:
        """Every virtual server of an address and port, with its real servers. KernelError."""
        for server in tuple(self._virtual_servers()):
            yield SeenServer(server, dict(self.loads(server)))

    def loads(self, server: VirtualServer) -> Iterator[tuple[RealServer, Load]]:
        """The real servers of a virtual server. KernelError."""
        body = GENERIC_HEADER.pack(GET_DEST, VERSION) + nested(SERVICE, _name(server.key))
        for message in self.dump(self._family, body):
            found = attributes(_content(message)[DEST])
            address = _address(found[DEST_ADDRESS], server.key.address.version)
            numbers = (U32.unpack(found[kind])[0] for kind in (WEIGHT, ACTIVE, INACTIVE))
            yield RealServer(address, BE16.unpack(found[DEST_PORT])[0]), Load(*numbers)

    def _virtual_servers(self) -> Iterator[VirtualServer]:
        for message in self.dump(self._family, GENERIC_HEADER.pack(GET_SERVICE, VERSION)):
            found = attributes(_content(message)[SERVICE])
            if PORT in found and U16.unpack(found[PROTOCOL])[0] in PROTOCOLS:
                yield _virtual_server(found)


def require_ipvs() -> None:
    """MissingCapability where this kernel has no IPVS, or keeps it from us. Nothing is changed."""
    IpvsSocket().close()
    if sysctls.read(CONNTRACK) is None:
        raise MissingCapability(
            "the settings net.ipv4.vs, which the kernel keeps from user namespaces", "run it as root"
        )


def body(change: Change) -> bytes:
    """What follows the netlink header."""
    named, server = _name(change.server.key), change.server
    if change.command in (NEW_SERVICE, SET_SERVICE):
        named = b"".join((named, *_settings(server)))
    said = GENERIC_HEADER.pack(change.command, VERSION) + nested(SERVICE, named)
    if change.real is not None:
        said += nested(DEST, _real(change.real, weight=change.weight))
    return said


def _name(key: ServerKey) -> bytes:
    """Attributes of fixed sizes, packed together: a first sync names every virtual server for each real one."""
    version = key.address.version
    return NAMES[version].pack(
        *(4 + 2, AF, FAMILIES[version]),
        *(4 + 2, PROTOCOL, NUMBERS[key.protocol]),
        *(4 + LENGTHS[version], ADDRESS, key.address.packed),
        *(4 + 2, PORT, key.port.to_bytes(2)),
    )


def _settings(server: VirtualServer) -> Iterable[bytes]:
    """An IPv6 server's netmask is a prefix length; it tells which clients count as one."""
    whole = b"\xff" * 4 if server.key.address.version == 4 else U32.pack(128)
    flags = PERSISTENT if server.persistent_seconds is not None else 0
    flags |= SOURCE_HASH if server.scheduler is Scheduler.MH else 0
    return (
        attribute(SCHEDULER, server.scheduler.encode() + b"\0"),
        attribute(FLAGS, U32.pack(flags) + U32.pack(ALL_FLAGS)),
        attribute(TIMEOUT, U32.pack(server.persistent_seconds or 0)),
        attribute(NETMASK, whole),
    )


def _real(real: RealServer, *, weight: int) -> bytes:
    version = real.address.version
    return REALS[version].pack(
        *(4 + LENGTHS[version], DEST_ADDRESS, real.address.packed),
        *(4 + 2, DEST_PORT, real.port.to_bytes(2)),
        *(4 + 4, FORWARDING, MASQUERADING),
        *(4 + 4, WEIGHT, weight),
        *(4 + 4, UPPER, 0),
        *(4 + 4, LOWER, 0),
    )


def _content(message: bytes) -> dict[int, bytes]:
    return attributes(message[HEADER.size + GENERIC_HEADER.size :])


def _virtual_server(found: dict[int, bytes]) -> VirtualServer:
    version = 4 if U16.unpack(found[AF])[0] == socket.AF_INET else 6
    protocol = PROTOCOLS[U16.unpack(found[PROTOCOL])[0]]
    name = found[SCHEDULER].rstrip(b"\0").decode()
    flags = U32.unpack_from(found[FLAGS])[0]
    return VirtualServer(
        ServerKey(protocol, _address(found[ADDRESS], version), BE16.unpack(found[PORT])[0]),
        Scheduler(name) if name in set(Scheduler) else Scheduler.RR,
        persistent_seconds=U32.unpack(found[TIMEOUT])[0] if flags & PERSISTENT else None,
    )


def _address(data: bytes, version: int) -> IPAddress:
    return IPv4Address(data[:4]) if version == 4 else IPv6Address(data[:16])
