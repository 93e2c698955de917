"""Which port a probe's flow leaves from: each in its turn, so that none comes again soon.

IPVS remembers a flow that was not ended in so many words, as a probe's is not, for a minute, of UDP for five. Another
from the same port goes where that one went, whatever has changed since; and what a Pod answers to that port, asked
directly, is taken for that flow's answer.
"""

from __future__ import annotations

import mmap
import random
import struct

FIRST, PORTS = 32768, 28232
"""Those that the kernel gives out (ip(7), ip_local_port_range)."""
_TURN = struct.Struct("=I")
_next = mmap.mmap(-1, _TURN.size)
"""Shared with the processes that are forked from this one: a lab's probes are."""
_TURN.pack_into(_next, 0, random.randrange(PORTS))


def next_port() -> int:
    """The next in turn."""
    turn: int = _TURN.unpack_from(_next)[0]
    _TURN.pack_into(_next, 0, (turn + 1) % PORTS)
    return FIRST + turn
