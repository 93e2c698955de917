"""One container's life: started, probed, started again when it ends, ended with its Pod."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from netlab.agents.kubelet.attached import Attached, admit
from netlab.agents.kubelet.environment import arguments, environment, runs_command
from netlab.agents.kubelet.output import ContainerOutput
from netlab.agents.kubelet.probe import ProbeTarget, watch_readiness
from netlab.agents.kubelet.process import ContainerCommand, exit_status
from netlab.agents.kubelet.status import (
    HEALTHY_AFTER_SECONDS,
    ContainerReport,
    Running,
    Terminated,
    Waiting,
    end_reason,
    restart_delay,
    restarts,
)
from netlab.api.client import ApiClient
from netlab.dns.addon import IMAGE as DNS_IMAGE
from netlab.errors import NetlabError, NotFound
from netlab.model.objects import Container, Pod
from netlab.model.timestamp import now
from netlab.workload.command import CommandSpec
from netlab.workload.ports import Listen
from netlab.workload.server import PodServer

START_ERROR = 128
"""The exit code of a container that could not be started."""
GONE = 137
"""The exit status of a container whose kubelet ends with it."""
YOUNG_SECONDS = 15.0
"""Who attaches so soon after a container's start has come to see all that it prints (`kubectl run -i`)."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Where a Pod's containers run: its network namespace, host name and files of /etc."""

    pod: Pod
    namespace: str
    hostname: str
    etc: Path
    open_files: int
    """The soft limit of open files of a command."""
    api: ApiClient

    @property
    def address(self) -> str:
        """Where probes reach the Pod."""
        return self.pod.status.pod_ip or self.pod.status.host_ip or ""


class Workload(Protocol):
    """What runs in a container: a command, or the built-in server."""

    @property
    def pidfd(self) -> int | None:
        """The container's first process, if it has any."""

    async def ended(self) -> int:
        """Its exit status, once it has ended."""

    def end(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


class BuiltIn:
    """The built-in server as what runs in a container: it ends when asked, with 0."""

    pidfd: int | None = None

    def __init__(self, server: PodServer) -> None:
        self._server = server
        self._ended = asyncio.Event()

    async def ended(self) -> int:
        await self._ended.wait()
        return 0

    def end(self) -> None:
        self._server.close()
        self._ended.set()

    kill = end


class ContainerRunner:
    """Keeps one container running; `changed` is called after each change of `report`."""

    def __init__(
        self, container: Container, sandbox: Sandbox, output: ContainerOutput, *, report: ContainerReport,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.report = report
        self._container = container
        self._sandbox = sandbox
        self._output = output
        self._changed = changed
        self._ending = False
        self._workload: Workload | None = None
        self._since = -YOUNG_SECONDS
        """When it was last started, by the loop's clock."""
        self.begun = asyncio.Event()
        """The first start has been tried."""
        self.task = asyncio.get_running_loop().create_task(self._live(), name=f"{sandbox.pod.key} {container.name}")

    @property
    def delay_of_end(self) -> float:
        """Seconds that the container asks to go on after its Pod has been deleted (preStop sleep)."""
        lifecycle = self._container.lifecycle
        handler = lifecycle.pre_stop if lifecycle else None
        return float(handler.sleep.seconds) if handler and handler.sleep else 0.0

    def end(self) -> None:
        """Ask the container to end, and do not start it again. `task` is done when it has ended."""
        self._ending = True
        if self._workload:
            self._workload.end()
        else:
            self.task.cancel()

    def kill(self) -> None:
        """End it now."""
        self._ending = True
        if self._workload:
            self._workload.kill()
        else:
            self.task.cancel()

    def attach(self, connection: socket.socket, *, stdin: bool) -> Attached:
        """Show a client what is printed, and give it the container's input if it wants it and there is any.

        NotFound where nothing runs. One that comes a moment after the end is told of it as if it had been there.
        """
        ended = self.report.state
        if self._workload is None and not (isinstance(ended, Terminated) and self._young):
            raise NotFound(f"container {self._container.name} is not running")
        command = self._workload if isinstance(self._workload, ContainerCommand) else None
        attached = admit(connection, self._output, command, stdin=stdin, once=bool(self._container.stdin_once),
                         replay=self._young)  # fmt: skip
        if self._workload is None and isinstance(ended, Terminated):
            attached.client.finish(ended.exit_code)
        return attached

    @property
    def _young(self) -> bool:
        return asyncio.get_running_loop().time() - self._since < YOUNG_SECONDS

    async def _live(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        try:
            while not self.report.final:
                began = loop.time()
                end = await self._run_once()
                failures = 1 if loop.time() - began > HEALTHY_AFTER_SECONDS else failures + 1
                await self._after(end, failures)
        finally:
            self._output.log.close()
            self.begun.set()

    async def _after(self, end: Terminated, failures: int) -> None:
        """Report the end; wait before the next start, if there is one."""
        if self._ending or not restarts(self._sandbox.pod.spec.restart_policy, end.exit_code):
            return self._report(state=end, ready=False, final=True)
        delay = restart_delay(failures)
        log.info("%s: %s ended with %d, again in %.0f s", self._name, self._container.name, end.exit_code, delay)
        if delay:
            message = f"back-off {delay:.0f}s restarting failed container={self._container.name}"
            self._report(state=Waiting("CrashLoopBackOff", message), last=end, ready=False)
            await asyncio.sleep(delay)
        return self._report(state=Waiting(), last=end, ready=False, restarts=self.report.restarts + 1)

    async def _run_once(self) -> Terminated:
        started, self._since = now(), asyncio.get_running_loop().time()
        if self.report.restarts and not isinstance(self.report.state, Running):
            self._output.log.start_over()
        try:
            workload = await self._start()
        except (NetlabError, OSError, ValueError) as error:
            log.warning("%s: cannot start %s: %s", self._name, self._container.name, error)
            self._output.line(f"cannot start: {error}")
            return Terminated(START_ERROR, "StartError", started, now(), str(error))
        self._workload = workload
        self._report_running(started)
        probing = self._probe()
        code = GONE
        try:
            code = await workload.ended()
        finally:
            self._workload = None
            self._output.finish(code)
            workload.kill()
            if probing:
                probing.cancel()
        return Terminated(code, end_reason(code), started, now())

    def _report_running(self, started: str) -> None:
        """A built-in server that a kubelet started again took over has been running all the time."""
        state = self.report.state if isinstance(self.report.state, Running) else Running(started)
        kept = self.report.ready and isinstance(self.report.state, Running)
        self._report(state=state, ready=kept or self._container.readiness_probe is None)

    async def _start(self) -> Workload:
        if runs_command(self._container):
            stdin, terminal = bool(self._container.stdin), bool(self._container.tty)
            return ContainerCommand(self._spec(), self._output, stdin=stdin, terminal=terminal)
        ports = sorted({Listen(port.container_port, port.protocol) for port in self._container.ports})
        if self._container.image == DNS_IMAGE:
            return await self._start_dns(ports)
        probe = self._container.readiness_probe
        path = probe.http_get.path if probe and probe.http_get else "/readyz"
        server = PodServer(self._sandbox.pod.metadata.name, say=self._output.line, readiness_path=path)
        await server.open(self._sandbox.namespace, ports)
        return BuiltIn(server)

    async def _start_dns(self, ports: list[Listen]) -> Workload:
        from netlab.agents.dns.server import DnsServer  # noqa: PLC0415 - it brings dnslib, which one kubelet needs

        server = DnsServer(self._sandbox.api, say=self._output.line)
        await server.open(self._sandbox.namespace, ports)
        return server

    def _spec(self, command: tuple[str, ...] = ()) -> CommandSpec:
        """The container's command, or another one beside it."""
        sandbox, container = self._sandbox, self._container
        env = environment(container, sandbox.pod, hostname=sandbox.hostname)
        return CommandSpec(
            argv=command or arguments(container, env),
            namespace=sandbox.namespace,
            hostname=sandbox.hostname,
            etc=sandbox.etc,
            env=env,
            cwd=container.working_dir or "/",
            open_files=sandbox.open_files,
        )

    def _probe(self) -> asyncio.Task[None] | None:
        probe = self._container.readiness_probe
        if probe is None:
            return None
        target = ProbeTarget(self._container, self._sandbox.address, self._run_beside)
        watching = watch_readiness(probe, target, self._set_ready, ready=self.report.ready)
        return asyncio.get_running_loop().create_task(watching, name=f"{self._name} probe")

    async def _run_beside(self, command: tuple[str, ...]) -> int:
        container = self._workload.pidfd if self._workload else None
        return await exit_status(self._spec(command), container=container)

    def _set_ready(self, ready: bool, why: str) -> None:
        log.info("%s: %s is %s", self._name, self._container.name, "ready" if ready else f"not ready: {why}")
        self._report(ready=ready)

    def _report(self, **changes: object) -> None:
        self.report = replace(self.report, **changes)  # type: ignore[arg-type]
        self.begun.set()
        self._changed()

    @property
    def _name(self) -> str:
        return self._sandbox.pod.key
