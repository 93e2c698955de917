"""The connections that the kernel knows in the current network namespace: what was sent, and who answers.

Packed and read by hand, as in `netlink`: 3000 flows take a second by pyroute2 and 30 ms so. Sources:
<linux/netfilter/nfnetlink_conntrack.h>, <linux/netfilter/nf_conntrack_common.h>, <linux/netfilter/nf_conntrack_tcp.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from netlab.errors import KernelError
from netlab.kernel.netlink import HEADER, Request, RouteSocket, attribute, attributes, nested
from netlab.model.rules import Family, IPAddress

WHERE = "this network namespace"
NETLINK_NETFILTER = 12
SUBSYSTEM = 1 << 8
GET, DELETE = SUBSYSTEM | 1, SUBSYSTEM | 2
NETFILTER_HEADER = struct.Struct("=BBH")
TUPLE_ORIGINAL, TUPLE_REPLY, STATUS, PROTOCOL_INFO, TIMEOUT, MARK, IDENTITY = 1, 2, 3, 4, 7, 8, 12
TUPLE_ADDRESSES, TUPLE_PROTOCOL = 1, 2
ADDRESSES = {Family.IPV4: (1, 2), Family.IPV6: (3, 4)}
PROTOCOL_NUMBER, SOURCE_PORT, DESTINATION_PORT, ICMP_ID, ICMP6_ID = 1, 2, 3, 4, 7
FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}
NAMES = {number: name for name, number in NUMBERS.items()}
TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)


class Status(StrEnum):
    """What became of a flow; its bit in IPS_* of nf_conntrack_common.h is that of its place here."""

    EXPECTED = "expected"
    SEEN_REPLY = "seen reply"
    ASSURED = "assured"
    CONFIRMED = "confirmed"
    SOURCE_TRANSLATED = "source translated"
    DESTINATION_TRANSLATED = "destination translated"


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a flow. Ports are 0 for protocols without; an ICMP echo's identifier is its source port."""

    source: IPAddress
    source_port: int
    destination: IPAddress
    destination_port: int


@dataclass(frozen=True, slots=True)
class Flow:
    """An entry of conntrack.

    `original` is what the first packet said, `reply` what an answer to it says before it is translated back: its
    source is who answers, after DNAT; its destination who is answered, after SNAT. `state` is a TCP connection's, ""
    for other protocols. `mark` is the connection's (CONNMARK), not a packet's. `timeout` is the seconds until the entry
    is forgotten unless another packet comes.
    """

    family: Family
    protocol: str
    original: Tuple
    reply: Tuple
    status: frozenset[Status]
    state: str
    mark: int
    timeout: int
    identity: bytes
    """The entry's number, which another flow may have later."""


def flows(family: Family) -> Iterator[Flow]:
    """All flows of the family, in no order. KernelError where conntrack is not there."""
    with _ConntrackSocket() as sender:
        for message in sender.dump(GET, NETFILTER_HEADER.pack(FAMILIES[family], 0, 0)):
            yield read_flow(message, family)


def find(protocol: str, source: tuple[IPAddress, int], destination: tuple[IPAddress, int]) -> Flow | None:
    """The flow whose first packet went from `source` to `destination` (address, port); None where there is none."""
    family = Family.IPV4 if isinstance(source[0], IPv4Address) else Family.IPV6
    original = Tuple(source[0], source[1], destination[0], destination[1])
    with _ConntrackSocket() as sender:
        try:
            return read_flow(sender.ask(GET, _request(family, protocol, original)), family)
        except KernelError as error:
            if error.number == errno.ENOENT:
                return None
            raise


def translated(
    protocol: str, source: tuple[IPAddress, int], destination: tuple[IPAddress, int]
) -> tuple[IPAddress, int] | None:
    """What the destination of a flow became: who answers it. None where there is no such flow."""
    flow = find(protocol, source, destination)
    return (flow.reply.source, flow.reply.source_port) if flow else None


def delete(condemned: Iterable[Flow]) -> int:
    """Delete flows; how many of them were still there."""
    requests = [
        Request(DELETE, 0, _request(flow.family, flow.protocol, flow.original) + attribute(IDENTITY, flow.identity))
        for flow in condemned
    ]
    with _ConntrackSocket() as sender:
        refusals = sender.send(requests)
    for refusal in refusals:
        if refusal.number != errno.ENOENT:
            raise KernelError("conntrack -D", WHERE, refusal.number, refusal.message)
    return len(requests) - len(refusals)


class _ConntrackSocket(RouteSocket):
    """The same exchange of messages, with netfilter."""

    protocol = NETLINK_NETFILTER

    def __init__(self) -> None:
        super().__init__(WHERE)


def _request(family: Family, protocol: str, original: Tuple) -> bytes:
    source, destination = ADDRESSES[family]
    return NETFILTER_HEADER.pack(FAMILIES[family], 0, 0) + nested(
        TUPLE_ORIGINAL,
        nested(
            TUPLE_ADDRESSES,
            attribute(source, original.source.packed),
            attribute(destination, original.destination.packed),
        ),
        nested(
            TUPLE_PROTOCOL,
            attribute(PROTOCOL_NUMBER, bytes((NUMBERS.get(protocol) or int(protocol),))),
            attribute(SOURCE_PORT, original.source_port.to_bytes(2, "big")),
            attribute(DESTINATION_PORT, original.destination_port.to_bytes(2, "big")),
        ),
    )


def read_flow(message: bytes, family: Family) -> Flow:
    """The flow in a message of conntrack, its header included."""
    parts = attributes(message[HEADER.size + NETFILTER_HEADER.size :])
    original, protocol = _tuple(parts[TUPLE_ORIGINAL], family)
    reply, _ = _tuple(parts[TUPLE_REPLY], family)
    status = int.from_bytes(parts.get(STATUS, b""), "big")
    return Flow(
        family=family,
        protocol=NAMES.get(protocol, str(protocol)),
        original=original,
        reply=reply,
        status=frozenset(meaning for bit, meaning in enumerate(Status) if status >> bit & 1),
        state=_tcp_state(parts.get(PROTOCOL_INFO, b"")) if protocol == NUMBERS["tcp"] else "",
        mark=int.from_bytes(parts.get(MARK, b""), "big"),
        timeout=int.from_bytes(parts.get(TIMEOUT, b""), "big"),
        identity=parts.get(IDENTITY, b""),
    )


def _tuple(data: bytes, family: Family) -> tuple[Tuple, int]:
    parts = attributes(data)
    addresses, protocol = attributes(parts[TUPLE_ADDRESSES]), attributes(parts[TUPLE_PROTOCOL])
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    source, destination = ADDRESSES[family]
    port = protocol.get(SOURCE_PORT) or protocol.get(ICMP_ID) or protocol.get(ICMP6_ID) or b""
    return (
        Tuple(
            kind(addresses[source]),
            int.from_bytes(port, "big"),
            kind(addresses[destination]),
            int.from_bytes(protocol.get(DESTINATION_PORT, b""), "big"),
        ),
        protocol[PROTOCOL_NUMBER][0],
    )


def _tcp_state(info: bytes) -> str:
    """CTA_PROTOINFO_TCP and in it CTA_PROTOINFO_TCP_STATE are both number 1."""
    state = attributes(attributes(info).get(1, b"")).get(1, b"\0")[0]
    return TCP_STATES[state] if state < len(TCP_STATES) else str(state)
