"""Packets of many interfaces into one file, in the order of time.

Each interface hands its packets over in blocks, up to RETIRE_MILLISECONDS late. So what came in is held for HOLD
seconds and sorted before it is written: a file in which a packet leaves a node before it arrives there misleads.
"""

from __future__ import annotations

import selectors
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter

from netlab.capture.pcapng import Interface, Packet, direction, interface_block, packet_block, section, statistics_block
from netlab.kernel.packet_filter import SNAP_LENGTH
from netlab.kernel.packet_ring import OUTGOING, RETIRE_MILLISECONDS, Counted, PacketRing

HOLD = 3 * RETIRE_MILLISECONDS / 1000
"""Seconds: a block is handed over after one RETIRE_MILLISECONDS, or two where its timer has just passed it by."""
LOOK_SECONDS = 0.02
"""How long to wait for more at most, so that what was held is written and the end is seen."""
TIME = itemgetter(1)
BY_TIME = itemgetter(1, 0)
"""What has one time is in the order of its interfaces."""


@dataclass(frozen=True, slots=True)
class Tap:
    """An interface that is listened to. Of loopback only what comes in is kept: each packet leaves it just before."""

    interface: Interface
    ring: PacketRing
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded: packets written, and what the kernel counted at each interface by name."""

    packets: int
    counted: Mapping[str, Counted]

    @property
    def dropped(self) -> int:
        """Packets that the kernel had no room for: they are in no file."""
        return sum(each.dropped for each in self.counted.values())


class Recorder:
    """Writes what the taps hear by `write`, which may raise BrokenPipeError: then it ends."""

    def __init__(self, taps: Sequence[Tap], write: Callable[[bytes], None]) -> None:
        self._taps, self._write = taps, write
        self._held: list[Packet] = []
        self._packets = 0

    def begin(self, *, comment: str, expression: str = "") -> None:
        """Write the head of the file, every interface, and listen from here on."""
        blocks = [interface_block(tap.interface, snap_length=SNAP_LENGTH, expression=expression) for tap in self._taps]
        self._write(section(comment=comment) + b"".join(blocks))
        for tap in self._taps:
            tap.ring.listen()

    def run(self, *, ended: Callable[[], bool], count: int | None = None, seconds: float | None = None) -> Recorded:
        """Record until `ended` says so, or so many packets or seconds are over; whatever came until then is written."""
        deadline = time.time_ns() + int(seconds * 1e9) if seconds is not None else None
        with self._selector() as selector:
            while not ended() and (count is None or self._packets < count):
                now = time.time_ns()
                if deadline is not None and now >= deadline:
                    break
                self._listen(selector)
                self._write_until(now - int(HOLD * 1e9), most=count)
            self._finish(selector, count)
        counted = {tap.interface.name: tap.ring.counted() for tap in self._taps}
        self._write_counts(counted)
        return Recorded(self._packets, counted)

    @contextmanager
    def _selector(self) -> Iterator[selectors.BaseSelector]:
        with selectors.DefaultSelector() as selector:
            for number, tap in enumerate(self._taps):
                selector.register(tap.ring, selectors.EVENT_READ, number)
            yield selector

    def _listen(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(LOOK_SECONDS):
            number: int = key.data
            self._taps[number].ring.forget_error()
            self._held += _packets(number, self._taps[number])

    def _write_until(self, nanoseconds: int, *, most: int | None) -> None:
        """Write what was held that is older, `most` packets in all."""
        self._held.sort(key=BY_TIME)
        old = bisect_right(self._held, nanoseconds, key=TIME)
        ready, self._held = self._held[:old], self._held[old:]
        if most is not None:
            ready = ready[: most - self._packets]
        if ready:
            self._packets += len(ready)
            self._write(b"".join(map(packet_block, ready)))

    def _finish(self, selector: selectors.BaseSelector, count: int | None) -> None:
        """What came before this moment is still handed over: wait for it, and write no more than that."""
        end = time.time_ns()
        while time.time_ns() < end + int(HOLD * 1e9) and (count is None or self._packets < count):
            self._listen(selector)
        self._write_until(end, most=count)

    def _write_counts(self, counted: Mapping[str, Counted]) -> None:
        now = time.time_ns()
        self._write(
            b"".join(
                statistics_block(number, nanoseconds=now, received=each.packets, dropped=each.dropped)
                for number, each in enumerate(counted.values())
            )
        )


def _packets(number: int, tap: Tap) -> Iterable[Packet]:
    flags = _FLAGS
    for nanoseconds, data, length, kind in tap.ring.take():
        if not (tap.loopback and kind == OUTGOING):
            yield Packet(number, nanoseconds, data, length, flags[kind])


_FLAGS = tuple(direction(outgoing=kind == OUTGOING, kind=kind) for kind in range(8))
"""epb_flags by sll_pkttype."""
