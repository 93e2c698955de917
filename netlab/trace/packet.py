"""A packet under way, as a value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from netlab.model.journey import PacketSeen
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import TargetProtocol

ICMP = TargetProtocol.ICMP.value
VXLAN_PORT = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet. Ports are None where the protocol has none, and where one is picked at random that nobody can foretell.

    `quoted` is the packet that an ICMP error is about, `inner` the one that a VXLAN packet carries.
    """

    src: IPAddress
    dst: IPAddress
    proto: str
    sport: int | None = None
    dport: int | None = None
    flags: str | None = None
    mark: int = 0
    quoted: Packet | None = None
    inner: Packet | None = None

    @property
    def family(self) -> Family:
        return Family.IPV4 if self.dst.version == 4 else Family.IPV6

    def seen(self) -> PacketSeen:
        """The packet as journeys tell it."""
        return PacketSeen(
            src=str(self.src),
            dst=str(self.dst),
            proto=self.proto,
            sport=self.sport,
            dport=self.dport,
            flags=self.flags,
            mark=self.mark,
        )

    def differs_from(self, before: Packet) -> tuple[str, ...]:
        """The fields that are not what they were."""
        told = ("src", "dst", "sport", "dport", "mark")
        names = (field.name for field in fields(self))
        return tuple(name for name in names if name in told and getattr(self, name) != getattr(before, name))

    def answered(self, flags: str | None) -> Packet:
        """What the addressed program, or its kernel, sends back."""
        return replace(self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport, flags=flags, mark=0)

    def error(self, says: str, *, source: IPAddress) -> Packet:
        """The ICMP error about this packet, from the machine with the address `source`."""
        return Packet(src=source, dst=self.src, proto=ICMP, flags=says, quoted=replace(self, mark=0))

    def wrapped(self, *, source: IPAddress, destination: IPAddress) -> Packet:
        """The packet inside another one, from tunnel end to tunnel end."""
        return Packet(src=source, dst=destination, proto="udp", dport=VXLAN_PORT, inner=self)
