"""From `kubectl apply` of a Service to the first packet that is answered through it; JSON out.

    chrt -f 1 python tests/bench/bench_apply.py [--rounds N]        as root, with kubectl; some 20 seconds

A lab of topologies/two-nodes.yaml. A Pod's program asks an address that no Service has yet, every few milliseconds, and
notes when it is answered; the clock starts before kubectl does. Beside it what kubectl takes to ask for the version of
the server, a round trip that changes nothing. Medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAB = f"bench-apply-{os.getpid()}"
TOPOLOGY = Path(__file__).parents[2] / "topologies" / "two-nodes.yaml"
NETLAB = str(Path(sys.executable).with_name("netlab"))
ASKS = """
import socket, sys, time
end = time.monotonic() + 10
print("asking", flush=True)
while time.monotonic() < end:
    with socket.socket() as client:
        client.settimeout(0.01)
        try:
            client.connect((sys.argv[1], 80))
        except OSError:
            time.sleep(0.002)
            continue
        print(time.monotonic(), flush=True)
        break
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: later-{number}}}
spec: {{clusterIP: {address}, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


def netlab(*arguments: str) -> str:
    return subprocess.run([NETLAB, *arguments], check=True, capture_output=True, text=True).stdout


def kubectl(*arguments: str, config: Path, text: str = "") -> float:
    """How long it took, in milliseconds."""
    started = time.monotonic()
    environment = {**os.environ, "KUBECONFIG": str(config), "KUBECACHEDIR": str(config.parent / "cache")}
    subprocess.run(["kubectl", *arguments], check=True, capture_output=True, input=text, text=True, env=environment)
    return 1000 * (time.monotonic() - started)


def until_answered(number: int, config: Path) -> float:
    address = f"10.96.7.{number + 1}"
    asking = [NETLAB, "exec", "-l", LAB, "pod/shell", "--", "/usr/bin/python3", "-c", ASKS, address]
    with subprocess.Popen(asking, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        assert client.stdout.readline() == "asking\n"
        started = time.monotonic()
        kubectl("apply", "-f", "-", config=config, text=SERVICE.format(number=number, address=address))
        return 1000 * (float(client.stdout.readline()) - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        file, config = Path(folder) / "lab.yaml", Path(folder) / "config"
        file.write_text(TOPOLOGY.read_text().replace("metadata: {name: two-nodes}", f"metadata: {{name: {LAB}}}"))
        netlab("up", str(file))
        try:
            netlab("kubeconfig", "-l", LAB, "--write", str(config))
            until_answered(200, config)  # kubectl learns what the server has, once
            answered = [until_answered(number, config) for number in range(rounds)]
            versions = [kubectl("version", config=config) for _ in range(rounds)]
        finally:
            netlab("down", LAB)
    report = {
        "benchmark": "apply",
        "unit": "milliseconds",
        "rounds": rounds,
        "answered": round(statistics.median(answered), 1),
        "slowest": round(max(answered), 1),
        "kubectlVersion": round(statistics.median(versions), 1),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
