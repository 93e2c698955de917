"""One Pod on its node: from the moment its network is there until nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from netlab.agents.kubelet.container import ContainerRunner, Sandbox
from netlab.agents.kubelet.log import ContainerLog
from netlab.agents.kubelet.output import ContainerOutput
from netlab.agents.kubelet.status import ContainerReport, pod_status, remembered, restarting
from netlab.api.client import ApiClient
from netlab.errors import ApiError
from netlab.model.objects import NETWORK_READY, Container, Pod, PodStatus
from netlab.model.paths import LabPaths
from netlab.model.timestamp import now
from netlab.model.topology import Cidr
from netlab.workload.etc import pod_files, pod_hostname, pod_network_namespace, remove_files, write_files

GRACE_SECONDS = 30
"""terminationGracePeriodSeconds where the Pod says nothing."""
GONE_GRACE_SECONDS = 1.0
"""How long a command may take to end once its Pod's object is gone, as after a deletion without grace."""
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What all Pods of a node share."""

    client: ApiClient
    paths: LabPaths
    lab: str
    node: str
    open_files: int
    patches: asyncio.Semaphore
    """How many status patches may be under way at once."""
    service_cidrs: tuple[Cidr, ...] = ()


class PodWorker:
    """Runs a Pod's containers and writes its status. `task` is done when nothing of the Pod is left.

    `after` are the tasks of Pods of the same name that are still on their way out.
    """

    def __init__(self, pod: Pod, context: NodeContext, *, after: tuple[asyncio.Task[None], ...] = ()) -> None:
        self._pod = pod
        self._context = context
        self._after = after
        self._runners: tuple[ContainerRunner, ...] = ()
        self._reports: tuple[ContainerReport, ...] = ()
        self._wake = asyncio.Event()
        self._gone = asyncio.Event()
        self._retry = FIRST_RETRY_SECONDS
        self._wake.set()
        self.task = asyncio.get_running_loop().create_task(self._live(), name=pod.key)

    @property
    def key(self) -> str:
        return self._pod.key

    def update(self, pod: Pod) -> None:
        """The Pod as the API server has it now; an older state than the one known is ignored."""
        if _version(pod) > _version(self._pod):
            self._pod = pod
            self._wake.set()

    def vanish(self) -> None:
        """The API server has the Pod no more."""
        self._gone.set()
        self._wake.set()

    def runner(self, container: str) -> ContainerRunner | None:
        """What keeps that container running."""
        names = (each.name for each in self._pod.spec.containers)
        return next((runner for name, runner in zip(names, self._runners, strict=False) if name == container), None)

    async def close(self) -> None:
        """End everything now, since the kubelet ends."""
        self.task.cancel()
        for runner in self._runners:
            runner.kill()
        await asyncio.gather(self.task, *(runner.task for runner in self._runners), return_exceptions=True)

    async def _live(self) -> None:
        if self._after:
            await asyncio.wait(self._after)
        while not self._leaving:
            await self._wake.wait()
            self._wake.clear()
            if not self._leaving:
                await self._reconcile()
        await self._leave()

    @property
    def _leaving(self) -> bool:
        return self._gone.is_set() or self._pod.metadata.deletion_timestamp is not None

    async def _reconcile(self) -> None:
        if self._runners and self._network_lost:
            await self._stop_without_network()
        elif not self._runners and self._startable:
            self._start()
            # A built-in server is up after a turn or two of the loop: one patch then says all.
            await asyncio.gather(*(runner.begun.wait() for runner in self._runners))
        if self._runners:
            self._reports = tuple(runner.report for runner in self._runners)
        if self._reports:
            await self._write_status(self._reports)

    async def _stop_without_network(self) -> None:
        """The Pod's network is to be made anew: containers start again, as in a new sandbox, when it is there."""
        log.info("%s: its network is gone", self._pod.key)
        await self._stop(GONE_GRACE_SECONDS)
        self._reports = tuple(restarting(runner.report) for runner in self._runners)
        self._runners = ()

    @property
    def _startable(self) -> bool:
        return not self._pod.has_ended and (bool(self._pod.spec.host_network) or self._pod.condition(NETWORK_READY))

    @property
    def _network_lost(self) -> bool:
        return not self._pod.spec.host_network and any(
            condition.type == NETWORK_READY and condition.status == "False" for condition in self._pod.status.conditions
        )

    @property
    def _namespace(self) -> str:
        return pod_network_namespace(self._context.lab, self._pod, self._context.node)

    def _start(self) -> None:
        pod, context = self._pod, self._context
        namespace = self._namespace
        if not pod.spec.host_network:
            write_files(context.paths.etc, namespace, pod_files(pod, context.service_cidrs))
        sandbox = Sandbox(
            pod=pod,
            namespace=namespace,
            hostname=context.node if pod.spec.host_network else pod_hostname(pod),
            etc=context.paths.etc / namespace,
            open_files=context.open_files,
            api=context.client,
        )
        self._runners = tuple(self._runner(container, sandbox) for container in pod.spec.containers)
        log.info("%s: starting %s", pod.key, ", ".join(container.name for container in pod.spec.containers))

    def _runner(self, container: Container, sandbox: Sandbox) -> ContainerRunner:
        report = remembered(self._pod, container, now=now())
        output = ContainerOutput(ContainerLog(self._log_path(container.name)))
        if not self._pod.status.container_statuses:
            output.log.discard()  # of an earlier Pod of this name
        return ContainerRunner(container, sandbox, output, report=report, changed=self._wake.set)

    def _log_path(self, container: str) -> Path:
        metadata = self._pod.metadata
        return self._context.paths.container_log(metadata.namespace or "default", metadata.name, container)

    async def _write_status(self, reports: tuple[ContainerReport, ...]) -> None:
        """Patch the status if it is not what it should be. What the API server does not take now is tried again."""
        status = pod_status(self._pod, reports, now=now())
        if status == self._pod.status:
            return
        try:
            async with self._context.patches:
                await self._patch(status)
            self._retry = FIRST_RETRY_SECONDS
        except ApiError as error:
            if error.status not in (404, 409):  # changed or gone meanwhile: the watch brings the news
                self._try_again(error)
        except (aiohttp.ClientError, OSError) as error:
            self._try_again(error)

    async def _patch(self, status: PodStatus) -> None:
        metadata = self._pod.metadata
        fields = {"phase", "conditions", "container_statuses", "start_time"}
        patch = {
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "status": status.model_dump(by_alias=True, exclude_none=True, include=fields, mode="json"),
        }
        self.update(
            await self._context.client.patch(
                Pod, metadata.name, patch, namespace=metadata.namespace or "default", subresource="status"
            )
        )

    def _try_again(self, error: Exception) -> None:
        log.info("%s: its status is not written yet: %s", self._pod.key, error)
        asyncio.get_running_loop().call_later(self._retry, self._wake.set)
        self._retry = min(2 * self._retry, LAST_RETRY_SECONDS)

    async def _leave(self) -> None:
        asked = self._pod.metadata.deletion_grace_period_seconds
        own = self._pod.spec.termination_grace_period_seconds
        await self._stop(float(next((grace for grace in (asked, own) if grace is not None), GRACE_SECONDS)))
        if not self._pod.spec.host_network:
            remove_files(self._context.paths.etc, self._namespace)
        log.info("%s: ended", self._pod.key)
        while not self._gone.is_set() and not await self._confirm_deletion():
            await self._pause(LAST_RETRY_SECONDS)

    async def _confirm_deletion(self) -> bool:
        """Tell the API server that nothing of the Pod is left: now the object goes too."""
        metadata = self._pod.metadata
        try:
            namespace = metadata.namespace or "default"
            await self._context.client.delete(Pod, metadata.name, namespace=namespace, grace_seconds=0)
        except ApiError as error:
            return error.status == 404
        except (aiohttp.ClientError, OSError) as error:
            log.info("%s: its end is not reported yet: %s", self._pod.key, error)
            return False
        return True

    async def _stop(self, grace: float) -> None:
        """End all containers: after their preStop sleep, politely, and when `grace` seconds are over by force."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        delay = max((runner.delay_of_end for runner in self._runners), default=0.0)
        if delay:
            await self._pause(min(delay, grace))
        for runner in self._runners:
            runner.end()
        if tasks := tuple(runner.task for runner in self._runners):
            killing = loop.create_task(self._kill_at(deadline))
            await asyncio.wait(tasks)
            killing.cancel()

    async def _kill_at(self, deadline: float) -> None:
        """Kill what still runs at that time, or a little after the Pod's object has gone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._gone.wait()
                await asyncio.sleep(GONE_GRACE_SECONDS)
        for runner in self._runners:
            runner.kill()

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until the Pod's object has gone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()


def _version(pod: Pod) -> int:
    return int(pod.metadata.resource_version or 0)
