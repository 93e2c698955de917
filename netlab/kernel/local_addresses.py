"""The addresses that the current network namespace has: `ip address`, as a proxy asks for it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from netlab.errors import KernelError
from netlab.kernel.netlink import HEADER, NLM_F_CREATE, NLM_F_REPLACE, Request, RouteSocket, attribute, attributes
from netlab.model.rules import IPAddress

RTM_NEWADDR, RTM_GETADDR = 20, 22
IFADDRMSG = struct.Struct("=BBBBI")
IFA_ADDRESS, IFA_LOCAL = 1, 2
HERE = "this network namespace"


def local_addresses() -> tuple[IPAddress, ...]:
    """Every address of every interface, loopback too, both families, in the kernel's order."""
    return tuple(address for _, address in addresses_by_interface())


def addresses_by_interface() -> tuple[tuple[int, IPAddress], ...]:
    """The same, each with the number of its interface."""
    with RouteSocket(HERE) as route:
        return tuple(_address(message) for message in route.dump(RTM_GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0)))


def take_on(addresses: Iterable[IPAddress]) -> None:
    """Give the current network namespace these addresses too, on its loopback interface. KernelError: refused."""
    with RouteSocket(HERE) as route:
        loopback = route.index("lo")
        for refusal in route.send([_new(address, loopback) for address in addresses]):
            raise KernelError("ip address add dev lo", HERE, refusal.number)


def _new(address: IPAddress, interface: int) -> Request:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    header = IFADDRMSG.pack(family, address.max_prefixlen, 0, 0, interface)
    packed = attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header + packed)


def _address(message: bytes) -> tuple[int, IPAddress]:
    family, _, _, _, index = IFADDRMSG.unpack_from(message, HEADER.size)
    found = attributes(message[HEADER.size + IFADDRMSG.size :])
    packed = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return index, IPv4Address(packed) if family == socket.AF_INET else IPv6Address(packed)
