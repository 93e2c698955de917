"""The kubelet of a node: it runs the Pods that are scheduled to its node, and tells how they are.

    API server ── watch of this node's Pods ──> one PodWorker a Pod ──> one ContainerRunner a container
        ^                                             |                       | built-in server, or command
        └────────── status patches ───────────────────┘ <──── readiness ──────┘

Everything waits for an event: a Pod changes, a process ends, a probe is due. Without API server, what runs goes on.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from dataclasses import replace

import aiohttp

from netlab.agents.kubelet.attaching import AttachServer
from netlab.agents.kubelet.container import ContainerRunner
from netlab.agents.kubelet.pod import NodeContext, PodWorker
from netlab.api.agent_access import agent_access
from netlab.api.client import ApiClient
from netlab.api.encoding import Json
from netlab.api.journal import EventType
from netlab.errors import ApiError
from netlab.model.objects import Node, Pod
from netlab.model.paths import LabPaths
from netlab.model.timestamp import now
from netlab.model.topology import Cidr, Network, Topology

PATCHES_AT_ONCE = 16
RETRY_SECONDS = 0.1
log = logging.getLogger(__name__)


def run(paths: LabPaths, node: str, lab: str | None = None) -> None:
    """Be the kubelet of `node` until SIGTERM, in the node's network namespace, which the process is in already.

    The process must have one thread. `lab` is the lab's name in names of namespaces.
    """
    asyncio.run(_serve(paths, node, lab or paths.lab, open_files=_raise_open_files()))


def _raise_open_files() -> int:
    """Allow as many open files as the machine does, a Pod needing a few; the soft limit before, for commands."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


async def _serve(paths: LabPaths, node: str, lab: str, *, open_files: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with ApiClient(agent_access(paths, f"kubelet-{node}")) as client:
        context = NodeContext(
            client=client,
            paths=paths,
            lab=lab,
            node=node,
            open_files=open_files,
            patches=asyncio.Semaphore(PATCHES_AT_ONCE),
        )
        kubelet = Kubelet(context)
        attaching = AttachServer(paths.kubelet_socket(node), kubelet.runner)
        working, stopping = loop.create_task(kubelet.work()), loop.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (working, stopping):
            task.cancel()
        attaching.close()
        await kubelet.close()
        if working.done() and not working.cancelled():
            working.result()  # it never ends by itself: raises what ended it


class Kubelet:
    """The Pods of one node by uid."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._workers: dict[str, PodWorker] = {}

    async def work(self) -> None:
        """Follow the API server for ever."""
        context = replace(self._context, service_cidrs=await self._service_cidrs())
        await self._report_ready()
        selector = f"spec.nodeName={context.node}"
        async for event in context.client.reflect(Pod, field_selector=selector):
            if event.object is not None and event.type is EventType.DELETED:
                self._delete(event.object)
            elif event.object is not None:
                self._update(event.object, context)

    def runner(self, uid: str, container: str) -> ContainerRunner | None:
        """What keeps a container of a Pod running."""
        worker = self._workers.get(uid)
        return worker.runner(container) if worker else None

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    def _update(self, pod: Pod, context: NodeContext) -> None:
        uid = pod.metadata.uid or ""
        if worker := self._workers.get(uid):
            worker.update(pod)
            return
        before = [worker.task for worker in self._workers.values() if worker.key == pod.key]
        self._workers[uid] = worker = PodWorker(pod, context, after=tuple(before))
        worker.task.add_done_callback(lambda task: self._forget(uid, task))

    def _delete(self, pod: Pod) -> None:
        if worker := self._workers.get(pod.metadata.uid or ""):
            worker.vanish()

    def _forget(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._workers[uid]
        if not task.cancelled() and (error := task.exception()):
            log.error("%s: given up", task.get_name(), exc_info=error)

    async def _report_ready(self) -> None:
        """Say once that the node has its kubelet, as the condition that `kubectl get nodes` shows."""
        time = now()
        told = {"reason": "KubeletReady", "message": "kubelet is posting ready status"}
        ready = {"type": "Ready", "status": "True", **told, "lastHeartbeatTime": time, "lastTransitionTime": time}
        try:
            patch: dict[str, Json] = {"status": {"conditions": [{**ready}]}}
            await self._context.client.patch(Node, self._context.node, patch, subresource="status")
        except (ApiError, aiohttp.ClientError, OSError) as error:
            log.warning("node %s is not reported ready: %s", self._context.node, error)

    async def _service_cidrs(self) -> tuple[Cidr, ...]:
        """The Service ranges, from the lab's topology; the default ones where the API server has none."""
        while True:
            try:
                topologies, _ = await self._context.client.list(Topology)
            except (ApiError, aiohttp.ClientError, OSError) as error:
                log.info("no topology yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            network = topologies[0].spec.network if topologies else Network()
            return network.service_cidrs
