"""Whether a capture is complete at 50,000 packets a second and more; JSON out.

    python tests/bench/bench_capture.py [RATE ...]        50000 and 100000 where none is said; as root

A cable between two namespaces; a process sends UDP packets of 64 and of 1400 bytes into one end for SECONDS, at that
rate as well as it can; both ends are recorded into one file, so that it gets twice as many. `sent` is how many packets
a second there really were, `dropped` what the kernel had no room for, `missing` what is not in the file, `cpu` the
recorder's share of one processor. The exit status is 1 where anything is lost, or fewer than asked for were sent.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from netlab.capture.pcapng import Interface, Packet, read
from netlab.capture.recorder import Recorder, Tap
from netlab.kernel.packet_filter import compile_filter
from netlab.kernel.packet_ring import PacketRing
from netlab.lab.capturing import URGENCY

RATES, SIZES, SECONDS = (50_000, 100_000), (64, 1400), 4
BURST = 50
"""Packets between two looks at the clock."""
HEADERS = 42
"""Bytes of Ethernet, IPv4 and UDP before the payload."""
SETUP = """\
ip link add near type veth peer name far
ip addr add 192.0.2.1/24 dev near
ip link set near up
ip link set far up
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev near
"""


def send(rate: int, size: int, sent: multiprocessing.Queue[float]) -> None:
    """Send for SECONDS; tell how many there were a second."""
    os.nice(-URGENCY)
    packet, number = b"x" * (size - HEADERS), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("192.0.2.2", 9))
        started = time.perf_counter()
        while (now := time.perf_counter() - started) < SECONDS:
            while number < now * rate + BURST:
                for _ in range(BURST):
                    sender.send(packet)
                number += BURST
        sent.put(number / (time.perf_counter() - started))


def measure(rate: int, size: int) -> dict[str, float]:
    program = compile_filter("udp and dst port 9")
    rings = {name: PacketRing(name, program=program, blocks=512) for name in ("near", "far")}
    taps = [Tap(Interface(name), ring) for name, ring in rings.items()]
    sent: multiprocessing.Queue[float] = multiprocessing.Queue()
    sender = multiprocessing.Process(target=send, args=(rate, size, sent))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "capture.pcapng"
        with file.open("wb") as stream:
            recorder = Recorder(taps, lambda data: void(stream.write(data)))
            recorder.begin(comment="bench")
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            sender.start()
            recorded = recorder.run(ended=lambda: not sender.is_alive())
            after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - started
        with file.open("rb") as stream:
            written = Counter(found.interface for found in read(stream) if isinstance(found, Packet))
    for ring in rings.values():
        ring.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "rate": rate,
        "size": size,
        "sent": round(sent.get()),
        "recorded": recorded.packets,
        "dropped": recorded.dropped,
        "missing": sum(each.packets for each in recorded.counted.values()) - written.total() - recorded.dropped,
        "cpu": round(cpu / took, 2),
    }


def void(_value: object) -> None:
    return None


def main() -> None:
    rates = [int(word) for word in sys.argv[1:]] or RATES
    if ctypes.CDLL(None).unshare(0x40000000):
        sys.exit("as root: a network namespace is needed")
    os.nice(URGENCY)
    for line in SETUP.splitlines():
        subprocess.run(line.split(), check=True)
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    runs = [measure(rate, size) for rate in rates for size in SIZES]
    print(json.dumps({"processors": os.cpu_count(), "runs": runs}, indent=2))
    lost = [run for run in runs if run["dropped"] or run["missing"] or run["sent"] < 0.99 * run["rate"]]
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
