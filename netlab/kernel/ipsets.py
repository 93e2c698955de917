"""Address sets of the current network namespace (ipset(8)), over netlink.

Packed and read by hand, as in `netlink`: ten thousand entries are a few system calls. The tests have pyroute2 decode
every request. Source: <linux/netfilter/ipset/ip_set.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.netlink import (
    HEADER,
    NLA_F_NET_BYTEORDER,
    NLM_F_CREATE,
    Refusal,
    Request,
    RouteSocket,
    attribute,
    attributes,
    each_attribute,
    nested,
)
from netlab.model.ipvs import AddressSet, SetEntry, SetKind
from netlab.model.rules import Family, IPAddress, Protocol

HERE = "this network namespace"
NETLINK_NETFILTER, SUBSYSTEM = 12, 6 << 8
CREATE, DESTROY, FLUSH, LIST, ADD, DELETE, TYPE = (SUBSYSTEM | number for number in (2, 3, 4, 7, 9, 10, 13))
HEADER_OF_NETFILTER = struct.Struct("=BBH")
PROTOCOL_VERSION = b"\x06"
(VERSION, NAME, KIND, REVISION, FAMILY, DATA, ENTRIES) = (1, 2, 3, 4, 5, 7, 8)
(ADDRESS, PORT, PORT_TO, PROTOCOL, HASH_SIZE, MOST_ENTRIES, SOURCE, SOURCE_PREFIX) = (1, 4, 5, 7, 18, 19, 20, 21)
OF_VERSION = {4: 1, 6: 2}
"""IPSET_ATTR_IPADDR_IPV4 and _IPV6."""
FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
PROTOCOLS = {number: protocol for protocol, number in NUMBERS.items()}
FIRST_SIZE, LIMIT = 1024, 65536
"""kube-proxy's hash size, and how many entries a set may have."""
LAST_PORT = 0xFFFF
BUSY = 4100
"""IPSET_ERR_BUSY: a rule still uses the set."""
ALREADY, NOT_THERE = 4103, 4103
"""IPSET_ERR_EXIST: to add, the entry is there already; to delete, it is not."""
ABSENT = frozenset({errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT})
"""What the kernel says where it has no sets at all, or no set of that name."""
MISSING = MissingCapability(
    "this kernel has no address sets (ip_set)",
    "load it with `sudo modprobe ip_set` (CONFIG_IP_SET, with its hash and bitmap types), or use another proxy mode",
)


class SetSocket(RouteSocket):
    """The address sets of the network namespace that the thread is in."""

    protocol = NETLINK_NETFILTER

    def __init__(self) -> None:
        super().__init__(HERE)

    def create(self, wanted: Sequence[AddressSet]) -> None:
        """Make the sets, empty; those that are there stay as they are. KernelError: there is another kind of it."""
        requests = [
            Request(CREATE, NLM_F_CREATE, creation(each, revision=self._revision(each.kind, each.family)))
            for each in wanted
        ]
        self._do(requests, "ipset create", [each.name for each in wanted], passing=lambda _: False)

    def add(self, name: str, entries: Iterable[SetEntry]) -> None:
        """Put entries into a set; those that are there already stay. KernelError."""
        chosen = list(entries)
        self._do(
            [Request(ADD, 0, membership(name, entry)) for entry in chosen],
            f"ipset add {name}",
            chosen,
            passing=lambda refusal: refusal.number == ALREADY,
        )

    def delete(self, name: str, entries: Iterable[SetEntry]) -> None:
        """Take entries out of a set; those that are not there are no error. KernelError."""
        chosen = list(entries)
        self._do(
            [Request(DELETE, 0, membership(name, entry)) for entry in chosen],
            f"ipset del {name}",
            chosen,
            passing=lambda refusal: refusal.number == NOT_THERE,
        )

    def destroy(self, names: Sequence[str]) -> None:
        """Delete sets, which no rule may use any more. KernelError."""
        requests = [Request(DESTROY, 0, _body(attribute(NAME, _text(name)))) for name in names]
        self._do(requests, "ipset destroy", names, passing=lambda refusal: refusal.number == errno.ENOENT)

    def sets(self) -> dict[str, AddressSet]:
        """Every set of a kind that netlab knows, with what is in it; none where this kernel has no sets."""
        found: dict[str, AddressSet] = {}
        try:
            for message in self.dump(LIST, _body()):
                part = _read(attributes(message[HEADER.size + HEADER_OF_NETFILTER.size :]))
                if part is not None:
                    before = found.get(part.name)
                    found[part.name] = part._replace(entries=before.entries | part.entries) if before else part
        except KernelError as error:
            if error.number not in ABSENT:
                raise
        return found

    def require(self, kind: SetKind, family: Family) -> None:
        """MissingCapability where this kernel has no sets of that kind. Nothing is changed."""
        try:
            self._revision(kind, family)
        except KernelError as error:
            raise MissingCapability(f"{MISSING.capability}, or none of the type {kind}", MISSING.remedy) from error

    def _revision(self, kind: SetKind, family: Family) -> bytes:
        """The newest form of that kind that this kernel knows; asking for it loads its module."""
        number = socket.AF_UNSPEC if kind is SetKind.PORT else FAMILIES[family]
        answer = self.ask(TYPE, _body(attribute(KIND, _text(kind)), attribute(FAMILY, bytes((number,)))))
        return attributes(answer[HEADER.size + HEADER_OF_NETFILTER.size :])[REVISION]

    def _do(
        self, requests: Sequence[Request], what: str, names: Sequence[object], *, passing: Callable[[Refusal], bool]
    ) -> None:
        for refusal in self.send(requests):
            if not passing(refusal):
                detail = "a rule still uses it" if refusal.number == BUSY else f"error {refusal.number}"
                raise KernelError(f"{what} {names[refusal.index]}", HERE, 0, detail)


