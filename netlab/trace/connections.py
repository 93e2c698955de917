"""What connection tracking keeps of a flow on one node, and what an answer becomes by it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netlab.model.rules import IPAddress
from netlab.trace.packet import ICMP, Packet
from netlab.trace.policy import Worker

Socket = tuple[IPAddress, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A flow as it came, and as it went on: to `to`, from `source`. `masquerade`: its source is yet to be replaced."""

    came: Packet
    to: Socket
    source: IPAddress
    worker: Worker = Worker.NAT
    masquerade: bool = False
    by_mark: bool = False

    @property
    def destination_changed(self) -> bool:
        return self.to != (self.came.dst, self.came.dport)

    @property
    def source_changed(self) -> bool:
        return self.source != self.came.src

    def __str__(self) -> str:
        """As conntrack(8) tells it, without the ports that nobody can foretell: there, then back."""
        came, (address, port) = self.came, self.to
        there = f"src={came.src} dst={came.dst}{_port('dport', came.dport)}"
        return f"{came.proto} {there} src={address} dst={self.source}{_port('sport', port)}"

    def carries(self, packet: Packet) -> bool:
        """Whether this packet of the request is of the flow, once its destination is what it became."""
        return packet.src == self.came.src and (packet.dst, packet.dport) == self.to

    def is_answered_by(self, packet: Packet) -> bool:
        """Whether the packet is an answer to the flow, or an ICMP error about it."""
        about = packet.quoted.answered(None) if packet.quoted else packet
        port = None if about.proto == ICMP else about.sport
        return (about.src, port) == self.to and about.dst == self.source

    def to_whom_asked(self, packet: Packet) -> Packet:
        """The answer with the destination that the masquerading took away."""
        quoted = replace(packet.quoted, src=self.came.src, sport=self.came.sport) if packet.quoted else None
        return replace(packet, dst=self.came.src, dport=self._unless_error(packet, self.came.sport), quoted=quoted)

    def from_what_was_asked(self, packet: Packet) -> Packet:
        """The answer with the address that the client asked as its source."""
        quoted = replace(packet.quoted, dst=self.came.dst, dport=self.came.dport) if packet.quoted else None
        return replace(packet, src=self.came.dst, sport=self._unless_error(packet, self.came.dport), quoted=quoted)

    @staticmethod
    def _unless_error(packet: Packet, port: int | None) -> int | None:
        return None if packet.quoted else port


def _port(name: str, port: int | None) -> str:
    return "" if port is None else f" {name}={port}"
