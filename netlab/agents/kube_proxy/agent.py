"""The kube-proxy of a node: it follows Services, EndpointSlices and its Node, and keeps this namespace's rules.

    API server ── three watches ──> Proxier.put ──> runner ──> Proxier.sync ──> rules
    tables that somebody changed ── Guard ────────────^           └──> health checks, Events, /metrics

Without API server the rules stay as they are; when the process ends, too.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from netlab.agents.kube_proxy.core import Proxier, Synced
from netlab.agents.kube_proxy.guard import Guard
from netlab.agents.kube_proxy.health_checks import EVERYWHERE, HealthCheckServers, Hosts
from netlab.agents.kube_proxy.leftovers import remove_other_modes
from netlab.agents.kube_proxy.metrics import Metrics
from netlab.agents.kube_proxy.node_state import is_leaving
from netlab.agents.kube_proxy.runner import BoundedFrequencyRunner
from netlab.agents.kube_proxy.server import HEALTH, METRICS, Binding
from netlab.agents.kube_proxy.sources import ObjectSource
from netlab.api.events import WatchEvent
from netlab.api.foreign import Malformed
from netlab.api.journal import EventType
from netlab.errors import KernelError, MissingCapability
from netlab.kernel.nft_changes import NftChanges
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service, ServiceCIDR
from netlab.model.rules import Backend, Family
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig

OTHER_PROXY = "!service.kubernetes.io/service-proxy-name"
HEADLESS = "!service.kubernetes.io/headless"
GUARD_SHARE = 20
"""Where somebody goes on changing the tables but not our rules, comparing takes at most one part in so many."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How the process behaves, beside what changes rules. Periods in seconds.

    Rules are written at most every `min_sync_seconds`, and compared with the kernel's every `sync_seconds`
    (--iptables-min-sync-period, --iptables-sync-period), or `guard_seconds` after somebody changed a table.
    """

    min_sync_seconds: float = 0.01
    sync_seconds: float = 30.0
    guard_seconds: float = 1.0
    health: Binding | None = HEALTH
    metrics: Binding | None = METRICS


def say_nothing(_: Complaint) -> None:
    """Where nobody but the log is told of complaints."""


class KubeProxy:
    """Objects from a source to the Proxier, when to sync, and what hangs on it.

    `tell` is called with every new complaint. `refused` are objects of the source that could not be read. `lost` tells
    why the source cannot be reached.
    """

    def __init__(
        self,
        source: ObjectSource,
        config: ProxyConfig,
        options: AgentOptions,
        *,
        families: tuple[Family, ...] = tuple(Family),
        refused: Iterable[Complaint] = (),
        tell: Callable[[Complaint], None] = say_nothing,
        lost: Callable[[], str] = str,
    ) -> None:
        self.metrics = Metrics()
        self._lost = lost
        self.mode = config.mode
        self._config = config
        self._options = options
        self._source = source
        self._node = config.node_name
        self._tell = tell
        self._proxier = Proxier(config, families=families)
        self._runner = BoundedFrequencyRunner(
            self._sync, min_seconds=options.min_sync_seconds, max_seconds=options.sync_seconds
        )
        self._backends: Mapping[Family, Backend] = {}
        self._guard = Guard(self._listen)
        self._guard_pause = 0.0
        self._unlisten: Callable[[], object] = bool
        self._unsynced: set[str] = {Node.PLURAL, Service.PLURAL, EndpointSlice.PLURAL}
        self._heard: dict[str, int] = {}
        self._followed: Mapping[str, int] = {}
        self._synced_once = False
        self._eligible = True
        self._progress = asyncio.Event()
        for complaint in refused:
            self._complain(complaint)

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        """How many rules there are by family and table."""
        return self._proxier.rule_counts()

    def complaints(self) -> tuple[Complaint, ...]:
        """The objects that are not served, or not wholly."""
        return self._proxier.complaints

    def backend(self) -> Backend | None:
        """Where the kernel has the rules, of both families alike; None before the first sync."""
        return next(iter(self._backends.values()), None)

    def lost(self) -> str:
        """Why the source cannot be reached; empty while it can."""
        return self._lost()

    def healthy(self) -> bool:
        """Whether no sync is overdue by more than a period."""
        return not self.metrics.overdue(2 * self._options.sync_seconds)

    def node_eligible(self) -> bool:
        """Whether the node is not about to go."""
        return self._eligible

    def followed(self) -> Mapping[str, int]:
        """By kind, the newest resourceVersion that the rules follow from, as far as versions are numbers."""
        return self._followed

    async def progress(self) -> None:
        """Return when a sync has succeeded again."""
        await self._progress.wait()

    def compare(self) -> None:
        """Have the next sync, which comes at once, compare all rules with the kernel's."""
        self.metrics.queue()
        self._runner.ask(full=True)

    async def work(self) -> None:
        """Follow the source for ever. MissingCapability: no rights here, or no tables; then nothing was changed."""
        self._proxier.prepare()
        remove_other_modes(self.mode, spared=self._config.ipvs_exclude_cidrs)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(Node, field_selector=f"metadata.name={self._node}"))
                tasks.create_task(self._follow(Service, label_selector=OTHER_PROXY))
                tasks.create_task(self._follow(EndpointSlice, label_selector=HEADLESS))
                if self._config.wants_service_cidrs:
                    tasks.create_task(self._follow(ServiceCIDR))
                tasks.create_task(self._runner.run())
                tasks.create_task(self._proxier.work())
                tasks.create_task(self._watch_tables())
                tasks.create_task(self._answer_health_checks())
        finally:
            self._unlisten()
            self._guard.close()
            self._proxier.close()

    async def _follow(
        self, kind: type[KubernetesObject], *, label_selector: str = "", field_selector: str = ""
    ) -> None:
        events = self._source.reflect(
            kind, label_selector=label_selector, field_selector=field_selector, malformed=self._refuse
        )
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
            if isinstance(event.object, Node) and event.object.metadata.name == self._node:
                self._eligible = not is_leaving(event.object)
        self._count(kind)
        self._heard[kind.PLURAL] = max(self._heard.get(kind.PLURAL, 0), _number(event.version))
        if not self._unsynced:
            self.metrics.queue()
            self._runner.ask()

    def _count(self, kind: type[KubernetesObject]) -> None:
        if kind is Service:
            self.metrics.service_changes += 1
        elif kind is EndpointSlice:
            self.metrics.endpoint_changes += 1

    def _refuse(self, malformed: Malformed[KubernetesObject]) -> None:
        self._complain(malformed.complaint())

    def _complain(self, complaint: Complaint) -> None:
        if self._proxier.refuse(complaint):
            log.warning("%s", complaint)
            self._tell(complaint)

    async def _watch_tables(self) -> None:
        """Ask for a full sync where somebody else has changed a table: flushed rules come back."""
        while True:
            await asyncio.sleep(max(self._options.guard_seconds, self._guard_pause))
            self._look()

    def _listen(self, changes: NftChanges) -> None:
        """The kernel tells of every change of nftables: look then, also after our own, which the guard has noted."""

        def heard() -> None:
            if changes.drain() and not self._guard_pause:
                self._look()

        loop = asyncio.get_running_loop()
        loop.add_reader(changes, heard)
        self._unlisten = partial(loop.remove_reader, changes)

    def _look(self) -> None:
        try:
            disturbed = self._synced_once and self._guard.disturbed()
        except KernelError as error:
            log.error("%s; comparing all rules", error)
            disturbed = True
        if disturbed:
            self.metrics.queue()
            self._runner.ask(full=True)

    async def _answer_health_checks(self) -> None:
        servers = HealthCheckServers(self.healthy)
        try:
            while True:
                synced = self._progress  # taken first, lest a sync in between is missed
                await servers.follow(self._proxier.health_checks, hosts=self._health_hosts())
                await synced.wait()
        finally:
            await servers.close()

    def _health_hosts(self) -> Hosts:
        """Health checks are answered where node ports are."""
        listeners = self._proxier.nodeport_listeners
        chosen = {family: tuple(map(str, found)) for family, found in listeners.items() if found is not None}
        return {**EVERYWHERE, **chosen}

    def _sync(self, full: bool) -> bool:
        """One sync; False where it failed, with the reason in the log."""
        heard = dict(self._heard)
        try:
            disturbed = self._synced_once and self._guard.disturbed()
            done = self._proxier.sync(full=full or disturbed)
            self._backends = self._proxier.backends
            self._guard.remember(self._backends)
        except (KernelError, MissingCapability) as error:
            self.metrics.failures += 1
            log.error("%s; trying again", error)
            return False
        self._guard_pause = GUARD_SHARE * done.seconds if disturbed and not done.changed else 0.0
        self._say(done)
        self._followed, self._synced_once = heard, True
        self._progress.set()
        self._progress = asyncio.Event()
        return True

    def _say(self, done: Synced) -> None:
        self.metrics.synced(done)
        for complaint in done.complaints:
            self._tell(complaint)
        if not self._synced_once:
            gc.freeze()  # what is known by now lives long: do not walk it again and again
            log.info("first sync in %.0f ms", 1000 * done.seconds)
        elif done.full and done.changed and not done.ports:
            log.info("repaired rules that somebody changed in %.0f ms", 1000 * done.seconds)
        elif done.ports:
            ports = "1 Service port" if done.ports == 1 else f"{done.ports} Service ports"
            log.info("%s changed: %.1f ms", ports, 1000 * done.seconds)


def _number(version: str) -> int:
    """The version as a number, 0 where the server's versions are none: it is for `netlab status` alone."""
    return int(version) if version.isascii() and version.isdigit() else 0
