"""A dummy interface: it leads nowhere, and whatever address it has is the machine's own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.local_addresses import addresses_by_interface
from netlab.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Request, RouteSocket, attribute, nested
from netlab.kernel.netlink_requests import (
    IFA_ADDRESS,
    IFA_LOCAL,
    IFADDRMSG,
    IFINFOMSG,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
)
from netlab.model.rules import IPAddress

HERE = "this network namespace"
TRIAL = "netlab-trial"
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
NO_DUPLICATES_ASKED = 0x02
"""IFA_F_NODAD: an address that nobody else can see needs no looking for another owner first."""


def is_there(name: str) -> bool:
    """Whether the current network namespace has an interface of that name, of whatever kind."""
    with RouteSocket(HERE) as route:
        return _index(route, name) is not None


def require_dummy() -> None:
    """MissingCapability where this kernel has no dummy interfaces: one is made, and deleted."""
    try:
        create(TRIAL)
    except KernelError as error:
        if error.number in (errno.EPERM, errno.EACCES):
            raise
        raise MissingCapability(
            "this kernel has no dummy interfaces (the driver dummy)",
            "load it with `sudo modprobe dummy` (CONFIG_DUMMY), or use another proxy mode",
        ) from error
    delete(TRIAL)


def create(name: str) -> None:
    """Make the interface where it is missing; it is down, and works so. KernelError."""
    kind = nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"dummy"))
    body = IFINFOMSG.pack(0, 0, 0, 0, 0) + _name(name) + kind
    with RouteSocket(HERE) as route:
        for refusal in route.send([Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)]):
            if refusal.number != errno.EEXIST:
                raise KernelError(f"ip link add {name} type dummy", HERE, refusal.number, refusal.message)


def delete(name: str) -> bool:
    """Delete an interface with its addresses; False where there is none. KernelError."""
    with RouteSocket(HERE) as route:
        for refusal in route.send([Request(RTM_DELLINK, 0, IFINFOMSG.pack(0, 0, 0, 0, 0) + _name(name))]):
            if refusal.number != errno.ENODEV:
                raise KernelError(f"ip link delete {name}", HERE, refusal.number, refusal.message)
            return False
    return True


def addresses_of(name: str) -> frozenset[IPAddress]:
    """The addresses of the interface; none where there is no such interface."""
    with RouteSocket(HERE) as route:
        number = _index(route, name)
    return frozenset(address for index, address in addresses_by_interface() if index == number)


def addresses_but_of(name: str) -> tuple[IPAddress, ...]:
    """The addresses of all other interfaces, in the kernel's order."""
    with RouteSocket(HERE) as route:
        number = _index(route, name)
    return tuple(address for index, address in addresses_by_interface() if index != number)


def change_addresses(name: str, *, added: Iterable[IPAddress], removed: Iterable[IPAddress]) -> None:
    """Give the interface addresses (each a network of its own), and take others. KernelError.

    One that it has already, or has not any more, is no error.
    """
    added, removed = tuple(added), tuple(removed)
    with RouteSocket(HERE) as route:
        index = route.index(name)
        requests = [Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, _address(index, each)) for each in added]
        requests += [Request(RTM_DELADDR, 0, _address(index, each)) for each in removed]
        for refusal in route.send(requests):
            if refusal.number not in (errno.EEXIST, errno.EADDRNOTAVAIL):
                address = (*added, *removed)[refusal.index]
                raise KernelError(f"ip address {address} dev {name}", HERE, refusal.number, refusal.message)


def _index(route: RouteSocket, name: str) -> int | None:
    try:
        return route.index(name)
    except KernelError as error:
        if error.number == errno.ENODEV:
            return None
        raise


def _name(name: str) -> bytes:
    return attribute(IFLA_IFNAME, name.encode() + b"\0")


def _address(index: int, address: IPAddress) -> bytes:
    header = IFADDRMSG.pack(FAMILIES[address.version], address.max_prefixlen, NO_DUPLICATES_ASKED, 0, index)
    return header + attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
