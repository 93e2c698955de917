"""The packets of a capture as a report shows them, and those of one place as a file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netlab.capture.lines import told
from netlab.capture.pcapng import IN, Interface, Packet, interface_block, packet_block, section
from netlab.capture.pcapng import read as blocks

SNAP_LENGTH = 262144


@dataclass(frozen=True, slots=True)
class Sight:
    """A packet as it passed an interface: `milliseconds` since the first one, its place, and the packet in words."""

    milliseconds: float
    place: str
    interface: str
    incoming: bool
    text: str


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture, read whole."""

    interfaces: tuple[Interface, ...]
    packets: tuple[Packet, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Where there was something to listen to, in the order of a packet's way out."""
        return tuple(dict.fromkeys(_place(each) for each in self.interfaces))

    def sights(self) -> Iterator[Sight]:
        """Every packet in the order of time, in words. Those of loopback interfaces are left out."""
        ordered = sorted(self.packets, key=lambda packet: packet.nanoseconds)
        start = ordered[0].nanoseconds if ordered else 0
        for packet in ordered:
            place, _, interface = self.interfaces[packet.interface].name.rpartition(" ")
            if interface != "lo":
                elapsed = (packet.nanoseconds - start) / 1_000_000
                yield Sight(elapsed, place, interface, packet.flags & 3 == IN, told(packet.data))


def read(file: Path) -> Captured:
    """The capture in a file of netlab's; as much of it as is whole."""
    interfaces: list[Interface] = []
    packets: list[Packet] = []
    with file.open("rb") as stream, suppress(ValueError):  # the recorder was ended in the middle of a block
        for block in blocks(stream):
            if isinstance(block, Interface):
                interfaces.append(block)
            else:
                packets.append(block)
    return Captured(tuple(interfaces), tuple(packets))


def write_of_place(captured: Captured, place: str, file: Path) -> None:
    """The packets of one place alone, for Wireshark."""
    own = [number for number, each in enumerate(captured.interfaces) if _place(each) == place]
    renumbered = {number: position for position, number in enumerate(own)}
    with file.open("wb") as stream:
        stream.write(section(comment=place))
        for number in own:
            stream.write(interface_block(captured.interfaces[number], snap_length=SNAP_LENGTH))
        for packet in captured.packets:
            if packet.interface in renumbered:
                stream.write(packet_block(packet._replace(interface=renumbered[packet.interface])))


def _place(interface: Interface) -> str:
    return interface.name.rpartition(" ")[0]
