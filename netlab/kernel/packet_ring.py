"""What passes an interface, copied by the kernel into memory that this process shares with it (TPACKET_V3).

The kernel fills blocks of packets and hands them over, full or RETIRE_MILLISECONDS old; so nothing is lost while this
process does something else, and reading costs no system call a packet.
Sources: packet(7), Documentation/networking/packet_mmap.rst, <linux/if_packet.h>.
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from netlab.errors import KernelError
from netlab.kernel.packet_filter import attach_filter, detach_filter

SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TPACKET_V3 = 2
ETH_P_ALL = 0x0003
BLOCK_BYTES = 1 << 17
"""More than the largest packet there is, 64 KiB of a TCP segment that nobody has cut up yet."""
FRAME_BYTES = 1 << 11
"""Of no meaning in TPACKET_V3, which packs packets as tightly as they come; the kernel still checks it."""
RETIRE_MILLISECONDS = 50
STATUS_KERNEL, STATUS_USER = 0, 1
OUTGOING = 4
"""sll_pkttype PACKET_OUTGOING; 0 to 3 are ways to come in: to this machine, to all, to some, to another machine."""

NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program that passes no packet: return 0 (linux/bpf_common.h)."""

_REQUEST = struct.Struct("=7I")
_BLOCK_HEAD = struct.Struct("=4I")
"""Of struct tpacket_block_desc from byte 8 on: status, number of packets, offset of the first, length."""
_PACKET_HEAD = struct.Struct("=6I2H")
"""Of struct tpacket3_hdr: next, seconds, nanoseconds, bytes kept, bytes on the wire, status, MAC and network offset."""
_BLOCK_STATUS = struct.Struct("=I")
_STATISTICS = struct.Struct("=3I")
PACKET_TYPE_OFFSET = 48 + 10
"""sll_pkttype in the struct sockaddr_ll that follows the 48 bytes of struct tpacket3_hdr."""


class Captured(NamedTuple):
    """A packet from its Ethernet header on. `nanoseconds` since the epoch, when the kernel saw it."""

    nanoseconds: int
    data: bytes
    length: int
    """Bytes that it had on the wire."""
    kind: int
    """sll_pkttype; OUTGOING is what left by the interface."""


class Counted(NamedTuple):
    """What the kernel counted: packets that passed the filter, and those of them that it had no room for."""

    packets: int
    dropped: int


class PacketRing:
    """One interface of the current network namespace, listened to from `listen` on. Close it when done.

    `program` is a filter by `compile_filter`, empty for none; `blocks` how much memory there is, in BLOCK_BYTES.
    KernelError: there is no such interface, or no right or memory to listen.
    """

    def __init__(self, interface: str, *, program: bytes = b"", blocks: int = 16) -> None:
        self._blocks, self._next = blocks, 0
        self._program = program
        self._counted = Counted(0, 0)
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # of no protocol: deaf until it is bound
        except OSError as error:
            raise KernelError("listen to packets", interface, error.errno or 0) from error
        try:
            self._prepare(interface)
        except OSError as error:
            self._socket.close()
            raise KernelError(f"listen on {interface}", "its network namespace", error.errno or 0) from error

    def _prepare(self, interface: str) -> None:
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        attach_filter(NOTHING, self._socket)
        frames = self._blocks * BLOCK_BYTES // FRAME_BYTES
        request = _REQUEST.pack(BLOCK_BYTES, self._blocks, FRAME_BYTES, frames, RETIRE_MILLISECONDS, 0, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self._memory = mmap.mmap(self._socket.fileno(), self._blocks * BLOCK_BYTES)
        self._socket.bind((interface, ETH_P_ALL))

    def listen(self) -> None:
        """Let packets in from now on: not before somebody is there to take them out, of this ring and of others."""
        if self._program:
            attach_filter(self._program, self._socket)
        else:
            detach_filter(self._socket)

    def fileno(self) -> int:
        """For a selector: readable when a block is there."""
        return self._socket.fileno()

    def take(self) -> Iterator[Captured]:
        """The packets of all blocks that the kernel has handed over; they are its own again as one goes on."""
        for _ in range(self._blocks):
            start = self._next * BLOCK_BYTES
            status, packets, offset, _ = _BLOCK_HEAD.unpack_from(self._memory, start + 8)
            if not status & STATUS_USER:
                return
            yield from self._packets(start + offset, packets)
            _BLOCK_STATUS.pack_into(self._memory, start + 8, STATUS_KERNEL)
            self._next = (self._next + 1) % self._blocks

    def _packets(self, position: int, count: int) -> Iterator[Captured]:
        memory, unpack = self._memory, _PACKET_HEAD.unpack_from
        for _ in range(count):
            following, seconds, nanoseconds, kept, length, _, link, _ = unpack(memory, position)
            data = memory[position + link : position + link + kept]
            kind = memory[position + PACKET_TYPE_OFFSET]
            yield Captured(seconds * 1_000_000_000 + nanoseconds, data, length, kind)
            position += following

    def forget_error(self) -> None:
        """Take note that the interface has gone down or away, which a selector would else tell for ever."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def counted(self) -> Counted:
        """What the kernel has counted since the beginning; reading sets its own counters to zero."""
        packets, dropped, _ = _STATISTICS.unpack(
            self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        )
        # tp_packets has the dropped ones in it (packet(7)).
        self._counted = Counted(self._counted.packets + packets, self._counted.dropped + dropped)
        return self._counted

    def close(self) -> None:
        """Stop listening and give the memory back."""
        self._memory.close()
        self._socket.close()
