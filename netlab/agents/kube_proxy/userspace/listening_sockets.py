"""The listening socket of a Service port."""

from __future__ import annotations

import errno
import socket

from netlab.errors import KernelError
from netlab.model.rules import Family, IPAddress, Protocol

ADDRESS_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
EVERY_ADDRESS = {Family.IPV4: "0.0.0.0", Family.IPV6: "::"}
IP_PKTINFO = 8
"""<linux/in.h>; Python has no name for it."""


def open_listener(family: Family, protocol: Protocol) -> socket.socket:
    """A socket on a free port of every address of the family, in this network namespace.

    REDIRECT leads to the address of whichever interface a packet came in by. A UDP socket tells of each datagram which
    address it was sent to. KernelError.
    """
    listener = None
    try:
        listener = socket.socket(ADDRESS_FAMILIES[family], KINDS[protocol] | socket.SOCK_NONBLOCK)
        _prepare(listener, family, protocol)
    except OSError as error:
        if listener is not None:
            listener.close()
        number = error.errno or errno.EIO
        raise KernelError(f"open a {family} {protocol} socket", "this network namespace", number) from error
    return listener


def _prepare(listener: socket.socket, family: Family, protocol: Protocol) -> None:
    if family is Family.IPV6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if protocol is Protocol.UDP:
        if family is Family.IPV6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    listener.bind((EVERY_ADDRESS[family], 0))
    if protocol is Protocol.TCP:
        listener.listen(socket.SOMAXCONN)


def new_socket(address: IPAddress, protocol: Protocol) -> socket.socket:
    """A socket that can be connected to that address. OSError."""
    family = Family.IPV4 if address.version == 4 else Family.IPV6
    return socket.socket(ADDRESS_FAMILIES[family], KINDS[protocol] | socket.SOCK_NONBLOCK)
