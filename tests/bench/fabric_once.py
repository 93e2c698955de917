"""One bring-up and tear-down of a lab's fabric, for bench_fabric.py: prints JSON. PYTHONPATH must have tests/."""

from __future__ import annotations

import json
import sys
import time

from fabric_lab import Lab, node_object, pod_object

from netlab.kernel import iptables_library, links, namespaces
from netlab.plan.addresses import hosts
from netlab.plan.compose import lab_state
from netlab.plan.diff import diff

PODS_A_NODE = 100


def main() -> None:
    pods = int(sys.argv[1])
    lab = Lab(nodes=[f"node{n}" for n in range(max(2, -(-pods // PODS_A_NODE)))], externals=(), name="bench")
    topology = lab.topology
    entries = topology.spec.nodes
    free = {entry.name: hosts(entry.pod_cidrs[0]) for entry in entries}
    places = [(f"pod{number}", entries[number % len(entries)].name) for number in range(pods)]
    objects = [pod_object(name, node, [str(next(free[node]))]) for name, node in places]
    nodes = [node_object(entry) for entry in entries]
    iptables_library.iptc()  # loaded before the first lab by the lab process, too
    start = time.perf_counter()
    links.apply(diff((), lab_state(topology, nodes, objects, lab.name).namespaces))
    made = time.perf_counter()
    namespaces.delete_lab(lab.name)
    print(json.dumps({"up": made - start, "down": time.perf_counter() - made}))


if __name__ == "__main__":
    main()
