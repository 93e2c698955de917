"""A packet as a line, in tcpdump's words: `IP 10.244.0.3.40112 > 10.96.0.80.80: Flags [S], seq 1, length 0`.

Sources: RFC 791, 8200, 9293, 768, 792, 4443, 826, 7348; tcpdump(1) for the words.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from netlab.capture.pcapng import IN, OUT, Packet

ETHERNET_BYTES = 14
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
TCP_FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x10, "."))
VXLAN_PORT = 4789
VXLAN_BYTES = 8
DIRECTIONS = {IN: "In ", OUT: "Out"}
ICMP = {
    (3, 0): "net unreachable",
    (3, 1): "host unreachable",
    (3, 3): "port unreachable",
    (3, 4): "need to fragment",
    (3, 13): "admin prohibited",
    (11, 0): "time exceeded in-transit",
}
ICMPV6 = {
    (1, 0): "unreachable route",
    (1, 1): "unreachable prohibited",
    (1, 3): "unreachable address",
    (1, 4): "unreachable port",
    (2, 0): "packet too big",
    (3, 0): "time exceeded in-transit",
    (133, 0): "router solicitation",
    (134, 0): "router advertisement",
    (135, 0): "neighbor solicitation",
    (136, 0): "neighbor advertisement",
    (143, 0): "multicast listener report v2",
}
CUT = "[cut off]"


def line(packet: Packet, *, hop: str) -> str:
    """Time of day (of this machine's zone), hop, direction, and the packet."""
    moment = datetime.fromtimestamp(packet.nanoseconds // 1_000_000_000)
    nanoseconds = packet.nanoseconds % 1_000_000_000
    way = DIRECTIONS.get(packet.flags & 3, "?  ")
    return f"{moment:%H:%M:%S}.{nanoseconds:09d} {hop} {way} {told(packet.data)}"


def document(packet: Packet, *, hop: str) -> dict[str, str | int | None]:
    """The same for programs: the time as RFC 3339 has it, in UTC, and `length` the bytes that the frame had."""
    place, _, interface = hop.rpartition(" ")
    moment = datetime.fromtimestamp(packet.nanoseconds // 1_000_000_000, UTC)
    return {
        "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{packet.nanoseconds % 1_000_000_000:09d}Z",
        "place": place,
        "interface": interface,
        "direction": {IN: "in", OUT: "out"}.get(packet.flags & 3),
        "length": packet.length,
        "packet": told(packet.data),
    }


def told(frame: bytes) -> str:
    """An Ethernet frame in words."""
    try:
        kind = int.from_bytes(frame[12:14], "big")
        tell = _BY_TYPE.get(kind)
        return tell(frame[ETHERNET_BYTES:]) if tell else f"ethertype 0x{kind:04x}, length {len(frame)}"
    except (struct.error, IndexError, ValueError):
        return CUT


def _arp(data: bytes) -> str:
    operation = int.from_bytes(data[6:8], "big")
    sender, target = IPv4Address(data[14:18]), IPv4Address(data[24:28])
    if operation == 1:
        return f"ARP, Request who-has {target} tell {sender}"
    return f"ARP, Reply {sender} is-at {data[8:14].hex(':')}"


def _ipv4(data: bytes) -> str:
    header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
    source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    offset = int.from_bytes(data[6:8], "big") & 0x1FFF
    if offset:
        return f"IP {source} > {destination}: fragment at byte {offset * 8}, length {total - header}"
    return f"IP {_transport(data[9], data[header:total], str(source), str(destination))}"


def _ipv6(data: bytes) -> str:
    length = int.from_bytes(data[4:6], "big")
    source, destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    protocol, payload = _behind_options(data[6], data[40 : 40 + length])
    return f"IP6 {_transport(protocol, payload, str(source), str(destination))}"


def _behind_options(protocol: int, payload: bytes) -> tuple[int, bytes]:
    """Past hop-by-hop and destination options (0 and 60), which neighbour discovery has."""
    while protocol in (0, 60):
        protocol, payload = payload[0], payload[8 + payload[1] * 8 :]
    return protocol, payload


def _transport(protocol: int, data: bytes, source: str, destination: str) -> str:
    match protocol:
        case 6 | 17 | 132:
            source_port, destination_port = struct.unpack_from("!HH", data)
            ends = f"{source}.{source_port} > {destination}.{destination_port}"
            return f"{ends}: {_PORTED[protocol](data, destination_port)}"
        case 1:
            return f"{source} > {destination}: ICMP {_icmp(data, ICMP, echo=(8, 0))}"
        case 58:
            return f"{source} > {destination}: ICMP6 {_icmp(data, ICMPV6, echo=(128, 129))}"
    return f"{source} > {destination}: protocol {protocol}, length {len(data)}"


def _tcp(data: bytes, _port: int) -> str:
    sequence, acknowledged, words, flags, window = struct.unpack_from("!IIBBH", data, 4)
    letters = "".join(letter for bit, letter in TCP_FLAGS if flags & bit) or "none"
    ack = f", ack {acknowledged}" if flags & 0x10 else ""
    return f"Flags [{letters}], seq {sequence}{ack}, win {window}, length {len(data) - (words >> 4) * 4}"


def _udp(data: bytes, port: int) -> str:
    if port == VXLAN_PORT:
        vni = int.from_bytes(data[12:15], "big")
        return f"VXLAN, vni {vni}: {told(data[8 + VXLAN_BYTES :])}"
    return f"UDP, length {int.from_bytes(data[4:6], 'big') - 8}"


def _sctp(data: bytes, _port: int) -> str:
    return f"SCTP, length {len(data) - 12}"


def _icmp(data: bytes, names: Mapping[tuple[int, int], str], *, echo: tuple[int, int]) -> str:
    kind, code = data[0], data[1]
    if kind in echo:
        number, sequence = struct.unpack_from("!HH", data, 4)
        what = "request" if kind == echo[0] else "reply"
        return f"echo {what}, id {number}, seq {sequence}, length {len(data)}"
    return f"{names.get((kind, code), f'type {kind} code {code}')}, length {len(data)}"


_BY_TYPE: Mapping[int, Callable[[bytes], str]] = {IPV4: _ipv4, ARP: _arp, IPV6: _ipv6}
_PORTED: Mapping[int, Callable[[bytes, int], str]] = {6: _tcp, 17: _udp, 132: _sctp}
