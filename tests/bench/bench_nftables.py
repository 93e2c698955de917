"""How long a node's Service rules take in mode nftables, beside nft(8) alone in the same run; JSON out.

    python tests/bench/bench_nftables.py [SERVICES ...]        1000, 5000 and 10000 where none is said; as root

Services of two endpoints each. Milliseconds: `firstSync` from objects in memory to rules in the kernel, `oneEndpoint`
from one EndpointSlice, in which one of the two is another, to rules in the kernel (medians of five and of twenty);
`anotherEndpoint` the same where a third comes, but for the first Service that has three (`firstOfThree`).

Beside them what `nft -f` takes for kube-proxy's own layout of the same Services, with an anonymous map for each
(`kubeProxysLayout`, median of three, in turns with the first syncs; once where there are more than 10000), and, medians
of twenty, for one element of a set among them (`oneElement`); and what the kernel alone takes for what leads to one
Service's two endpoints, deleted and made again by bytes that were ready (`kernelAlone`). `firstSyncs` and
`kubeProxysLayouts` are what the medians are of.
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
from ipaddress import IPv4Address

from bench_iptables import NODE, endpoints, in_a_child, service

from netlab.agents.kube_proxy.core import Proxier
from netlab.kernel.nft_messages import Messages
from netlab.kernel.nft_socket import NftSocket
from netlab.model.modes import ProxyMode
from netlab.model.nft_rules import Dnat
from netlab.model.nft_tables import AddElements, DeleteElements
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Protocol
from netlab.proxy.collector import collector_resting
from netlab.proxy.config import ProxyConfig
from netlab.proxy.nftables.choosing import Draw
from netlab.proxy.nftables.names import ENDPOINTS, TABLE

SIZES = (1000, 5000, 10000)
ROUNDS, CHANGES = 5, 20
ROUNDS_OF_THEIRS, SIZE_OF_ONE_ROUND = 3, 10000
"""Their layout takes ten seconds at 10000 Services, and four times as long for twice as many."""
CONFIG = ProxyConfig(node_name="node1", mode=ProxyMode.NFTABLES)


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def nft(text: str) -> float:
    return milliseconds(lambda: subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True))


def fed(objects: list[KubernetesObject]) -> Proxier:
    proxier = Proxier(CONFIG, families=(Family.IPV4,))
    for each in objects:
        proxier.put(each)
    return proxier


def first_sync(objects: list[KubernetesObject]) -> float:
    """Into a namespace without rules."""
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    started = time.perf_counter()
    with collector_resting(), closing(fed(objects)) as proxier:  # as the agent does
        proxier.sync()
        return 1000 * (time.perf_counter() - started)


def their_first_sync(count: int) -> float:
    """Into a namespace without rules too."""
    text = kube_proxys_layout(count)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    return nft(text)


def one_endpoint(proxier: Proxier, number: int) -> float:
    changed = endpoints(number, shift=1)
    return milliseconds(lambda: (proxier.put(changed), proxier.sync()))


def another_endpoint(proxier: Proxier, number: int) -> float:
    """A third one, beside the two that are there."""
    changed = endpoints(number, shift=1, count=3)
    return milliseconds(lambda: (proxier.put(changed), proxier.sync()))


def one_element() -> float:
    """A ClusterIP into its set, and out again: half of both."""
    words = "element ip kube-proxy cluster-ips { 192.0.2.1 }"
    return (nft(f"add {words}\n") + nft(f"delete {words}\n")) / 2


def kernel_alone(by: NftSocket, number: int) -> float:
    """What leads to the endpoints of one Service, deleted and made again."""
    key = (IPv4Address(str(service(number).spec.cluster_ip)), Protocol.TCP, 80)
    targets = tuple(Dnat(IPv4Address(each.addresses[0]), 8080) for each in endpoints(number, shift=1).endpoints or ())
    draw = Draw(ENDPOINTS, key, targets)
    elements = tuple(draw.elements())
    changes = (DeleteElements(elements[0].set, elements), AddElements(elements[0].set, elements))
    made = Messages(Family.IPV4, TABLE)
    packed = [made.of(each, number=at) for at, each in enumerate(changes, start=1)]
    refused: list[object] = []
    took = milliseconds(lambda: refused.append(by.commit(packed)))
    assert refused == [None]
    return took


def kube_proxys_layout(count: int) -> str:
    """The Services as kube-proxy lays them out, for nft -f."""
    chains, elements, addresses = [], [], []
    for number in range(count):
        address = service(number).spec.cluster_ip
        first, second = (each.addresses[0] for each in endpoints(number).endpoints)
        chain = f"service-{number:08d}-default/svc-{number}/tcp/"
        choice = f"0 : {first} . 8080, 1 : {second} . 8080"
        chains.append(f"chain {chain} {{ meta l4proto tcp dnat ip to numgen random mod 2 map {{ {choice} }} ; }}")
        elements.append(f"{address} . tcp . 80 : goto {chain}")
        addresses.append(str(address))
    maps = (
        f"set cluster-ips {{ type ipv4_addr ; elements = {{ {', '.join(addresses)} }} ; }}",
        "map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; "
        f"elements = {{ {', '.join(elements)} }} ; }}",
    )
    hooks = (
        "chain services { ip daddr . meta l4proto . th dport vmap @service-ips ; }",
        "chain nat-prerouting { type nat hook prerouting priority dstnat ; jump services ; }",
        "chain nat-output { type nat hook output priority -100 ; jump services ; }",
    )
    return "\n".join(("table ip kube-proxy {", *chains, *maps, *hooks, "}", ""))


def measure(count: int) -> dict[str, object]:
    objects: list[KubernetesObject] = [NODE, *(m for n in range(count) for m in (service(n), endpoints(n)))]
    syncs, layouts, peak = [], [], 0.0
    for number in range(ROUNDS):
        syncs.append(first_sync(objects))
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before there is a text
        if number < (ROUNDS_OF_THEIRS if count <= SIZE_OF_ONE_ROUND else 1):
            layouts.append(their_first_sync(count))
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    with closing(fed(objects)) as proxier:
        proxier.sync()
        changes = [one_endpoint(proxier, n * count // CHANGES) for n in range(CHANGES)]
        with closing(NftSocket()) as by:
            alone = [kernel_alone(by, n * count // CHANGES) for n in range(CHANGES)]
        first_of_three, *others = [another_endpoint(proxier, n * count // CHANGES) for n in range(CHANGES)]
    element = statistics.median(one_element() for _ in range(CHANGES))
    first, theirs, one = map(statistics.median, (syncs, layouts, changes))
    return {
        "services": count,
        "firstSync": round(first, 1),
        "firstSyncs": [round(each, 1) for each in syncs],
        "kubeProxysLayout": round(theirs, 1),
        "kubeProxysLayouts": [round(each, 1) for each in layouts],
        "timesFaster": round(theirs / first, 1),
        "oneEndpoint": round(one, 2),
        "kernelAlone": round(statistics.median(alone), 2),
        "anotherEndpoint": round(statistics.median(others), 2),
        "firstOfThree": round(first_of_three, 2),
        "oneElement": round(element, 1),
        "ratio": round(one / element, 2),
        "peakMegabytes": round(peak, 1),
    }


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    results = [in_a_child(n, measure) for n in sizes]
    print(json.dumps({"benchmark": "nftables", "unit": "milliseconds", "results": results}, indent=2))


if __name__ == "__main__":
    main()
