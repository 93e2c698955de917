"""How long a node's Service rules take, beside iptables-legacy-restore of the same rules in the same run; JSON out.

    python tests/bench/bench_iptables.py [SERVICES ...]        100, 1000, 5000 and 10000 where none is said; as root

Each number of Services, of two endpoints each, has a process and a namespace of its own. Times are milliseconds, the
medians of five, in turns, for the first sync and for the restore, of twenty for one endpoint changed:

    taking-in  objects checked, and what changed collected      stamping   rules to bytes
    deciding   what is known made Routes                        kernel     libiptc reads, changes and commits the table
    spelling   Routes to rules

`ratio` is all of that to the restore, `ratioOfRules` without taking-in. `nft` is the same with iptables-nft, once each,
beside iptables-nft-restore of the whole text.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, ip_network
from typing import TypeVar

from netlab.kernel import iptables
from netlab.kernel.iptables_stamped import stamp_patch, stamp_table
from netlab.kernel.namespaces import Namespaces
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service
from netlab.model.rules import Backend, Family, Table
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.collector import collector_resting
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide, decide_all
from netlab.proxy.iptables import Spelling
from netlab.proxy.save_text import save_text

SIZES = (100, 1000, 5000, 10000)
ROUNDS = 5
CHANGES = 20
CONFIG = ProxyConfig(node_name="node1", cluster_cidrs=(ip_network("10.128.0.0/9"),))
NODE = Node.model_validate(
    {"metadata": {"name": "node1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]}}
)
Milliseconds = dict[str, float]
T = TypeVar("T")


def service(number: int) -> Service:
    spec = {"clusterIP": str(IPv4Address("10.96.0.10") + number), "ports": [{"port": 80, "targetPort": 8080}]}
    return Service.model_validate({"metadata": {"name": f"svc-{number}", "namespace": "default"}, "spec": spec})


def endpoints(number: int, *, shift: int = 0, count: int = 2) -> EndpointSlice:
    """Two endpoints or more; with `shift` all but the first are other ones."""
    first = IPv4Address("10.128.0.2") + 4 * number
    addresses = (first, *(first + at + shift for at in range(1, count)))
    return EndpointSlice.model_validate(
        {
            "metadata": {
                "name": f"svc-{number}-1",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": f"svc-{number}"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [str(address)], "nodeName": "node2"} for address in addresses],
        }
    )


class Stopwatch:
    """Milliseconds by the name of what was done."""

    def __init__(self) -> None:
        self.taken: Milliseconds = {}

    def time(self, name: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        self.taken[name] = self.taken.get(name, 0.0) + 1000 * (time.perf_counter() - started)
        return result


def taken_in(objects: Iterable[KubernetesObject]) -> ChangeTracker:
    tracker = ChangeTracker(node_name="node1")
    for obj in objects:
        tracker.put(obj)
    tracker.collect()
    return tracker


def stamped(table: Table) -> None:
    """Every rule made into bytes, as `apply` does while it writes."""
    for _ in stamp_table(Family.IPV4, table.name, chains=table.chains).chains():
        pass


def first_sync(objects: list[KubernetesObject]) -> tuple[Milliseconds, ChangeTracker, Spelling]:
    """From objects in memory to rules in the kernel."""
    watch = Stopwatch()
    tracker = watch.time("taking-in", lambda: taken_in(objects))
    routes = watch.time("deciding", lambda: decide_all(tracker, CONFIG))
    spelling = Spelling(config=CONFIG, node=tracker.node, family=Family.IPV4)
    watch.time("spelling", lambda: spelling.start(routes, endpoint_total=tracker.endpoint_total(Family.IPV4)))
    tables = watch.time("spelling", spelling.tables)
    started = time.perf_counter()
    for table in tables:
        iptables.apply(table)
    applying = 1000 * (time.perf_counter() - started)
    for table in tables:
        watch.time("stamping", lambda table=table: stamped(table))
    watch.taken["kernel"] = applying - watch.taken["stamping"]
    watch.taken["total"] = watch.taken["taking-in"] + watch.taken["deciding"] + watch.taken["spelling"] + applying
    return watch.taken, tracker, spelling


def one_change(tracker: ChangeTracker, spelling: Spelling, *, number: int, shift: int) -> Milliseconds:
    """From one EndpointSlice in memory to rules in the kernel."""
    watch, changed = Stopwatch(), endpoints(number, shift=shift)
    watch.time("taking-in", lambda: tracker.put(changed))
    keys = watch.time("taking-in", tracker.collect).ports
    routes = watch.time(
        "deciding",
        lambda: {
            key: decide(tracker.ports[key], tracker.endpoints(key), node=tracker.node, config=CONFIG) for key in keys
        },
    )
    endpoint_total = tracker.endpoint_total(Family.IPV4)
    patches = watch.time("spelling", lambda: spelling.update(routes, endpoint_total=endpoint_total))
    for patch in patches:
        watch.time("stamping", lambda patch=patch: list(stamp_patch(patch).chains()))
        watch.time("kernel", lambda patch=patch: iptables.apply_patch(patch))
    watch.taken["kernel"] -= watch.taken["stamping"]
    total = sum(watch.taken.values())
    return watch.taken | {"user-space": total - watch.taken["kernel"], "total": total}


def emptied(tables: tuple[Table, ...]) -> None:
    for table in tables:
        iptables.remove(table)


def restore(text: str, *, backend: Backend = Backend.LEGACY) -> float:
    """Milliseconds of iptables-legacy-restore or iptables-nft-restore, its start included."""
    started = time.perf_counter()
    subprocess.run([f"iptables-{backend}-restore"], input=text.encode(), check=True)
    return 1000 * (time.perf_counter() - started)


def measure(count: int) -> dict[str, object]:
    objects = [NODE, *(made for number in range(count) for made in (service(number), endpoints(number)))]
    iptables.require_tables(Family.IPV4)  # as the agent does when it starts
    syncs, restores, peak = [], [], 0.0
    for _ in range(ROUNDS):
        with collector_resting():  # as the agent does
            taken, tracker, spelling = first_sync(objects)
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before there is a text
        syncs.append(taken)
        tables = spelling.tables()
        text = save_text(tables)
        emptied(tables)
        restores.append(restore(text))
        emptied(tables)
    for table in spelling.tables():
        iptables.apply(table)
    changes = [one_change(tracker, spelling, number=n * count // CHANGES, shift=1) for n in range(CHANGES)]
    emptied(spelling.tables())
    restored, whole = statistics.median(restores), statistics.median(taken["total"] for taken in syncs)
    rules = statistics.median(taken["total"] - taken["taking-in"] for taken in syncs)
    return {
        "services": count,
        "firstSync": medians(syncs),
        "restore": round(restored, 1),
        "ratio": round(whole / restored, 2),
        "ratioOfRules": round(rules / restored, 2),
        "ratios": [round(taken["total"] / bare, 2) for taken, bare in zip(syncs, restores, strict=True)],
        "oneEndpoint": medians(changes),
        "nft": by_nft(spelling, text, objects),
        "peakMegabytes": round(peak, 1),
    }


def by_nft(spelling: Spelling, text: str, objects: list[KubernetesObject]) -> Milliseconds:
    """The same rules by iptables-nft: `firstSync` and `oneEndpoint` with all that leads to them."""
    watch = Stopwatch()
    watch.time("restore", lambda: restore(text, backend=Backend.NFT))
    for table in spelling.tables():
        iptables.remove(table, backend=Backend.NFT)
    tracker = watch.time("firstSync", lambda: taken_in(objects))
    routes = watch.time("firstSync", lambda: decide_all(tracker, CONFIG))
    total = tracker.endpoint_total(Family.IPV4)
    watch.time("firstSync", lambda: spelling.start(routes, endpoint_total=total))
    for table in watch.time("firstSync", spelling.tables):
        watch.time("firstSync", lambda table=table: iptables.apply(table, backend=Backend.NFT))
    watch.time("oneEndpoint", lambda: tracker.put(endpoints(0, shift=2)))
    (key,) = watch.time("oneEndpoint", tracker.collect).ports
    route = decide(tracker.ports[key], tracker.endpoints(key), node=tracker.node, config=CONFIG)
    for patch in watch.time("oneEndpoint", lambda: spelling.update({key: route}, endpoint_total=total)):
        watch.time("oneEndpoint", lambda patch=patch: iptables.apply_patch(patch, backend=Backend.NFT))
    return {name: round(taken, 1) for name, taken in watch.taken.items()}


def medians(rounds: list[Milliseconds]) -> Milliseconds:
    return {name: round(statistics.median(taken[name] for taken in rounds), 2) for name in rounds[0]}


def in_a_child(count: int, measure: Callable[[int], dict[str, object]]) -> dict[str, object]:
    """In a process and a namespace of its own, so that peak memory is this measurement's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with Namespaces() as namespaces:
                namespaces.create(f"nlpxs.bench{count}")
                try:
                    os.write(writing, json.dumps(measure(count)).encode())
                finally:
                    namespaces.delete(f"nlpxs.bench{count}")
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        result: dict[str, object] = json.loads(answer.read())
    os.waitpid(child, 0)
    return result


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    print(
        json.dumps(
            {"benchmark": "iptables", "unit": "milliseconds", "results": [in_a_child(n, measure) for n in sizes]},
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
