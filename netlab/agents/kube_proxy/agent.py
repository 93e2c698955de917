"""The kube-proxy of a node: it follows Services, EndpointSlices and its Node, and keeps this namespace's rules.

    API server ── three watches ──> Proxier.put ──> runner ──> Proxier.sync ──> rules

Nothing is polled. Without API server the rules stay as they are; when the process ends, too.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.metrics import Metrics
from netlab.agents.kube_proxy.runner import BoundedFrequencyRunner
from netlab.agents.kube_proxy.server import HEALTH, METRICS, Binding, StatusServer
from netlab.api.client import ApiClient
from netlab.api.events import WatchEvent
from netlab.api.journal import EventType
from netlab.errors import ApiError, KernelError, MissingCapability
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service
from netlab.model.paths import LabPaths
from netlab.model.rules import Family
from netlab.model.topology import Network, Topology
from netlab.proxy.config import ProxyConfig

OTHER_PROXY = "!service.kubernetes.io/service-proxy-name"
HEADLESS = "!service.kubernetes.io/headless"
RETRY_SECONDS = 0.1
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How the process behaves, beside what changes rules. Periods in seconds.

    Rules are written at most every `min_sync_seconds`, and compared with the kernel's every `sync_seconds`
    (--iptables-min-sync-period, --iptables-sync-period).
    """

    min_sync_seconds: float = 0.01
    sync_seconds: float = 30.0
    health: Binding = HEALTH
    metrics: Binding = METRICS


def run(paths: LabPaths, node: str, *, config: ProxyConfig | None = None, options: AgentOptions | None = None) -> None:
    """Be the kube-proxy of `node` until SIGTERM, in the node's network namespace, which the process is in already.

    Without `config` the cluster's Pod ranges come from the lab's topology. The process must have one thread.
    """
    asyncio.run(_serve(paths, node, config, options or AgentOptions()))


async def _serve(paths: LabPaths, node: str, config: ProxyConfig | None, options: AgentOptions) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with ApiClient(paths.api_socket) as client:
        working = loop.create_task(_work(client, node, config, options))
        stopping = loop.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        ended = working.done()
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
        if ended:
            working.result()  # it never ends by itself: raises what ended it
    log.info("stopped; the rules stay")


async def _work(client: ApiClient, node: str, config: ProxyConfig | None, options: AgentOptions) -> None:
    if config is None:
        network = await _network(client)
        config = ProxyConfig(node_name=node, cluster_cidrs=network.pod_cidrs)
    agent = KubeProxy(client, config, options)
    server = StatusServer(agent, health=options.health, metrics=options.metrics)
    await server.start()
    try:
        await agent.work()
    finally:
        await server.close()


async def _network(client: ApiClient) -> Network:
    """The lab's ranges, from its topology; the default ones where the API server has none."""
    while True:
        try:
            topologies, _ = await client.list(Topology)
        except (ApiError, aiohttp.ClientError, OSError) as error:
            log.info("no topology yet: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
            continue
        return topologies[0].spec.network if topologies else Network()


class KubeProxy:
    """Objects from the API server to the Proxier, and when to sync."""

    def __init__(self, client: ApiClient, config: ProxyConfig, options: AgentOptions) -> None:
        self.metrics = Metrics()
        self.max_seconds = options.sync_seconds
        self._client = client
        self._node = config.node_name
        self._proxier = Proxier(config)
        self._runner = BoundedFrequencyRunner(
            self._sync, min_seconds=options.min_sync_seconds, max_seconds=options.sync_seconds
        )
        self._unsynced: set[str] = {Node.PLURAL, Service.PLURAL, EndpointSlice.PLURAL}
        self._heard: dict[str, int] = {}
        self._followed: Mapping[str, int] = {}
        self._progress = asyncio.Event()

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        """How many rules there are by family and table."""
        return self._proxier.rule_counts()

    def followed(self) -> Mapping[str, int]:
        """By kind, the newest resourceVersion that the rules follow from."""
        return self._followed

    async def progress(self) -> None:
        """Return when a sync has succeeded again."""
        await self._progress.wait()

    async def work(self) -> None:
        """Follow the API server for ever."""
        self._proxier.prepare()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(Node, field_selector=f"metadata.name={self._node}"))
            tasks.create_task(self._follow(Service, label_selector=OTHER_PROXY))
            tasks.create_task(self._follow(EndpointSlice, label_selector=HEADLESS))
            tasks.create_task(self._runner.run())

    async def _follow(
        self, kind: type[KubernetesObject], *, label_selector: str = "", field_selector: str = ""
    ) -> None:
        events = self._client.reflect(kind, label_selector=label_selector, field_selector=field_selector)
        async for event in events:
            self._note(kind, event)

    def _note(self, kind: type[KubernetesObject], event: WatchEvent[KubernetesObject]) -> None:
        """Take in an event; the first sync waits until all of the three lists are known."""
        if event.object is None:
            self._unsynced.discard(kind.PLURAL)
        elif event.type is EventType.DELETED:
            self._proxier.remove(event.object)
        else:
            self._proxier.put(event.object)
        self._count(kind)
        self._heard[kind.PLURAL] = max(self._heard.get(kind.PLURAL, 0), int(event.version or 0))
        if not self._unsynced:
            self.metrics.queue()
            self._runner.ask()

    def _count(self, kind: type[KubernetesObject]) -> None:
        if kind is Service:
            self.metrics.service_changes += 1
        elif kind is EndpointSlice:
            self.metrics.endpoint_changes += 1

    def _sync(self, full: bool) -> bool:
        """One sync; False where it failed, with the reason in the log."""
        heard, first = dict(self._heard), not self._followed
        try:
            done = self._proxier.sync(full=full)
        except (KernelError, MissingCapability) as error:
            self.metrics.failures += 1
            log.error("%s; trying again", error)
            return False
        self.metrics.synced(done)
        self._followed = heard
        self._progress.set()
        self._progress = asyncio.Event()
        if first:
            gc.freeze()  # what is known by now lives long: do not walk it again and again
        if first or (full and done.changed):
            what = "first sync" if first else "repaired rules that somebody changed"
            log.info("%s in %.0f ms", what, 1000 * done.seconds)
        elif done.ports:
            log.info("%d Service ports changed: %.1f ms", done.ports, 1000 * done.seconds)
        return True
