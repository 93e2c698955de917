"""How long a node's Service rules take in mode ipvs, beside the bare tools in the same run; JSON out.

    scripts/with-kernel .venv/bin/python tests/bench/bench_ipvs.py [SERVICES ...]      by default 100, 1000, 5000
    python tests/bench/bench_ipvs.py                                                   the same, on a kernel with ip_vs

Services of two endpoints each. Milliseconds: `firstSync` from objects in memory to the kernel, `oneEndpoint` from one
EndpointSlice, of which one endpoint is another, to the kernel (medians of five and of twenty). Beside them, in turns,
the same kube-ipvs0, address sets, virtual servers and rules by `ipset restore`, `iptables-restore`, `ipvsadm --restore`
and `ip -batch`, which get them as text; and `ipvsadm --restore` of the same two real servers.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

from bench_iptables import NODE, endpoints, in_a_child, service

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.modes.ipvs import IpvsMode
from netlab.model.ipvs import DEVICE
from netlab.model.modes import ProxyMode
from netlab.model.objects import EndpointSlice, KubernetesObject
from netlab.model.rules import Family
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.collector import collector_resting
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.ipvs import Spelling
from netlab.proxy.ipvs.text import servers_text, sets_text
from netlab.proxy.save_text import save_text

SIZES = (100, 1000, 5000)
ROUNDS, CHANGES = 5, 20
CONFIG = ProxyConfig(node_name="node1", mode=ProxyMode.IPVS)
FAMILIES = (Family.IPV4,)


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def run(command: str, text: str = "") -> None:
    subprocess.run(command.split(), input=text, text=True, check=True)


def fed(objects: list[KubernetesObject]) -> Proxier:
    proxier = Proxier(CONFIG, families=FAMILIES)
    for each in objects:
        proxier.put(each)
    return proxier


def ours(objects: list[KubernetesObject]) -> float:
    IpvsMode().remove(FAMILIES)
    started = time.perf_counter()
    with collector_resting(), closing(fed(objects)) as proxier:  # as the agent does
        proxier.sync()
        return 1000 * (time.perf_counter() - started)


def texts(objects: list[KubernetesObject]) -> dict[str, str]:
    """What each tool is given, in the order in which they are run."""
    tracker = ChangeTracker(node_name="node1")
    for each in objects:
        tracker.put(each)
    tracker.collect()
    spelling = Spelling(config=CONFIG, node=tracker.node, family=Family.IPV4)
    spelling.start(decide_all(tracker, CONFIG))
    return {
        "ipset restore": sets_text(spelling.sets),
        "iptables-legacy-restore --noflush": save_text(spelling.tables()),
        "ipvsadm --restore": servers_text(spelling.servers.values()),
        "ip -batch -": "".join(f"address add {each}/32 dev {DEVICE}\n" for each in spelling.bound),
    }


def bare(given: dict[str, str]) -> float:
    IpvsMode().remove(FAMILIES)
    run(f"ip link add {DEVICE} type dummy")
    return milliseconds(lambda: [run(command, text) for command, text in given.items()])


def one_endpoint(proxier: Proxier, changed: EndpointSlice) -> float:
    return milliseconds(lambda: (proxier.put(changed), proxier.sync()))


def one_by_ipvsadm(number: int) -> float:
    """The real server that came goes, and that which had gone comes."""
    name = f"-t {service(number).spec.cluster_ip}:80"
    (_, before), (_, after) = ([each.addresses[0] for each in endpoints(number, shift=n).endpoints] for n in (0, 1))
    text = f"-a {name} -r {before}:8080 -m -w 1\n-d {name} -r {after}:8080\n"
    return milliseconds(lambda: run("ipvsadm --restore", text))


def measure(count: int) -> dict[str, object]:
    objects: list[KubernetesObject] = [NODE, *(m for n in range(count) for m in (service(n), endpoints(n)))]
    given = texts(objects)
    run("ip link set lo up")  # without any address of its own a namespace takes no real server
    rounds = [(ours(objects), bare(given)) for _ in range(ROUNDS)]
    IpvsMode().remove(FAMILIES)
    with closing(fed(objects)) as proxier:
        proxier.sync()
        numbers = [n * count // CHANGES for n in range(CHANGES)]
        changes = [(one_endpoint(proxier, endpoints(n, shift=1)), one_by_ipvsadm(n)) for n in numbers]
    (first, tools), (one, tool) = (map(statistics.median, zip(*found, strict=True)) for found in (rounds, changes))
    return {
        "services": count,
        "firstSync": round(first, 1),
        "bareTools": round(tools, 1),
        "ratio": round(first / tools, 2),
        "oneEndpoint": round(one, 2),
        "ipvsadm": round(tool, 2),
        "ratioOfOne": round(one / tool, 2),
        "peakMegabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    results = [in_a_child(n, measure) for n in sizes]
    print(json.dumps({"benchmark": "ipvs", "unit": "milliseconds", "results": results}, indent=2))


if __name__ == "__main__":
    main()
