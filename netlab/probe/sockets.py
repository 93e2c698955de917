"""The sockets of a probe, each opened inside the network namespace where it sends or listens.

Requests leave by a raw socket with the IP header included: they pass OUTPUT and routing as any program's packets do,
which packets injected into an interface would not. Answers come from a raw socket too: after un-NAT, and only from the
address that was addressed. What arrives in a Pod is copied by a packet socket.
Sources: raw(7), packet(7), socket(7), linux/if_packet.h.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import NamedTuple

from netlab.model.cluster import family_of
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import TargetProtocol
from netlab.probe.filters import attach, request_filter
from netlab.probe.packets import OPENING
from netlab.probe.ports import next_port

SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_HOST = 263, 23, 0
ETHERTYPES = {Family.IPV4: 0x0800, Family.IPV6: 0x86DD}
FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
ICMP_PROTOCOLS = {Family.IPV4: socket.IPPROTO_ICMP, Family.IPV6: socket.IPPROTO_ICMPV6}
LARGEST_PACKET = 65535
ANCILLARY_SPACE = socket.CMSG_SPACE(struct.calcsize("ll"))
NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EADDRNOTAVAIL, errno.EMSGSIZE})
"""What sending fails with where there is no route (EACCES: a route of type prohibit; ip-route(8)), or none for a packet
of that size (EMSGSIZE)."""


class NoRoute(Exception):
    """The place has no route to the address: packets to it do not even leave."""


class Received(NamedTuple):
    """A packet, and when the kernel got it (seconds since the epoch)."""

    data: bytes
    time: float


class Origin:
    """FROM's side of a probe: its raw sockets, and a port for every flow that nothing else in the place has.

    To be made and used inside FROM's network namespace. NoRoute where that cannot reach the address.
    """

    def __init__(self, address: IPAddress, protocol: TargetProtocol) -> None:
        self._address = str(address)
        self._family = family_of(address)
        self._reserves = {TargetProtocol.TCP: socket.SOCK_STREAM, TargetProtocol.UDP: socket.SOCK_DGRAM}.get(protocol)
        numbers = {TargetProtocol.TCP: socket.IPPROTO_TCP, TargetProtocol.UDP: socket.IPPROTO_UDP}
        with contextlib.ExitStack() as undo:
            self._sender = undo.enter_context(self._raw(socket.IPPROTO_RAW))
            self.errors = undo.enter_context(self._raw(ICMP_PROTOCOLS[self._family]))
            self.answers = undo.enter_context(self._raw(numbers.get(protocol, ICMP_PROTOCOLS[self._family])))
            self.source = self._connect()
            self._close = undo.pop_all().close

    def close(self) -> None:
        self._close()

    def reserve(self) -> tuple[int, socket.socket | None]:
        """A port for one flow and the socket that holds it; for ICMP an identifier and None.

        Nothing listens on it: the kernel answers a SYN/ACK with a reset, which is what leaves no half-open connection
        behind. A UDP answer finds the socket, so that no ICMP error goes back to the server.
        """
        while True:
            port = next_port()
            if self._reserves is None:
                return port, None
            try:
                return port, self._bound(self._reserves, port)
            except OSError as error:  # it is somebody's: the next one, at the latest that of a flow that has ended
                if error.errno != errno.EADDRINUSE:
                    raise

    def _bound(self, kind: socket.SocketKind, port: int) -> socket.socket:
        held = socket.socket(FAMILIES[self._family], kind)
        try:
            held.bind((str(self.source), port))
        except OSError:
            held.close()
            raise
        return held

    def send(self, packet: bytes) -> None:
        """Send from the IP header on. NoRoute; BlockingIOError where it must wait for packets before it.

        EPERM means that a rule in OUTPUT dropped or rejected the packet. What comes back, if anything, tells which.
        """
        try:
            self._sender.sendto(packet, (self._address, 0))
        except PermissionError as error:
            if error.errno != errno.EPERM:
                raise NoRoute(str(error)) from error
        except OSError as error:
            if error.errno in NO_WAY or self._is_refused_loopback(error):
                raise NoRoute(str(error)) from error
            raise

    def _is_refused_loopback(self, error: OSError) -> bool:
        """From 127.0.0.1 nothing is sent on to elsewhere, whatever rules say, unless route_localnet allows it."""
        return error.errno == errno.EINVAL and ip_address(self._address).is_loopback

    def _raw(self, protocol: int) -> socket.socket:
        opened = socket.socket(FAMILIES[self._family], socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return opened

    def _connect(self) -> IPAddress:
        """Have the kernel give `answers` only what comes from the address, and tell the source that it would use."""
        try:
            self.answers.connect((self._address, 0))
        except OSError as error:
            if error.errno in NO_WAY:
                raise NoRoute(str(error)) from error
            raise
        return ip_address(self.answers.getsockname()[0])


def open_tap(family: Family, protocol: TargetProtocol) -> socket.socket:
    """A packet socket that copies the requests of probes as they come into the current network namespace.

    It is bound to no interface: that would cost 10 ms, and leave out what a Pod sends itself over loopback.
    """
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    tap = socket.socket(socket.AF_PACKET, kind, socket.htons(ETHERTYPES[family]))
    attach(request_filter(family, protocol, opening=OPENING), tap)
    with contextlib.suppress(OSError):  # Linux before 4.20: outgoing packets are told apart when they are read
        tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    return tap


def close_all(taps: Iterable[socket.socket]) -> None:
    """Close packet sockets side by side: the kernel waits 12 ms for each (an RCU grace period), which they share."""
    closing = list(taps)
    if closing:
        with ThreadPoolExecutor(max_workers=min(64, len(closing))) as pool:
            list(pool.map(socket.socket.close, closing))


def drain(source: socket.socket) -> Iterator[Received]:
    """Everything that has come in and is for this place."""
    while True:
        try:
            data, ancillary, _flags, address = source.recvmsg(LARGEST_PACKET, ANCILLARY_SPACE)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error that concerns the socket; the errors' own socket gets the whole of it
            continue
        if source.family != socket.AF_PACKET or address[2] == PACKET_HOST:
            yield Received(data, timestamp(ancillary))


def timestamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When the kernel got a packet, from what came along with it; now, where that does not say."""
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("ll", value)
            return float(seconds + nanoseconds / 1e9)
    return time.time()
