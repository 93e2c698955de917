"""The kube-proxy of a case, in a process of its own, and the Services that it serves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from ipaddress import ip_network

from netlab.agents.kube_proxy.core import Proxier
from netlab.errors import NetlabError
from netlab.kernel.namespaces import inside
from netlab.lab.measuring.stage import ENDPOINTS, NODE, NODE_ADDRESS, PODS
from netlab.lab.measuring.traffic import GREETER_PORT, SINK_PORT, Target
from netlab.model.comparison import Measurement
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family
from netlab.proxy.config import ProxyConfig
from netlab.proxy.sample import NODE_NAME, SERVICE_PORT, cluster_ip, node, service

ASKED = 10
"""Services that are asked in turn, spread evenly: in some modes it matters how far down the rules one stands."""


def be_proxy(mode: ProxyMode, services: int, pipe: int) -> None:
    """Write the rules of that many Services, tell through the pipe what that took, and serve until killed."""
    config = ProxyConfig(node_name=NODE_NAME, mode=mode, cluster_cidrs=(ip_network(PODS),))
    objects = tuple(_objects(services))
    with inside(NODE):
        asyncio.run(_serve(config, objects, services, pipe))


def greeters(services: int) -> list[Target]:
    """The Services behind which Pods greet."""
    return [(cluster_ip(number), SERVICE_PORT) for number in _greeting(services)]


def sink(services: int) -> Target:
    """The Service behind which Pods take whatever is sent."""
    return cluster_ip(_taking(services)), SERVICE_PORT


def _greeting(services: int) -> tuple[int, ...]:
    others = [number for number in range(services) if number != _taking(services)]
    asked = min(ASKED, len(others))
    return tuple(others[(2 * at + 1) * len(others) // (2 * asked)] for at in range(asked))


def _taking(services: int) -> int:
    return services // 2


def _objects(services: int) -> Iterator[KubernetesObject]:
    """Behind those that nobody asks there is nobody."""
    yield node(NODE_ADDRESS)
    served = dict.fromkeys(_greeting(services), GREETER_PORT) | {_taking(services): SINK_PORT}
    for number in range(services):
        port = served.get(number)
        yield from service(number, ((address, port) for address in ENDPOINTS) if port else ())


async def _serve(config: ProxyConfig, objects: Sequence[KubernetesObject], services: int, pipe: int) -> None:
    with closing(Proxier(config, families=(Family.IPV4,))) as proxier:
        found = _synced(proxier, objects, services)
        os.write(pipe, found.model_dump_json().encode() + b"\n")
        await proxier.work()
        await asyncio.Event().wait()


def _synced(proxier: Proxier, objects: Sequence[KubernetesObject], services: int) -> Measurement:
    """What the first sync took, or why there was none; `problem` too where not everything is served."""
    try:
        proxier.prepare()
        seconds = _first_sync(proxier, objects)
    except NetlabError as error:
        return Measurement(services=services, problem=str(error))
    complaint = next(iter(proxier.complaints), None)
    return Measurement(
        services=services,
        first_sync_milliseconds=round(1000 * seconds, 1),
        rules=sum(proxier.rule_counts().values()),
        problem=str(complaint) if complaint else "",
    )


def _first_sync(proxier: Proxier, objects: Sequence[KubernetesObject]) -> float:
    """Seconds from objects in memory to rules in the kernel."""
    started = time.perf_counter()
    for each in objects:
        proxier.put(each)
    proxier.sync()
    return time.perf_counter() - started
