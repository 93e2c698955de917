"""How long the fabric of a lab takes to come and to go, beside Mininet and beside the bare kernel floor; JSON out.

    python tests/bench/bench_fabric.py [PODS ...]        10, 100 and 500 where none is said; as root; some 3 minutes

For each number of Pods and in each of three rounds, one after the other, each in a process and in network and mount
namespaces of its own, so that the host's stay as they are:

    netlab     from the API's objects to namespaces, settings, cables, addresses, routes, neighbours and masquerading;
               a node for every hundred Pods
    floor      the same namespaces, names, cables, addresses and routes by bare netlink (floor.py)
    mininet    Mininet (Debian's package) with as many hosts on one LinuxBridge; where it is missing, it says so

Times are seconds, the median of the rounds. `up`: everything is made. `down`: the command is done. `gone`: the kernel
has freed everything too, which it does for netlab and the floor after the command; seen by a process that costs 50 ms.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
SIZES = (10, 100, 500)
ROUNDS = 3
PRIVATE = ("unshare", "--net", "--mount", "--", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh")
MININET = """\
import json, sys, time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
start = time.perf_counter()
net = Mininet(topo=SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None)
net.start()
made = time.perf_counter()
net.stop()
print(json.dumps({"up": made - start, "down": time.perf_counter() - made}))
"""
RTMGRP_LINK = 1
Seconds = dict[str, float]


def main() -> None:
    match sys.argv[1:]:
        case ["--gone", *command]:
            print(json.dumps(with_gone(command)))
        case sizes:
            print(json.dumps(compare([int(size) for size in sizes] or SIZES), indent=2))


def compare(sizes: Sequence[int]) -> dict[str, object]:
    """The whole comparison."""
    missing = without_mininet()
    results = {str(size): compare_size(size, mininet=missing is None) for size in sizes}
    return {"unit": "s", "kernel": os.uname().release, "cores": os.cpu_count(), "mininet": missing, "pods": results}


def without_mininet() -> str | None:
    """Why Mininet cannot be measured, or None."""
    if shutil.which("mn") is None:
        return "missing: apt-get install mininet"
    return "needs brctl: apt-get install bridge-utils" if shutil.which("brctl") is None else None


def compare_size(pods: int, *, mininet: bool) -> dict[str, object]:
    """All contenders, in turn, and their ratios."""
    commands: dict[str, list[str]] = {
        "netlab": [sys.executable, str(HERE / "fabric_once.py"), str(pods)],
        "floor": [sys.executable, str(HERE / "floor.py"), str(pods)],
    }
    if mininet:
        commands["mininet"] = ["/usr/bin/python3", "-c", MININET, str(pods)]
    rounds = [{name: measured(command) for name, command in commands.items()} for _ in range(ROUNDS)]
    times = {
        name: {key: statistics.median(each[name][key] for each in rounds) for key in ("up", "down", "gone")}
        for name in commands
    }
    return {**times, "ratios": ratios(times)}


def ratios(times: dict[str, Seconds]) -> Seconds:
    netlab, floor, mininet = times["netlab"], times["floor"], times.get("mininet")
    against_floor = {"up / floor": netlab["up"] / floor["up"], "gone / floor": netlab["gone"] / floor["gone"]}
    if mininet is None:
        return against_floor
    against_mininet = {f"{key} / mininet": netlab[key] / mininet[key] for key in ("up", "down", "gone")}
    return against_floor | against_mininet


def measured(command: Sequence[str]) -> Seconds:
    """The contender's own times and how long the kernel needed after it."""
    watched = [*PRIVATE, sys.executable, __file__, "--gone", *command]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(watched, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: {done.stderr}")
    result: Seconds = json.loads(done.stdout)
    return result


def with_gone(command: Sequence[str]) -> Seconds:
    """Run the contender here; then wait until the kernel has freed all it had made.

    The kernel frees namespaces in the order in which they were left, a list at a time: when it takes away the far end
    of a cable into one that was left last, those before it are gone.
    """
    times: Seconds = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    start = time.perf_counter()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, RTMGRP_LINK))
        sentinel = "ip link add sentinel type veth peer name far; ip link set far netns last; ip netns delete last"
        subprocess.run(["sh", "-ec", f"mkdir -p /run/netns; ip netns add last; {sentinel}"], check=True)
        while b"sentinel" in subprocess.run(["ip", "link"], check=True, capture_output=True).stdout:
            events.recv(65536)
    return times | {"gone": times["down"] + time.perf_counter() - start}


if __name__ == "__main__":
    main()
