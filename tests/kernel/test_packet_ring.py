"""Packets as the kernel hands them over: whole, with time and direction, filtered, counted; to the last one."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from waiting import until

from netlab.errors import KernelError
from netlab.kernel.namespaces import inside
from netlab.kernel.packet_filter import compile_filter
from netlab.kernel.packet_ring import BLOCK_BYTES, OUTGOING, Captured, PacketRing

pytestmark = pytest.mark.root
NAMESPACE = f"nlring{os.getpid()}"
SETUP = (
    "ip link add near type veth peer name far",
    "ip address add 192.0.2.1/24 dev near",
    "ip link set near up",
    "ip link set far up",
    "ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev near",
)


def ip(command: str) -> None:
    subprocess.run(["ip", "netns", "exec", NAMESPACE, *command.split()], check=True)


@pytest.fixture
def cable() -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        for command in SETUP:
            ip(command)
        yield
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def ring(interface: str, expression: str = "udp", *, blocks: int = 4) -> PacketRing:
    with inside(NAMESPACE):
        opened = PacketRing(interface, program=compile_filter(expression), blocks=blocks)
    opened.listen()
    return opened


def send(*payloads: bytes, port: int = 9) -> None:
    with inside(NAMESPACE), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, ("192.0.2.2", port))


def received(source: PacketRing, count: int) -> list[Captured]:
    found: list[Captured] = []

    def enough() -> bool:
        found.extend(source.take())
        return len(found) >= count

    until(enough)
    return found


def test_a_packet_comes_whole_with_its_time_and_direction_at_both_ends(cable: None) -> None:
    with closing(ring("near")) as near, closing(ring("far")) as far:
        before = time.time_ns()
        send(b"a packet" * 100)
        (out,), (come,) = received(near, 1), received(far, 1)
        assert out.data == come.data
        assert out.data.endswith(b"a packet" * 100)
        assert out.length == len(out.data) == 842
        assert (out.kind, come.kind == OUTGOING) == (OUTGOING, False)
        assert before <= out.nanoseconds <= come.nanoseconds <= time.time_ns()


def test_what_the_filter_excludes_does_not_come_and_is_not_counted(cable: None) -> None:
    with closing(ring("far", "udp dst port 9")) as far:
        send(b"no", port=10)
        send(b"yes", b"yes too")
        assert [packet.data[42:] for packet in received(far, 2)] == [b"yes", b"yes too"]
        assert far.counted() == (2, 0)
        assert far.counted() == (2, 0), "reading forgets nothing"


def test_packets_of_many_blocks_come_in_their_order(cable: None) -> None:
    numbers = [number.to_bytes(4, "big") + bytes(1400) for number in range(6 * BLOCK_BYTES // 1500)]
    with closing(ring("far", blocks=16)) as far:
        send(*numbers)
        found = received(far, len(numbers))
        assert [packet.data[42:46] for packet in found] == [number[:4] for number in numbers]


def test_nothing_is_taken_in_before_it_listens(cable: None) -> None:
    with inside(NAMESPACE):
        deaf = PacketRing("far", program=compile_filter("udp"), blocks=4)
    with closing(deaf):
        send(b"too early")
        deaf.listen()
        send(b"heard")
        assert [packet.data[42:] for packet in received(deaf, 1)] == [b"heard"]
        assert deaf.counted() == (1, 0)


def test_without_a_filter_everything_comes(cable: None) -> None:
    with closing(ring("far", "")) as far:
        send(b"heard", port=1)
        assert any(packet.data.endswith(b"heard") for packet in received(far, 1))


def test_what_there_was_no_room_for_is_counted_as_dropped(cable: None) -> None:
    many = 5 * BLOCK_BYTES // 1000
    with closing(ring("far", blocks=2)) as far:
        send(*(bytes(1400) for _ in range(many)))
        packets, dropped = far.counted()
        assert packets == many
        assert dropped > 0
        assert len(received(far, packets - dropped)) == packets - dropped


def test_an_interface_that_goes_away_is_told_once(cable: None) -> None:
    with closing(ring("far")) as far, selectors.DefaultSelector() as selector:
        selector.register(far, selectors.EVENT_READ)
        ip("ip link delete near")
        assert selector.select(10)
        far.forget_error()
        assert list(far.take()) == []
        assert not selector.select(0)


def test_an_interface_that_is_not_there_is_an_error(cable: None) -> None:
    with pytest.raises(KernelError, match="listen on nothing"):
        ring("nothing")
