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
from netlab.kernel.netlink import HEADER, NLM_F_CREATE, NLM_F_EXCL, Request, RouteSocket, attribute, attributes, nested
from netlab.model.rules import Family, IPAddress

WHERE = "this network namespace"
NETLINK_NETFILTER = 12
SUBSYSTEM = 1 << 8
NEW, GET, DELETE = SUBSYSTEM | 0, SUBSYSTEM | 1, SUBSYSTEM | 2
NETFILTER_HEADER = struct.Struct("=BBH")
TUPLE_ORIGINAL, TUPLE_REPLY, STATUS, PROTOCOL_INFO, TIMEOUT, MARK, IDENTITY = 1, 2, 3, 4, 7, 8, 12
DESTINATION_NAT = 13
NAT_RANGE = {Family.IPV4: (1, 2), Family.IPV6: (4, 5)}
NAT_PORTS, NAT_FIRST_PORT, NAT_LAST_PORT = 3, 1, 2
LASTING = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10
"""IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED, IPS_FIXED_TIMEOUT: packets of the flow do not change when it ends."""
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


def flush() -> None:
    """Forget all flows of both families. KernelError where conntrack is not there."""
    with _ConntrackSocket() as sender:
        for refusal in sender.send([Request(DELETE, 0, NETFILTER_HEADER.pack(socket.AF_UNSPEC, 0, 0))]):
            raise KernelError("conntrack -F", WHERE, refusal.number, refusal.message)


def insert(
    protocol: str,
    source: tuple[IPAddress, int],
    destination: tuple[IPAddress, int],
    became: tuple[IPAddress, int],
    *,
    seconds: int,
) -> None:
    """Add a flow that was answered, from `source` to `destination`, which `became` another; it lasts so many seconds.

    KernelError: EEXIST where there is such a flow already.
    """
    family = Family.IPV4 if isinstance(source[0], IPv4Address) else Family.IPV6
    body = (
        _request(family, protocol, Tuple(*source, *destination))
        + _tuple_bytes(TUPLE_REPLY, family, protocol, Tuple(*destination, *source))
        + attribute(STATUS, LASTING.to_bytes(4, "big"))
        + attribute(TIMEOUT, seconds.to_bytes(4, "big"))
        + _destination_nat(family, became)
    )
    with _ConntrackSocket() as sender:
        for refusal in sender.send([Request(NEW, NLM_F_CREATE | NLM_F_EXCL, body)]):
            raise KernelError("conntrack -I", WHERE, refusal.number, refusal.message)


def _destination_nat(family: Family, became: tuple[IPAddress, int]) -> bytes:
    first, last = NAT_RANGE[family]
    port = became[1].to_bytes(2, "big")
    return nested(
        DESTINATION_NAT,
        attribute(first, became[0].packed),
        attribute(last, became[0].packed),
        nested(NAT_PORTS, attribute(NAT_FIRST_PORT, port), attribute(NAT_LAST_PORT, port)),
    )


class _ConntrackSocket(RouteSocket):
    """The same exchange of messages, with netfilter."""

    protocol = NETLINK_NETFILTER

    def __init__(self) -> None:
        super().__init__(WHERE)


def _request(family: Family, protocol: str, original: Tuple) -> bytes:
    return NETFILTER_HEADER.pack(FAMILIES[family], 0, 0) + _tuple_bytes(TUPLE_ORIGINAL, family, protocol, original)


def _tuple_bytes(kind: int, family: Family, protocol: str, flow: Tuple) -> bytes:
    source, destination = ADDRESSES[family]
    return nested(
        kind,
        nested(TUPLE_ADDRESSES, attribute(source, flow.source.packed), attribute(destination, flow.destination.packed)),
        nested(
            TUPLE_PROTOCOL,
            attribute(PROTOCOL_NUMBER, bytes((NUMBERS.get(protocol) or int(protocol),))),
            attribute(SOURCE_PORT, flow.source_port.to_bytes(2, "big")),
            attribute(DESTINATION_PORT, flow.destination_port.to_bytes(2, "big")),
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