def require_sets(kinds: Iterable[SetKind], family: Family) -> None:
    """MissingCapability where this kernel lacks address sets, or one of those kinds. Nothing is changed."""
    with SetSocket() as sets:
        for kind in kinds:
            sets.require(kind, family)


def creation(wanted: AddressSet, *, revision: bytes) -> bytes:
    """The request that makes a set, after the netlink header."""
    if wanted.kind is SetKind.PORT:
        family, data = socket.AF_UNSPEC, (_number(PORT, 0, 2), _number(PORT_TO, LAST_PORT, 2))
    else:
        family, data = FAMILIES[wanted.family], (_number(HASH_SIZE, FIRST_SIZE, 4), _number(MOST_ENTRIES, LIMIT, 4))
    return _body(
        attribute(NAME, _text(wanted.name)),
        attribute(KIND, _text(wanted.kind)),
        attribute(REVISION, revision),
        attribute(FAMILY, bytes((family,))),
        nested(DATA, *data),
    )


def membership(name: str, entry: SetEntry) -> bytes:
    """The request about an entry, after the netlink header."""
    parts = []
    if entry.address is not None:
        parts.append(_address(ADDRESS, entry.address))
    if entry.port is not None:
        parts.append(_number(PORT, entry.port, 2))
    if entry.protocol is not None:
        parts.append(attribute(PROTOCOL, bytes((NUMBERS[entry.protocol],))))
    if entry.source is not None:
        parts.append(_address(SOURCE, entry.source.network_address))
        if entry.source.prefixlen != entry.source.max_prefixlen:
            parts.append(attribute(SOURCE_PREFIX, bytes((entry.source.prefixlen,))))
    return _body(attribute(NAME, _text(name)), nested(DATA, *parts))


def _body(*parts: bytes) -> bytes:
    return HEADER_OF_NETFILTER.pack(socket.AF_INET, 0, 0) + attribute(VERSION, PROTOCOL_VERSION) + b"".join(parts)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _number(kind: int, value: int, size: int) -> bytes:
    return attribute(kind | NLA_F_NET_BYTEORDER, value.to_bytes(size, "big"))


def _address(kind: int, address: IPAddress) -> bytes:
    return nested(kind, attribute(OF_VERSION[address.version] | NLA_F_NET_BYTEORDER, address.packed))


def _read(found: dict[int, bytes]) -> AddressSet | None:
    """One message of a listing: a set has several where it is large."""
    kind = found.get(KIND, b"").rstrip(b"\0").decode()
    if kind not in set(SetKind):
        return None
    family = Family.IPV6 if found.get(FAMILY, b"\0")[0] == socket.AF_INET6 else Family.IPV4
    entries = frozenset(_entry(attributes(data)) for _, data in each_attribute(found.get(ENTRIES, b"")))
    return AddressSet(found[NAME].rstrip(b"\0").decode(), SetKind(kind), family, entries)


def _entry(found: dict[int, bytes]) -> SetEntry:
    source = _address_in(found[SOURCE]) if SOURCE in found else None
    prefix = found[SOURCE_PREFIX][0] if SOURCE_PREFIX in found else source.max_prefixlen if source else 0
    return SetEntry(
        address=_address_in(found[ADDRESS]) if ADDRESS in found else None,
        protocol=PROTOCOLS.get(found[PROTOCOL][0]) if PROTOCOL in found else None,
        port=int.from_bytes(found[PORT], "big") if PORT in found else None,
        source=ip_network((source, prefix)) if source else None,
    )


def _address_in(data: bytes) -> IPAddress:
    (packed,) = attributes(data).values()
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
