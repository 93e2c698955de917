"""What a lab runs: its programs by name, its answers to exec and tasks."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial

from netlab.agents import kube_proxy, kubelet
from netlab.api.http import server
from netlab.errors import NetlabError
from netlab.kernel.namespaces import open_namespace
from netlab.kernel.syscalls import CLONE_NEWNET, setns
from netlab.lab import entrances, fabric, messages
from netlab.lab.children import Program
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.pod_access import LabPods
from netlab.lab.process import LabProcess
from netlab.lab.start import Doors
from netlab.lab.tasks import TASKS, TASKS_WITH_FILES
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.paths import LabPaths
from netlab.workload.command import CommandSpec, spawn

SENDING = frozenset({TaskName.PROBE, TaskName.CHECK, TaskName.TRACE})
TRACER = "netlab.probe.tracing.tracer"
"""It imports everything that packets are made with."""


def main(paths: LabPaths, doors: Doors) -> None:
    """The lab process's life."""
    gc.freeze()  # what is imported by now stays in pages that all children share
    lab = LabProcess(
        doors.control,
        agents=partial(agent, paths),
        run_command=partial(run_command, paths),
        run_task=partial(run_task, paths),
        before_task=import_for,
    )
    api = partial(server.run, paths, doors.api, open_doors=partial(entrances.attend, paths), access=LabPods(paths))
    lab.children.want(Program("api", api, paths.log("api")))
    lab.children.want(Program("fabric", partial(fabric.run, paths), paths.log("fabric")))
    doors.serving()
    lab.serve()


def agent(paths: LabPaths, kind: AgentKind, node: str) -> Program:
    """A node's agent as a program: it enters the node's network namespace first."""
    entries: dict[AgentKind, Callable[[], None]] = {
        AgentKind.KUBELET: partial(kubelet.run, paths, node),
        AgentKind.KUBE_PROXY: partial(kube_proxy.run, paths, node),
    }
    where = network_namespace(paths.lab, Place(PlaceKind.NODE, node))

    def entry() -> None:
        setns(open_namespace(where), CLONE_NEWNET)
        entries[kind]()

    name = f"{kind}-{node}"
    return Program(name, entry, paths.log(name))


def run_command(paths: LabPaths, request: messages.Exec, files: tuple[int, ...]) -> tuple[int, int | None]:
    """Start a command for `netlab exec`: its pid, and the master end of its terminal."""
    master, slave = os.openpty() if request.terminal else (None, None)
    streams = (slave, slave, slave) if slave is not None else files
    try:
        pid = spawn(
            CommandSpec(
                argv=request.argv,
                namespace=request.where,
                hostname=hostname(paths, request.where),
                etc=paths.etc / request.where,
                env=request.env,
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                terminal=request.terminal,
            )
        )
    finally:
        if slave is not None:
            os.close(slave)
    return pid, master


def hostname(paths: LabPaths, where: str) -> str:
    """The host name of the machine that a network namespace stands for: the one in its /etc/hostname."""
    try:
        return (paths.etc / where / "hostname").read_text().strip()
    except FileNotFoundError:
        return where.removeprefix(f"{paths.lab}.")


def import_for(task: TaskName) -> None:
    """Import what the first packets are sent with, before the fork: all later ones have it from here (it takes 150 ms).

    A lab that nobody probes does without: Scapy takes 23 MB.
    """
    if task in SENDING and TRACER not in sys.modules:
        importlib.import_module(TRACER)
        gc.freeze()


def run_task(paths: LabPaths, request: messages.Task, files: tuple[int, ...]) -> str:
    """Run a task; its report as JSON, or its error as `{"error": ..., "exitCode": ...}`."""
    try:
        if request.name in TASKS_WITH_FILES:
            return TASKS_WITH_FILES[request.name](paths, request.arguments, files)
        return TASKS[request.name](paths, request.arguments)
    except NetlabError as error:
        return json.dumps({"error": str(error), "exitCode": error.exit_code})
