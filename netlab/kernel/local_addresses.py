"""The addresses that the current network namespace has: `ip address`, as a proxy asks for it."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from netlab.kernel.netlink import HEADER, RouteSocket, attributes
from netlab.model.rules import IPAddress

RTM_GETADDR = 22
IFADDRMSG = struct.Struct("=BBBBI")
IFA_ADDRESS, IFA_LOCAL = 1, 2


def local_addresses() -> tuple[IPAddress, ...]:
    """Every address of every interface, loopback too, both families, in the kernel's order."""
    return tuple(address for _, address in addresses_by_interface())


def addresses_by_interface() -> tuple[tuple[int, IPAddress], ...]:
    """The same, each with the number of its interface."""
    with RouteSocket("this network namespace") as route:
        return tuple(_address(message) for message in route.dump(RTM_GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0)))


def _address(message: bytes) -> tuple[int, IPAddress]:
    family, _, _, _, index = IFADDRMSG.unpack_from(message, HEADER.size)
    found = attributes(message[HEADER.size + IFADDRMSG.size :])
    packed = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return index, IPv4Address(packed) if family == socket.AF_INET else IPv6Address(packed)
