"""Whether the kernel stamps packets with the time yet.

It begins a moment after the first socket on the machine has asked for it (net_enable_timestamp() in net/core/dev.c:
2 to 8 ms here, more under load). A packet before that gets the time at which it is read, which is no order.
"""

from __future__ import annotations

import select
import socket
import time

from netlab.kernel.namespaces import inside
from netlab.probe.sockets import ANCILLARY_SPACE, SO_TIMESTAMPNS, timestamp

LOOPBACK = "lo"
ETHERTYPE = 0x88B5
"""For experiments, by IEEE 802: no rule and no program looks at it."""
PATIENCE_SECONDS = 1.0
FRAME = b"is this stamped?"


def wait_for_stamps(where: str) -> None:
    """Wait until the kernel stamps packets, a second at most: found out by frames on that namespace's loopback."""
    with inside(where):
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        trial = socket.socket(socket.AF_PACKET, kind, socket.htons(ETHERTYPE))
    with trial:
        trial.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not _is_stamped(trial):
            pass


def _is_stamped(trial: socket.socket) -> bool:
    """Whether a frame that is there has an earlier time than this moment; True as well where loopback is down."""
    try:
        trial.sendto(FRAME, (LOOPBACK, ETHERTYPE))
    except OSError:
        return True
    select.select([trial], [], [], PATIENCE_SECONDS)
    before = time.time()
    stamped = False
    while True:
        try:
            _, ancillary, _, _ = trial.recvmsg(len(FRAME), ANCILLARY_SPACE)
        except BlockingIOError:
            return stamped
        stamped = timestamp(ancillary) < before
