"""What a network namespace holds, as a few short texts that change when it does.

For who wants to know whether anything is otherwise, not what: the kernel's answers are hashed as they come, without
what moves by itself (timers, counters, ages) and without being decoded, in about a millisecond. Unlike `readback` it
leaves out nothing that somebody might add: rules of routing, queueing disciplines, routes of any kind.

Sources: rtnetlink(7), <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>, <linux/neighbour.h>.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from socket import AF_BRIDGE, AF_INET6

from netlab.kernel import sysctls
from netlab.kernel.netlink import HEADER, RouteSocket, attribute, each_attribute
from netlab.kernel.netlink_requests import (
    IFADDRMSG,
    IFINFOMSG,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    NDMSG,
    NUD_PERMANENT,
    RTMSG,
)

GET_LINK, GET_ADDRESS, GET_ROUTE, GET_NEIGHBOUR, GET_RULE, GET_QUEUE = 18, 22, 26, 30, 34, 38
RULE_HEADER, QUEUE_HEADER = struct.Struct("=8xI"), struct.Struct("=20x")
LINK_KEPT = frozenset({IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_MTU})
INFO_KIND, INFO_DATA, INFO_SLAVE_DATA = 1, 2, 5
BRIDGE_KEPT = frozenset({4, 5, 7})
"""IFLA_BR_AGEING_TIME, IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING; the others are timers and what comes of them."""
PORT_KEPT = frozenset({4, 8, 9})
"""IFLA_BRPORT_MODE, IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD."""
ADDRESS_AGE, ROUTE_AGE = frozenset({6, 8}), frozenset({12})
"""IFA_CACHEINFO, and IFA_FLAGS, where an address is still being tried out; RTA_CACHEINFO."""
CARRIER_OF_ROUTE = 1 | 16
"""RTNH_F_DEAD, RTNH_F_LINKDOWN: the other end of a cable comes up a moment later."""
FLAGS_KEPT = 1 | 0x80 | 0x200
"""IFF_UP, IFF_NOARP, IFF_ALLMULTI."""
SCOPE_LINK = 253
ROUTE_DESTINATION = 1
OF_THE_LINK = (b"\xfe\x80", b"\xff")
"""How IPv6 addresses begin that the kernel gives each interface once it is up: fe80::/10, ff00::/8."""
NEIGHBOUR_AGE = frozenset({3, 4})
QUEUE_COUNTS = frozenset({3, 4, 7})
"""TCA_STATS, TCA_XSTATS, TCA_STATS2."""
STATE = struct.Struct("=8xH")
"""ndm_state in struct ndmsg."""


def fingerprint(where: str, settings: Iterable[str]) -> dict[str, str]:
    """By part (`links`, `addresses`, `routes`, `neighbours`, `queues`, `settings`) of the current network namespace.

    `where` is the namespace's name, for errors; `settings` are the sysctls to look at. KernelError.
    """
    with RouteSocket(where) as route:
        found = {
            "links": hashed(map(_link, _dump(route, GET_LINK, IFINFOMSG))),
            "addresses": hashed(_addresses(route)),
            "routes": hashed(_routes(route)),
            "neighbours": hashed(_neighbours(route)),
            "queues": hashed(
                _without(QUEUE_COUNTS, each, QUEUE_HEADER) for each in _dump(route, GET_QUEUE, QUEUE_HEADER)
            ),
        }
    found["settings"] = hashed(f"{key}={sysctls.read(key)}".encode() for key in settings)
    return found


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The parts that are not as they were."""
    return tuple(sorted(part for part in before.keys() | now.keys() if before.get(part) != now.get(part)))


def hashed(entries: Iterable[bytes]) -> str:
    """A short text for all of them, in whatever order they come."""
    digest = hashlib.blake2b(digest_size=12)
    for entry in sorted(entries):
        digest.update(struct.pack("=I", len(entry)))
        digest.update(entry)
    return digest.hexdigest()


def _dump(route: RouteSocket, kind: int, header: struct.Struct) -> Iterator[bytes]:
    """The answers without their netlink headers, which number them."""
    return (message[HEADER.size :] for message in route.dump(kind, bytes(header.size)))


def _addresses(route: RouteSocket) -> Iterator[bytes]:
    for address in _dump(route, GET_ADDRESS, IFADDRMSG):
        family, length, _, scope, index = IFADDRMSG.unpack_from(address)
        if scope != SCOPE_LINK:
            head = IFADDRMSG.pack(family, length, 0, scope, index)
            yield _without(ADDRESS_AGE, head + address[IFADDRMSG.size :], IFADDRMSG)


def _routes(route: RouteSocket) -> Iterator[bytes]:
    for found in _dump(route, GET_ROUTE, RTMSG):
        destination = dict(each_attribute(found[RTMSG.size :])).get(ROUTE_DESTINATION, b"")
        if not (RTMSG.unpack_from(found)[0] == AF_INET6 and destination.startswith(OF_THE_LINK)):
            fields = RTMSG.unpack_from(found)
            head = RTMSG.pack(*fields[:-1], fields[-1] & ~CARRIER_OF_ROUTE)
            yield _without(ROUTE_AGE, head + found[RTMSG.size :], RTMSG)
    yield from _dump(route, GET_RULE, RULE_HEADER)


def _neighbours(route: RouteSocket) -> Iterator[bytes]:
    """What somebody wrote: learnt ones come and go."""
    for body in (NDMSG.pack(0, 0, 0, 0, 0), NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)):
        for message in route.dump(GET_NEIGHBOUR, body):
            entry = message[HEADER.size :]
            if STATE.unpack_from(entry)[0] & NUD_PERMANENT:
                yield _without(NEIGHBOUR_AGE, entry, NDMSG)


def _without(dropped: frozenset[int], message: bytes, header: struct.Struct) -> bytes:
    kept = (attribute(kind, value) for kind, value in each_attribute(message[header.size :]) if kind not in dropped)
    return message[: header.size] + b"".join(kept)


def _link(message: bytes) -> bytes:
    family, kind_of_device, index, flags, _ = IFINFOMSG.unpack_from(message)
    parts = [IFINFOMSG.pack(family, kind_of_device, index, flags & FLAGS_KEPT, 0)]
    for kind, value in each_attribute(message[IFINFOMSG.size :]):
        if kind in LINK_KEPT:
            parts.append(attribute(kind, value))
        elif kind == IFLA_LINKINFO:
            parts += _link_info(value)
    return b"".join(parts)


def _link_info(value: bytes) -> Iterator[bytes]:
    found = dict(each_attribute(value))
    yield found.get(INFO_KIND, b"")
    is_bridge = found.get(INFO_KIND, b"").rstrip(b"\0") == b"bridge"
    yield from _chosen(found.get(INFO_DATA, b""), BRIDGE_KEPT if is_bridge else None)
    yield from _chosen(found.get(INFO_SLAVE_DATA, b""), PORT_KEPT)


def _chosen(value: bytes, kept: frozenset[int] | None) -> Iterator[bytes]:
    return (attribute(kind, part) for kind, part in each_attribute(value) if kept is None or kind in kept)
