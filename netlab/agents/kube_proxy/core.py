"""A kube-proxy without its surroundings: objects in, rules, sysctls and conntrack of the current namespace out.

    put, remove ─> ChangeTracker ─ sync ─> decide ─> Mode ─> stale flows deleted

Who calls it knows when: the agent does on events, `netlab proxy --once` does once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from netlab.agents.kube_proxy.flows import delete_stale_flows
from netlab.agents.kube_proxy.modes import Situation, mode_of
from netlab.errors import KernelError, MissingCapability
from netlab.kernel import sysctls
from netlab.kernel.local_addresses import local_addresses
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Backend, Family, IPAddress
from netlab.model.state import Sysctl
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.collector import collector_resting
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import Route, decide, decide_all
from netlab.proxy.health import HealthCheck, health_checks
from netlab.proxy.ports import PortKey
from netlab.proxy.stale import StaleFlows

HERE = "this network namespace"
CONNTRACK_SYSCTLS = (
    Sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", "86400"),
    Sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600"),
)
"""kube-proxy's --conntrack-tcp-timeout-established and -close-wait: 24 hours and one, in seconds."""
TCP_LIBERAL = "net/netfilter/nf_conntrack_tcp_be_liberal"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """What one sync did in `seconds`; `full`: whole tables were compared, `changed`: some were not as wanted.

    `complaints` are the new ones.
    """

    seconds: float
    full: bool
    changed: bool
    ports: int = 0
    flows_deleted: int = 0
    complaints: tuple[Complaint, ...] = ()


