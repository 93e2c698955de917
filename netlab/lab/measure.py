"""How long packets take through a Service in each mode, beside the same packets without one, in turns.

For each mode and number of Services: four namespaces of its own (measure_stage), a kube-proxy in one of them, a server
in another, and the client here. To be called in namespaces that are thrown away (throwaway).
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from netlab.agents.kube_proxy.core import Proxier
from netlab.errors import NetlabError
from netlab.kernel import links
from netlab.kernel.namespaces import delete, inside
from netlab.kernel.syscalls import die_with_parent
from netlab.lab import measure_traffic as traffic
from netlab.lab.children import fork
from netlab.lab.measure_stage import CLIENT, DIRECT, ENDPOINTS, NODE, NODE_ADDRESS, PODS, SERVER, stage
from netlab.lab.measure_traffic import GREETER_PORT, SINK_PORT, Target
from netlab.model.comparison import Measurement, Paired
from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family
from netlab.plan.diff import diff
from netlab.proxy.config import ProxyConfig
from netlab.proxy.sample import NODE_NAME, cluster_ip, node, service

Progress = Callable[[str], None]
SYNC_WITHIN_SECONDS = 180.0
ASKED = 10
"""Services that are asked in turn, spread evenly: in some modes it matters how far down the rules one stands."""
FEWEST_SERVICES = 2
"""One for connections, one for transfers."""
SERVICE_PORT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: so many connections in so many rounds, so many transfers of so many bytes.

    Each round goes through the Services and then directly; what is told is the median of the rounds.
    """

    connections: int = 3000
    rounds: int = 20
    transfers: int = 41
    transfer_bytes: int = 32_000_000


EFFORT = Effort()
"""What `netlab modes --measure` takes: some seconds a mode and number of Services."""


def measure(mode: ProxyMode, services: int, effort: Effort) -> Measurement:
    """One mode with so many Services, in this process's network namespaces, which must be ones to throw away."""
    with ExitStack() as open_:
        try:
            open_.enter_context(_staged())
            open_.enter_context(_serving())
            synced = open_.enter_context(_proxied(mode, services))
            if synced.problem:
                return synced
            with inside(CLIENT):
                return synced.model_copy(update=_asked(services, effort))
        except (OSError, NetlabError) as error:
            return Measurement(services=services, problem=str(error))


# --- what is there


@contextmanager
def _staged() -> Iterator[None]:
    wanted = stage()
    links.apply(diff((), wanted))
    try:
        yield
    finally:
        delete(state.name for state in wanted)


@contextmanager
def _serving() -> Iterator[None]:
    with inside(SERVER):
        listeners = (traffic.listen(GREETER_PORT), traffic.listen(SINK_PORT))
    greeter, sink = listeners
    try:
        with _process(lambda: traffic.greet(greeter)), _process(lambda: traffic.take(sink)):
            yield
    finally:
        for listener in listeners:
            listener.close()


@contextmanager
def _proxied(mode: ProxyMode, services: int) -> Iterator[Measurement]:
    """A kube-proxy that has written its rules, and what that took."""
    read, write = os.pipe()
    with _process(lambda: _proxy(mode, services, write)):
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            if not select.select([pipe], [], [], SYNC_WITHIN_SECONDS)[0]:
                raise NetlabError(f"no rules within {SYNC_WITHIN_SECONDS:g} seconds")
            said = pipe.readline()
        if not said:
            raise NetlabError("the kube-proxy ended early (its words are above)")
        yield Measurement.model_validate_json(said)


@contextmanager
def _process(body: Callable[[], None]) -> Iterator[None]:
    pid = fork(lambda: _bound(body))
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _bound(body: Callable[[], None]) -> None:
    die_with_parent(signal.SIGKILL)
    body()


# --- the kube-proxy


def _proxy(mode: ProxyMode, services: int, pipe: int) -> None:
    config = ProxyConfig(node_name=NODE_NAME, mode=mode, cluster_cidrs=(ip_network(PODS),))
    objects = tuple(_objects(services))
    with inside(NODE):
        asyncio.run(_follow(config, objects, services, pipe))


def _objects(services: int) -> Iterator[KubernetesObject]:
    yield node(NODE_ADDRESS)
    served = dict.fromkeys(_asked_services(services), GREETER_PORT) | {_sink(services): SINK_PORT}
    for number in range(services):
        port = served.get(number)
        yield from service(number, ((address, port) for address in ENDPOINTS) if port else ())


async def _follow(config: ProxyConfig, objects: Sequence[KubernetesObject], services: int, pipe: int) -> None:
    """Write the rules, say so, and do what the mode has a process for."""
    with closing(Proxier(config, families=(Family.IPV4,))) as proxier:
        try:
            proxier.prepare()
            seconds = _first_sync(proxier, objects)
        except NetlabError as error:
            _say(pipe, Measurement(services=services, problem=str(error)))
            return
        complaint = next(iter(proxier.complaints), None)
        rules = sum(proxier.rule_counts().values())
        taken = round(1000 * seconds, 1)
        problem = str(complaint) if complaint else ""
        _say(pipe, Measurement(services=services, first_sync_milliseconds=taken, rules=rules, problem=problem))
        await proxier.work()
        await asyncio.Event().wait()


def _first_sync(proxier: Proxier, objects: Sequence[KubernetesObject]) -> float:
    """Seconds from objects in memory to rules in the kernel."""
    started = time.perf_counter()
    for each in objects:
        proxier.put(each)
    proxier.sync()
    return time.perf_counter() - started


def _say(pipe: int, found: Measurement) -> None:
    os.write(pipe, found.model_dump_json().encode() + b"\n")


# --- the client


def _asked_services(services: int) -> tuple[int, ...]:
    others = [number for number in range(services) if number != _sink(services)]
    asked = min(ASKED, len(others))
    return tuple(others[(2 * at + 1) * len(others) // (2 * asked)] for at in range(asked))


def _sink(services: int) -> int:
    return services // 2


def _asked(services: int, effort: Effort) -> dict[str, Paired]:
    asked = [(cluster_ip(number), SERVICE_PORT) for number in _asked_services(services)]
    sink = (cluster_ip(_sink(services)), SERVICE_PORT)
    return {
        "connection": _connections(asked, [(DIRECT, GREETER_PORT)], effort),
        "transfer": _transfers(sink, (DIRECT, SINK_PORT), effort),
    }


def _connections(asked: Sequence[Target], direct: Sequence[Target], effort: Effort) -> Paired:
    each = max(1, effort.connections // effort.rounds)
    for targets in (asked, direct):  # the neighbours are asked for, the code is warm
        traffic.connections(targets, len(targets) * 5)
    return _paired(
        lambda: statistics.median(traffic.connections(asked, each)),
        lambda: statistics.median(traffic.connections(direct, each)),
        rounds=effort.rounds,
    )


def _transfers(asked: Target, direct: Target, effort: Effort) -> Paired:
    return _paired(
        lambda: traffic.transfer(asked, effort.transfer_bytes),
        lambda: traffic.transfer(direct, effort.transfer_bytes),
        rounds=effort.transfers,
    )


def _paired(through: Callable[[], float], direct: Callable[[], float], *, rounds: int) -> Paired:
    """Medians; the ratio is that of the rounds' own ratios, since what else a machine does changes between rounds."""
    found = [(through(), direct()) for _ in range(rounds)]
    return Paired(
        service=round(statistics.median(one for one, _ in found), 1),
        direct=round(statistics.median(other for _, other in found), 1),
        ratio=round(statistics.median(one / other for one, other in found), 3),
    )
