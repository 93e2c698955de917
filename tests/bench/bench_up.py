"""How long `netlab up topologies/two-nodes.yaml` takes, what the time goes into, what an idle lab weighs and how fast
packets are sent and judged in it; JSON out.

    python tests/bench/bench_up.py [--lab NAME] [--runs N]      as root or as an ordinary user; some 40 seconds

The lab is a copy under a name of its own. One run that warms the caches is not counted. Times are seconds, from the
start of a command to its end, as minimum and median; the split of `up` is by the lines that it prints. Memory is
megabytes of PSS (proc(5), smaps_rollup) of every process that holds the lab's lock, which are all of them. A page that
n processes share counts as its nth part in each: other Python programs, a second lab for instance, make it smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from netlab.lab.lock import holders
from netlab.model.paths import LabPaths

NETLAB = Path(sys.executable).with_name("netlab")
TOPOLOGY = Path(__file__).parents[2] / "topologies" / "two-nodes.yaml"
HELP_RUNS = 20
PACKETS = 1000
TRACES = 3
ENDS = {
    "read the file": "starting the lab process",
    "start the lab process": "applying ",
    "apply the objects": "Pods ready",
    "Pods serve": "waiting for the kube-proxies",
}
"""The parts of `up` in their order, and the line that ends each."""
REST = "kube-proxies follow, status"
Seconds = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One lab's figures, in seconds but for `memory`."""

    split: Seconds
    down: float
    memory: dict[str, object]
    one: float
    many: float
    trace: float
    check: float


def main() -> None:
    parser = argparse.ArgumentParser(description="netlab up, command to ready")
    parser.add_argument("--lab", default="bench-up", help="the lab's name while it is measured")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "two-nodes.yaml"
        file.write_text(TOPOLOGY.read_text().replace("{name: two-nodes}", f"{{name: {options.lab}}}"))
        print(json.dumps(measure(file, lab=options.lab, runs=options.runs), indent=2))


def measure(file: Path, *, lab: str, runs: int) -> dict[str, object]:
    """All figures, and the machine they are of."""
    load = os.getloadavg()[0]
    once(file, lab=lab)
    measured = [once(file, lab=lab) for _ in range(runs)]
    splits = [each.split for each in measured]
    return {
        "machine": {"kernel": platform.release(), "cores": os.cpu_count(), "python": platform.python_version()},
        "load before": load,
        "uid": os.geteuid(),
        "runs": runs,
        "up": summary(sum(split.values()) for split in splits),
        "split": {part: summary(split[part] for split in splits) for part in splits[0]},
        "down": summary(each.down for each in measured),
        "help": summary(timed("--help") for _ in range(HELP_RUNS)),
        "probe of 1 packet": summary(each.one for each in measured),
        f"probe of {PACKETS} packets": summary(each.many for each in measured),
        "trace across nodes": summary(each.trace for each in measured),
        "check": summary(each.check for each in measured),
        "memory": measured[-1].memory,
    }


def once(file: Path, *, lab: str) -> Measured:
    """One lab, from `up` to `down`."""
    try:
        split = timed_up(file)
        weight = memory(lab)
        probe = ("probe", "--lab", lab, "pod/shell", "service/web:80", "--count")
        one, many, check = timed(*probe, "1"), timed(*probe, str(PACKETS)), timed("check", lab)
        trace = min(timed("trace", "-l", lab, "pod/shell", "pod/web-2:8080") for _ in range(TRACES))
    finally:
        down = timed("down", lab)
    return Measured(split=split, down=down, memory=weight, one=one, many=many, trace=trace, check=check)


def timed_up(file: Path) -> Seconds:
    """The seconds of each part of `up`. A part whose line did not come is no part of its own and counts as 0."""
    left, split, mark = dict(ENDS), {}, time.perf_counter()
    with subprocess.Popen([NETLAB, "up", file], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as up:
        for line in up.stderr or ():
            now = time.perf_counter()
            part = next((part for part, end in left.items() if line.startswith(end)), None)
            if part:
                split[part], mark = now - mark, now
                del left[part]
    if up.returncode:
        raise SystemExit(f"netlab up ended with {up.returncode}: run it by hand to see why")
    return {**{part: split.get(part, 0.0) for part in ENDS}, REST: time.perf_counter() - mark}


def timed(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([NETLAB, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def memory(lab: str) -> dict[str, object]:
    """PSS of the lab's processes, in all and of each. Names have 15 bytes in the kernel."""
    weights = [(Path(f"/proc/{pid}/comm").read_text().strip(), pss(pid)) for pid in holders(LabPaths.of(lab).lock)]
    rows = [{"process": name, "MB": round(weight, 1)} for name, weight in sorted(weights)]
    return {"MB": round(sum(weight for _, weight in weights), 1), "processes": rows}


def pss(pid: int) -> float:
    """Megabytes."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def summary(values: Iterable[float]) -> Seconds:
    known = list(values)
    return {"min": round(min(known), 3), "median": round(statistics.median(known), 3)}


if __name__ == "__main__":
    main()