class Proxier:
    """The Service rules of one node. Use it in one thread, in the node's network namespace."""

    def __init__(self, config: ProxyConfig, *, families: tuple[Family, ...] = tuple(Family)) -> None:
        self._config = config
        self._wanted_families = families
        self._tracker = ChangeTracker(node_name=config.node_name, bind_address=config.bind_address)
        self._refused: dict[tuple[str, str], Complaint] = {}
        self._mode = mode_of(config.mode)
        self._unusable: set[Family] = set()
        self._stale_flows: list[StaleFlows] = []
        self._untold: list[Complaint] = []
        self._health: tuple[HealthCheck, ...] = ()
        self._anew = True
        self._addresses: tuple[IPAddress, ...] = ()
        self._left_out: frozenset[Complaint] = frozenset()

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """What is wrong with the objects there are: these parts of them are not served."""
        return (*self._refused.values(), *self._tracker.complaints, *self._mode.left_out)

    @property
    def backends(self) -> Mapping[Family, Backend]:
        """The families that there are rules for, as of the last sync, and where the kernel has them."""
        return self._mode.backends

    @property
    def health_checks(self) -> tuple[HealthCheck, ...]:
        """The healthCheckNodePorts of Services, and what to answer there, as of the last sync."""
        return self._health

    @property
    def nodeport_listeners(self) -> Mapping[Family, tuple[IPAddress, ...] | None]:
        """The addresses on which node ports answer, by family as of the last sync; None: on every local one."""
        return self._mode.nodeport_listeners

    def put(self, obj: KubernetesObject) -> None:
        """An object is there, or is different."""
        if self._refused:
            self._refused.pop((obj.kind, obj.key), None)
        self._tracker.put(obj)

    def remove(self, obj: KubernetesObject) -> None:
        """An object is gone. Only its kind, name and namespace are looked at."""
        self._refused.pop((obj.kind, obj.key), None)
        self._tracker.remove(obj)

    def refuse(self, complaint: Complaint) -> bool:
        """An object cannot be read: what was known of it stays in force. False where that was said before."""
        before = self._refused.get((complaint.kind, complaint.name))
        self._refused[complaint.kind, complaint.name] = complaint
        return before != complaint

    def rule_counts(self) -> Mapping[tuple[Family, str], int]:
        """How many rules there are by family and table, hooks among them."""
        return self._mode.rule_counts()

    def prepare(self) -> tuple[Sysctl, ...]:
        """Set the sysctls that kube-proxy sets, and take note of the one that it minds. Which ones were set.

        MissingCapability: no rights here, or no tables. Then nothing was changed.
        """
        families = self.families_here()
        done = [*self._mode.sysctls(self._config.on_node(self._tracker.node), families)]
        for sysctl in done:
            sysctls.write(sysctl, where=HERE)
        for sysctl in CONNTRACK_SYSCTLS:
            with suppress(KernelError):  # not there before the first rule that asks conntrack, on some kernels
                sysctls.write(sysctl, where=HERE)
                done.append(sysctl)
        self._config = replace(self._config, conntrack_tcp_liberal=sysctls.read(TCP_LIBERAL) == "1")
        return tuple(done)

    async def work(self) -> None:
        """What the mode does beside rules, until it is cancelled."""
        await self._mode.work()

    def sync(self, *, full: bool = False) -> Synced:
        """Bring the kernel up to the objects; with `full`, compare all that it holds and repair it.

        KernelError: the rules are not all in place; the next sync writes them whole.
        MissingCapability: this kernel has no tables for any family of this node.
        """
        with collector_resting():
            return self._sync(full=full)

    def _sync(self, *, full: bool) -> Synced:
        started = time.perf_counter()
        changes = self._tracker.collect()
        self._stale_flows += changes.stale
        self._untold += changes.complaints
        anew = self._anew or changes.node_changed or (full and self._addresses_differ())
        self._anew = True  # whatever fails from here on, the next sync does not rely on it
        if anew:
            self._start_over()
            changed = self._mode.write()
        else:
            changed = self._follow(self._routes(changes.ports), full=full)
        self._anew = False
        full = full or anew
        self._note_health(changes.ports, all_of_them=full)
        deleted = delete_stale_flows(self._stale_flows)
        self._stale_flows.clear()
        complaints = (*self._untold, *self._newly_left_out())
        self._untold.clear()
        for complaint in complaints:
            log.warning("%s", complaint)
        seconds = time.perf_counter() - started
        return Synced(seconds, full, changed, len(changes.ports), deleted, complaints)

    def _newly_left_out(self) -> tuple[Complaint, ...]:
        """What the mode did not leave out before."""
        before, now = self._left_out, self._mode.left_out
        self._left_out = frozenset(now)
        return tuple(complaint for complaint in now if complaint not in before)

    def close(self) -> None:
        """Give up what the process holds; the rules stay."""
        self._mode.close()

    def _note_health(self, changed: tuple[PortKey, ...], *, all_of_them: bool) -> None:
        """Count local endpoints again only where a Service with a health check is concerned, or any was."""
        ports, services = self._tracker.ports, {check.service for check in self._health}
        concerned = any(
            key.service in services or ((port := ports.get(key)) and port.health_check_port) for key in changed
        )
        if all_of_them or concerned:
            self._health = health_checks(self._tracker)

    def families_here(self) -> tuple[Family, ...]:
        """The families wanted that this kernel has tables for. MissingCapability: none of them, or no rights."""
        usable, missing = [], None
        for family in self._wanted_families:
            try:
                self._mode.require(family)
            except MissingCapability as error:
                missing = missing or error
                if family not in self._unusable:
                    self._unusable.add(family)
                    log.info("no rules for %s: %s", family, error)
            else:
                usable.append(family)
        if missing and not usable:
            raise missing
        return tuple(usable)

    def _start_over(self) -> None:
        """Spell everything anew, as after a change of the node itself."""
        families = self.families_here()
        addresses, node = local_addresses(), self._tracker.node
        self._addresses = addresses
        config = self._config.with_service_cidrs(self._tracker.service_cidrs)
        situation = Situation(config.on_node(node), node, families, addresses, self._endpoint_totals())
        self._mode.start(situation, decide_all(self._tracker, self._config))

    def _addresses_differ(self) -> bool:
        """Whether the node has got or lost an address that node ports may answer on."""
        chosen = self._config.follows_node_addresses or self._config.nodeport_addresses
        return bool(chosen) and local_addresses() != self._addresses

    def _routes(self, keys: tuple[PortKey, ...]) -> dict[PortKey, Route | None]:
        tracker = self._tracker
        return {
            key: decide(port, tracker.endpoints(key), node=tracker.node, config=self._config)
            if (port := tracker.ports.get(key))
            else None
            for key in keys
        }

    def _follow(self, routes: Mapping[PortKey, Route | None], *, full: bool) -> bool:
        """Take the changed Routes into the rules; whether the kernel's are different now."""
        totals = self._endpoint_totals()
        if not full:
            return self._mode.follow(routes, totals)
        self._mode.take_in(routes, totals)
        return self._mode.write()

    def _endpoint_totals(self) -> dict[Family, int]:
        return {family: self._tracker.endpoint_total(family) for family in Family}
