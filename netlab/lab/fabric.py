"""The fabric: one loop that makes the kernel hold what the API's objects say.

Topology, Nodes, Pods ─ watch ─> plan.lab_state ─ diff against what is there ─> kernel
                                                          └─> Pods may start, nodes get their agents
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from netlab.api.client import ApiClient
from netlab.api.encoding import Json
from netlab.api.journal import EventType
from netlab.errors import ApiError, KernelError, NotFound
from netlab.kernel import links, namespaces, readback
from netlab.lab import control, entrances
from netlab.lab.messages import AgentKind
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import NETWORK_READY, Condition, KubernetesObject, Node, Pod
from netlab.model.paths import LabPaths
from netlab.model.state import LabState, NamespaceState
from netlab.model.timestamp import now
from netlab.model.topology import NodeEntry, Topology
from netlab.plan.compose import lab_state
from netlab.plan.control_plane import API_PORT, control_plane
from netlab.plan.diff import diff
from netlab.plan.stations import external_stations
from netlab.workload import etc
from netlab.workload.etc import EtcFiles

RETRY_SECONDS = 1.0
"""After the kernel has refused a step."""
log = logging.getLogger(__name__)
Object = TypeVar("Object", bound=KubernetesObject)


def run(paths: LabPaths) -> None:
    """The process: until SIGTERM. What it made stays."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    asyncio.run(_run(paths))


async def _run(paths: LabPaths) -> None:
    async with ApiClient(paths.api_socket) as client, asyncio.TaskGroup() as group:
        objects = Objects()
        for kind in (Topology, Node, Pod):
            group.create_task(objects.follow(client, kind))
        group.create_task(Fabric(paths, client, objects).reconcile_forever())


@dataclass(slots=True)
class Objects:
    """What the API server says, kept current."""

    topologies: dict[str, Topology] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    unsynced: int = 3
    """Kinds of which not everything is known yet."""

    async def follow(self, client: ApiClient, kind: type[KubernetesObject]) -> None:
        """Keep one kind current; each change wakes whoever waits for `changed`."""
        async for event in client.reflect(kind):
            if event.object is None:
                self.unsynced -= 1
            else:
                self._note(event.object, gone=event.type is EventType.DELETED)
            self.changed.set()

    def _note(self, value: KubernetesObject, *, gone: bool) -> None:
        match value:
            case Topology():
                _keep(self.topologies, value, gone=gone)
            case Node():
                _keep(self.nodes, value, gone=gone)
            case Pod():
                _keep(self.pods, value, gone=gone)


def _keep(known: dict[str, Object], value: Object, *, gone: bool) -> None:
    if gone:
        known.pop(value.key, None)
    else:
        known[value.key] = value


