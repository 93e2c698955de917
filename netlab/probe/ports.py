"""Which port a probe's flow leaves from: each in its turn, so that none comes again soon.

IPVS remembers a flow that was not ended in so many words, as a probe's is not, for a minute, of UDP for five. Another
from the same port goes where that one went, whatever has changed since; and what a Pod answers to that port, asked
directly, is taken for that flow's answer.
"""

from __future__ import annotations

import mmap
import random
import struct

FIRST, TURNS = 32768, 14116
"""A turn has two ports of the 28232 that the kernel gives out (ip(7), ip_local_port_range)."""
_TURN = struct.Struct("=I")
_next = mmap.mmap(-1, _TURN.size)
"""Shared with the processes that are forked from this one: a lab's probes are."""
_TURN.pack_into(_next, 0, random.randrange(TURNS))


def next_port(*, to_pod: bool) -> int:
    """The next in turn: an even one where a Pod is asked by its own address, else an odd one."""
    turn: int = _TURN.unpack_from(_next)[0]
    _TURN.pack_into(_next, 0, (turn + 1) % TURNS)
    return FIRST + 2 * turn + (0 if to_pod else 1)
