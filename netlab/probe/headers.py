"""The head of a packet, read from its IP header on: who speaks to whom, and the token that tells a flow.

Sources: RFC 791, 8200, 9293, 768, 792, 4443; RFC 7348 for what VXLAN wraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from netlab.model.journey import PacketSeen
from netlab.model.rules import IPAddress
from netlab.probe.packets import token_of

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp"}
TCP_FLAGS = ((0x02, "S"), (0x04, "R"), (0x01, "F"), (0x08, "P"), (0x10, "."))
"""In the order of tcpdump(8)."""
ECHO = {ICMP: (8, 0), ICMP6: (128, 129)}
ERRORS = {
    ICMP: {
        (3, 0): "net unreachable",
        (3, 1): "host unreachable",
        (3, 3): "port unreachable",
        (3, 9): "net prohibited",
        (3, 10): "host prohibited",
        (3, 13): "admin prohibited",
        (11, 0): "time exceeded",
    },
    ICMP6: {
        (1, 0): "no route",
        (1, 1): "admin prohibited",
        (1, 3): "address unreachable",
        (1, 4): "port unreachable",
        (3, 0): "time exceeded",
    },
}
ERROR_TYPES = {ICMP: (3, 11, 12), ICMP6: (1, 2, 3, 4)}
VXLAN_PORT, VXLAN_HEADERS = 4789, 8 + 8 + 14
"""UDP, VXLAN and Ethernet before the packet inside."""
HEADER = {4: 20, 6: 40}


@dataclass(frozen=True, slots=True)
class Headers:
    """`token` is None where the packet shows none; `quoted` is the packet that an ICMP error is about."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    flags: str | None = None
    sequence: int = 0
    acknowledged: int = 0
    token: int | None = None
    quoted: Headers | None = None

    @property
    def is_error(self) -> bool:
        """Whether it is an ICMP error."""
        return self.protocol in ERRORS and "echo" not in (self.flags or "")

    @property
    def ends(self) -> tuple[IPAddress, int, IPAddress, int]:
        """Source and destination with their ports."""
        return self.source, self.source_port, self.destination, self.destination_port

    @property
    def reversed_ends(self) -> tuple[IPAddress, int, IPAddress, int]:
        """What an answer to it has as its ends."""
        return self.destination, self.destination_port, self.source, self.source_port

    def seen(self, mark: int = 0) -> PacketSeen:
        """As reports show it."""
        ports = self.protocol in (TCP, UDP)
        return PacketSeen(
            src=str(self.source),
            dst=str(self.destination),
            proto=NAMES.get(self.protocol, str(self.protocol)),
            sport=self.source_port if ports else None,
            dport=self.destination_port if ports else None,
            flags=self.flags,
            mark=mark,
        )


def read_headers(data: bytes) -> Headers | None:
    """The packet's head; None for what is no IP packet, or is cut short before its ports."""
    version = data[0] >> 4 if data else 0
    if version not in HEADER or len(data) < HEADER[version]:
        return None
    if version == 4:
        start, protocol = 4 * (data[0] & 0x0F), data[9]
        source: IPAddress = IPv4Address(data[12:16])
        destination: IPAddress = IPv4Address(data[16:20])
    else:
        start, protocol = 40, data[6]
        source, destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    return _transport(source, destination, protocol, data[start:])


def inside_tunnel(data: bytes) -> bytes | None:
    """The packet that a VXLAN packet wraps; None for any other packet."""
    outer = read_headers(data)
    if outer is None or outer.protocol != UDP or outer.destination_port != VXLAN_PORT:
        return None
    return data[(4 * (data[0] & 0x0F) if data[0] >> 4 == 4 else 40) + VXLAN_HEADERS :]


def _transport(source: IPAddress, destination: IPAddress, protocol: int, data: bytes) -> Headers | None:
    if protocol in ECHO:
        return _icmp(source, destination, protocol, data)
    if protocol not in (TCP, UDP) or len(data) < 8:
        return Headers(source, destination, protocol)
    ports = int.from_bytes(data[0:2]), int.from_bytes(data[2:4])
    if protocol == UDP:
        return Headers(source, destination, protocol, *ports, token=token_of(data[8:]))
    flags = "".join(letter for bit, letter in TCP_FLAGS if len(data) > 13 and data[13] & bit)
    numbers = int.from_bytes(data[4:8]), int.from_bytes(data[8:12])
    return Headers(source, destination, protocol, *ports, flags or None, *numbers)


def _icmp(source: IPAddress, destination: IPAddress, protocol: int, data: bytes) -> Headers | None:
    if len(data) < 8:
        return None
    kind = data[0], data[1]
    if kind[0] in ECHO[protocol]:
        flags = "echo request" if kind[0] == ECHO[protocol][0] else "echo reply"
        identity = int.from_bytes(data[4:6])
        return Headers(source, destination, protocol, identity, 0, flags, token=token_of(data[8:]))
    if kind[0] in ERROR_TYPES[protocol]:
        flags = ERRORS[protocol].get(kind, f"type {kind[0]} code {kind[1]}")
        return Headers(source, destination, protocol, flags=flags, quoted=read_headers(data[8:]))
    return Headers(source, destination, protocol, flags=f"type {kind[0]}")
