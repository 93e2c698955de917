"""How long a lab takes from a pytest fixture, how long a reset, and what the plugin costs a run without labs; JSON out.

    python tests/bench/bench_pytest.py [--runs N]      as root or as an ordinary user; about a minute

The lab has two nodes and six Pods. Times are seconds, as minimum and median. "fixture" is what pytest says that the
fixture's setup took: "first" has all imports in it. Each reset is timed after one act, in a lab that goes on. The
plugin's cost is the difference between runs of a file with one empty test, with the plugin and with `-p no:netlab`: in
seconds of processor time, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from netlab import Lab

T = TypeVar("T")
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q")
POD = "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {app}}}}}, spec: {spec}}}"
WEB = "{containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}"
TOPOLOGY = "\n---\n".join(
    (
        "{apiVersion: netlab/v1, kind: Topology, metadata: {name: bench}}",
        "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, "
        "targetPort: 8080}]}}",
        *(POD.format(name=f"web-{number}", app="web", spec=WEB) for number in range(5)),
        POD.format(name="shell", app="shell", spec="{containers: [{name: shell, image: shell}]}"),
    )
)
OTHER = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n"
    "spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"
)
FIXTURES = """
import pytest
pytestmark = pytest.mark.netlab("bench.yaml", scope="function")
@pytest.mark.parametrize("number", range({runs}))
def test_it(lab, number):
    pass
"""
ACTS: dict[str, Callable[[Lab], object]] = {
    "nothing": lambda lab: None,
    "20 packets sent": lambda lab: lab.pod("shell").probe("service/web:80", count=20),
    "a Service added": lambda lab: lab.apply(OTHER),
    "the proxy mode changed": lambda lab: lab.set_mode("nftables"),
    "a nat table flushed": lambda lab: lab.node("node1").exec("iptables -t nat -F", check=True),
    "a Pod deleted": lambda lab: lab.delete("pod", "web-0"),
    "a foreign rule: made anew": lambda lab: lab.node("node1").exec("iptables -I FORWARD -j DROP", check=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="labs from Python and pytest")
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.yaml").write_text(TOPOLOGY)
        found: dict[str, object] = {
            "machine": {"kernel": platform.release(), "cores": os.cpu_count(), "python": platform.python_version()},
            "load before": load,
            "uid": os.geteuid(),
            "runs": runs,
            "fixture": fixtures(Path(folder), runs),
            "Lab.up": summary(up_and_down(runs)),
            "reset after": resets(runs),
            "plugin in a run without labs": plugin_cost(Path(folder), runs),
        }
    print(json.dumps(found, indent=2))


def fixtures(folder: Path, runs: int) -> dict[str, object]:
    """The setups of a run's tests, as --durations tells them: the first brings the imports along."""
    (folder / "test_bench.py").write_text(FIXTURES.format(runs=runs))
    command = [*PYTEST, "--durations=0", "--durations-min=0.001", "test_bench.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    times = {int(n): float(s) for s, n in re.findall(r"([\d.]+)s setup .*\[(\d+)\]", done.stdout)}
    return {"first": times[0], "later": summary(times[number] for number in range(1, runs))}


def up_and_down(runs: int) -> Iterable[float]:
    for _ in range(runs):
        seconds, lab = timed(lambda: Lab.up(TOPOLOGY))
        lab.down()
        yield seconds


def resets(runs: int) -> dict[str, object]:
    with Lab.up(TOPOLOGY) as lab:
        return {name: summary(after(act, lab) for _ in range(runs)) for name, act in ACTS.items()}


def after(act: Callable[[Lab], object], lab: Lab) -> float:
    act(lab)
    return timed(lab.reset)[0]


def plugin_cost(folder: Path, runs: int) -> dict[str, float]:
    """By the cheapest of many runs each, which take turns."""
    (folder / "test_empty.py").write_text("def test_it(): pass\n")
    spent: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(3 * runs):
        spent["with"].append(processor_time(folder))
        spent["without"].append(processor_time(folder, "-p", "no:netlab"))
    with_it, without = min(spent["with"]), min(spent["without"])
    return {"with": round(with_it, 3), "without": round(without, 3), "difference": round(with_it - without, 3)}


def processor_time(folder: Path, *options: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*PYTEST, *options, "test_empty.py"], cwd=folder, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def summary(values: Iterable[float]) -> dict[str, float]:
    known = list(values)
    return {"min": round(min(known), 3), "median": round(statistics.median(known), 3)}


if __name__ == "__main__":
    main()