@dataclass(slots=True)
class Fabric:
    """What the kernel holds, and the way from the objects to it."""

    paths: LabPaths
    client: ApiClient
    objects: Objects
    seen: tuple[NamespaceState, ...] | None = None
    """What the kernel holds; None: it must be read."""
    with_agents: set[str] | None = None
    machines: tuple[NodeEntry | None, tuple[str, ...]] | None = None
    """The control plane's node, and the names of all: what certificates were made for."""
    etc: dict[str, EtcFiles] = field(default_factory=dict)

    async def reconcile_forever(self) -> None:
        """Once everything is known, and after each change, make it so."""
        while True:
            await self.objects.changed.wait()
            self.objects.changed.clear()
            if self.objects.unsynced or not self.objects.topologies:
                continue
            try:
                await self.reconcile()
            except (KernelError, NotFound) as error:
                log.error("%s; reading what is there, again in %.0f s", error, RETRY_SECONDS)
                self.seen = None
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self.objects.changed.set)

    async def reconcile(self) -> None:
        """Make the kernel hold what the objects say now, then tell who waits for it."""
        topology = self.objects.topologies[self.paths.lab]
        nodes, pods = tuple(self.objects.nodes.values()), tuple(self.objects.pods.values())
        wanted = lab_state(topology, nodes, pods, self.paths.lab)
        self._make_with_credentials(topology, wanted)
        self._write_etc(topology)
        self._set_agents()
        waiting = [pod for pod in pods if _is_placed(pod) and not pod.condition(NETWORK_READY)]
        await asyncio.gather(*map(self._let_start, waiting))

    def _make_with_credentials(self, topology: Topology, wanted: LabState) -> None:
        """Where nodes came or went their certificates are made meanwhile, and the API server listens on the wire."""
        node = control_plane(topology.spec)
        machines = (node, tuple(self.objects.nodes))
        if machines == self.machines or node is None or node.name not in self.objects.nodes:
            self._make(wanted)
            return
        with control.providing_credentials(self.paths) as credentials:
            self._make(wanted)
            credentials.result()
        self._listen_on(node.name)
        self.machines = machines

    def _listen_on(self, node: str) -> None:
        """Have the API server listen on every address of that node."""
        with namespaces.inside(network_namespace(self.paths.lab, Place(PlaceKind.NODE, node))):
            entrance, where = entrances.everywhere(API_PORT), namespaces.current()
        with entrance:
            control.open_entrance(self.paths, entrances.WIRE, entrance, where=where)

    def _make(self, wanted: LabState) -> None:
        start = time.monotonic()
        if self.seen is None:
            self.seen = readback.read(self.paths.lab)
        steps = diff(self.seen, wanted.namespaces)
        seen, self.seen = self.seen, None
        links.apply(steps)
        self.seen = wanted.namespaces
        if steps:
            seconds = time.monotonic() - start
            log.info("%d namespaces, were %d: %d steps in %.3f s", len(self.seen), len(seen), len(steps), seconds)

    def _write_etc(self, topology: Topology) -> None:
        """Each machine's hosts, hostname and resolv.conf; a Pod's are its kubelet's to write."""
        files = dict(self._machine_files(topology))
        for name, texts in files.items():
            if self.etc.get(name) != texts:
                etc.write_files(self.paths.etc, name, texts)
        for name in self.etc.keys() - files.keys():
            etc.remove_files(self.paths.etc, name)
        self.etc = files

    def _machine_files(self, topology: Topology) -> Iterator[tuple[str, EtcFiles]]:
        stations = external_stations(topology, lab=self.paths.lab)
        machines = {
            **{
                node.key: [entry.address for entry in node.status.addresses if entry.type == "InternalIP"]
                for node in self.objects.nodes.values()
            },
            **{station.name: [str(interface.ip) for interface in station.addresses] for station in stations},
        }
        for name in machines:
            yield f"{self.paths.lab}.{name}", etc.machine_files(name, machines)

    def _set_agents(self) -> None:
        """A kubelet and a kube-proxy for each node that has come, none for one that is gone.

        What somebody stopped stays stopped, also when this process was started anew: nodes whose agents the lab process
        knows already are left alone.
        """
        if self.with_agents is None:
            known = {agent.name for agent in control.agents(self.paths)}
            self.with_agents = {node for node in self.objects.nodes if f"{AgentKind.KUBELET}-{node}" in known}
        nodes = set(self.objects.nodes)
        for node in sorted(nodes ^ self.with_agents):
            wanted = node in nodes
            for agent in AgentKind:
                control.set_agent(self.paths, agent, node, running=wanted, forget=not wanted)
        self.with_agents = nodes

    async def _let_start(self, pod: Pod) -> None:
        """Tell the Pod's kubelet that its network is there. A Pod that has changed meanwhile comes again by watch."""
        conditions = (*pod.status.conditions, Condition(type=NETWORK_READY, status="True", last_transition_time=now()))
        patch: dict[str, Json] = {
            "metadata": {"resourceVersion": pod.metadata.resource_version},
            "status": {"conditions": [c.model_dump(by_alias=True, exclude_none=True) for c in conditions]},
        }
        namespace = pod.metadata.namespace or "default"
        with contextlib.suppress(ApiError, NotFound):
            await self.client.patch(Pod, pod.metadata.name, patch, namespace=namespace, subresource="status")


def _is_placed(pod: Pod) -> bool:
    return bool(pod.spec.node_name and pod.status.pod_ips)
