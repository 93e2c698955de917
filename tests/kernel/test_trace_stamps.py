"""The kernel does not stamp packets from the first moment on: whoever needs their order waits for that."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from probe_lab import tool

from netlab.kernel.namespaces import inside
from netlab.probe.sockets import SO_TIMESTAMPNS
from netlab.probe.tracing.stamps import ETHERTYPE, wait_for_stamps

WHERE = "nlstamps.fabric"


@pytest.fixture
def wire() -> Iterator[str]:
    """An empty network namespace."""
    tool("ip", "netns", "add", WHERE)
    try:
        yield WHERE
    finally:
        tool("ip", "netns", "del", WHERE)


@pytest.mark.root
def test_after_waiting_a_packet_has_the_time_at_which_it_passed(wire: str) -> None:
    tool("ip", "-n", wire, "link", "set", "lo", "up")
    with inside(wire), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHERTYPE + 1)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        wait_for_stamps(wire)
        tap.sendto(b"x", ("lo", ETHERTYPE + 1))
        sent = time.time_ns()
        _, ((_, _, stamp),), _, _ = tap.recvmsg(1, 64)
    seconds, nanoseconds = struct.unpack("ll", stamp)
    assert seconds * 10**9 + nanoseconds < sent


@pytest.mark.root
def test_without_a_loopback_nobody_waits(wire: str) -> None:
    begun = time.monotonic()
    wait_for_stamps(wire)
    assert time.monotonic() < begun + 0.5
