"""Packet sockets that see one flow pass, at every interface of a network namespace.

One socket that is bound to no interface sees them all, in the order in which the kernel handled them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.kernel.namespaces import inside
from netlab.kernel.tracing.flow_match import FlowMatch, bpf
from netlab.probe.filters import attach
from netlab.probe.headers import Headers, inside_tunnel, read_headers
from netlab.probe.sockets import ANCILLARY_SPACE, LARGEST_PACKET, SO_TIMESTAMPNS, timestamp

ETH_P_ALL = 0x0003
PACKET_OTHERHOST, PACKET_OUTGOING = 3, 4


@dataclass(frozen=True, slots=True)
class Sighting:
    """A packet at an interface: when (seconds since the epoch), coming in or going out, and in a tunnel or not.

    `overheard`: the frame was meant for another machine. A bridge that has not learnt yet who is where sends copies to
    all its ports.
    """

    where: str
    interface: str
    outgoing: bool
    time: float
    headers: Headers
    overheard: bool = False
    tunnel: str | None = None


class Watch:
    """All interfaces of the network namespace `where`. NotFound where there is none."""

    def __init__(self, where: str, match: FlowMatch) -> None:
        self.where = where
        with inside(where):
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL)
            )
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            attach(bpf(match, tunnelled=True), self.socket)
            self.interfaces = dict(socket.if_nameindex())

    def sightings(self) -> Iterator[Sighting]:
        """What passed since this was last asked, in its order."""
        while True:
            try:
                data, ancillary, _flags, address = self.socket.recvmsg(LARGEST_PACKET, ANCILLARY_SPACE)
            except BlockingIOError:
                return
            inner = inside_tunnel(data)
            headers, outer = read_headers(inner or data), read_headers(data)
            if headers is not None and outer is not None:
                yield Sighting(
                    self.where,
                    address[0],
                    address[2] == PACKET_OUTGOING,
                    timestamp(ancillary),
                    headers,
                    address[2] == PACKET_OTHERHOST,
                    f"in VXLAN {outer.source} > {outer.destination}" if inner else None,
                )
