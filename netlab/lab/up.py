"""Make a lab what its file says: start it if it is not up, then apply the file, then wait until packets can flow."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable

from netlab.api.encoding import as_json
from netlab.api.patching import last_applied
from netlab.api.sync_client import SyncClient
from netlab.dns.addon import with_cluster_dns
from netlab.errors import ApiError, InvalidInput, MissingCapability, NotFound, Problem
from netlab.kernel.modules import load_bridge_netfilter
from netlab.lab import control, folder, readiness, status
from netlab.lab.down import clear_away, remove_leftovers
from netlab.lab.lock import commanding, is_running, try_lock
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.start import start
from netlab.model.objects import KINDS, KubernetesObject, Namespace, Pod
from netlab.model.paths import LabPaths
from netlab.model.rules import Family
from netlab.model.status import LabStatus
from netlab.model.topology import LabFile, Topology

Starter = Callable[[LabPaths, Callable[[str], None]], None]
"""Has a lab's processes run, as `ensure_running` does."""
FROM_FILE = "netlab/from-file"
"""The annotation of objects that the topology file made: what has it and is no longer in the file is deleted."""


def up(file: LabFile, *, progress: Callable[[str], None], starter: Starter | None = None) -> LabStatus:
    """Start the lab of that file, or make the one that is up match it; returns when its Pods serve and proxies follow.

    LabBusy where another `up` or `down` is at work on it; MissingCapability where the machine cannot; InvalidInput
    where the file changes what cannot change while a lab is up, or the lab's folder is unfit; ApiError where the API
    server refuses an object: of a lab that was not up before, nothing is left then. `starter` starts the processes;
    without, this process forks them, which must be fit for that: no threads, no streams that somebody captures.
    """
    paths = LabPaths.of(file.topology.metadata.name)
    folder.make(paths)
    with commanding(paths):
        was_running = is_running(paths)
        try:
            bring_up(paths, file, progress, starter=starter or ensure_running)
        except (MissingCapability, InvalidInput, ApiError):
            if not was_running:
                clear_away(paths)
            raise
        return status.status(paths)


def bring_up(paths: LabPaths, file: LabFile, progress: Callable[[str], None], *, starter: Starter) -> None:
    """Have the lab run, as the file says, and wait until it is ready. The caller has the right to command it."""
    _require_programs(file.topology)
    starter(paths, progress)
    with SyncClient(paths.api_socket) as client:
        require_modes(paths, file.topology)
        before = _topology(client, paths.lab)
        apply_file(client, file, progress)
        _replace_proxies(paths, before, file.topology)
        readiness.wait(paths, client, progress)


def ensure_running(paths: LabPaths, progress: Callable[[str], None]) -> None:
    """Start the lab's processes unless they run; what a dead lab of that name left goes first."""
    lock = try_lock(paths.lock)
    if lock is None:
        return
    try:
        load_bridge_netfilter()
        progress("starting the lab process")
        remove_leftovers(paths)
        from netlab.lab.main import main  # noqa: PLC0415 - it brings all that a lab runs, which a lab that is up has

        start(paths, lock=lock, main=main)
    finally:
        os.close(lock)


def require_modes(paths: LabPaths, topology: Topology) -> None:
    """MissingCapability where this machine cannot do a proxy mode that a node shall have: never silently another."""
    families = sorted({Family(f"IPv{cidr.version}") for cidr in topology.spec.network.service_cidrs})
    modes = ",".join(sorted(topology.spec.proxy_modes))
    for mode, capability, remedy in json.loads(
        control.run_task(paths, TaskName.MODES, modes=modes, families=",".join(families))
    ):
        raise MissingCapability(f"proxy mode {mode}: {capability}", remedy)


def _require_programs(topology: Topology) -> None:
    """InvalidInput where a program that shall run in kube-proxy's place is not on this machine."""
    spec = topology.spec
    said = {"spec.proxy.command": spec.proxy.command}
    said |= {f"spec.nodes[{number}].proxyCommand": node.proxy_command or () for number, node in enumerate(spec.nodes)}
    missing = [(path, command[0]) for path, command in said.items() if command and not shutil.which(command[0])]
    if missing:
        lab, remedy = topology.metadata.name, "give its path, or put its folder into PATH"
        raise InvalidInput(
            [Problem(lab, 0, 0, path, f"there is no program {name!r} here", remedy) for path, name in missing]
        )


def _topology(client: SyncClient, lab: str) -> Topology | None:
    try:
        return client.get(Topology, lab)
    except NotFound:
        return None


def _replace_proxies(paths: LabPaths, before: Topology | None, now: Topology) -> None:
    """End the programs in kube-proxy's place that the lab wants no longer: they do not hear of it themselves."""
    for node in now.spec.nodes:
        command = before.spec.proxy_command(node.name) if before else ()
        if command and command != now.spec.proxy_command(node.name):
            for running in (False, True):
                control.set_agent(paths, AgentKind.KUBE_PROXY, node.name, running=running)


def apply_file(client: SyncClient, file: LabFile, progress: Callable[[str], None]) -> None:
    """Make the API's objects those of the file, and delete what an earlier file made and this one lacks."""
    _refuse_what_cannot_change(client, file.topology)
    client.apply(_spelled_out(file.topology))
    objects = tuple(_marked(value) for value in with_cluster_dns(file).objects)
    _delete_missing(client, objects)
    for number, value in enumerate(_namespaces_first(objects), start=1):
        progress(f"applying {value.kind} {value.metadata.name} ({number} of {len(objects)})")
        _apply(client, value)


def _refuse_what_cannot_change(client: SyncClient, wanted: Topology) -> None:
    live = _topology(client, wanted.metadata.name)
    if live is None:
        return
    lab = wanted.metadata.name
    problems = [
        Problem(lab, 0, 0, f"spec.{part}", f"cannot change while lab {lab} is up", "run netlab down first")
        for part in ("network",)
        if getattr(live.spec, part) != getattr(wanted.spec, part)
    ]
    if problems:
        raise InvalidInput(problems)


def _spelled_out(topology: Topology) -> Topology:
    """With the proxy modes that it leaves unsaid, which `set-mode` may have changed: what is unsaid would stay."""
    spec = topology.spec
    proxy = spec.proxy.model_copy(update={"mode": spec.proxy.mode})
    return topology.model_copy(update={"spec": spec.model_copy(update={"proxy": proxy, "nodes": spec.nodes})})


def _marked(value: KubernetesObject) -> KubernetesObject:
    annotations = {**value.metadata.annotations, FROM_FILE: "true"}
    namespace = value.metadata.namespace or ("default" if value.NAMESPACED else None)
    metadata = value.metadata.model_copy(update={"annotations": annotations, "namespace": namespace})
    return value.model_copy(update={"metadata": metadata})


def _namespaces_first(objects: tuple[KubernetesObject, ...]) -> list[KubernetesObject]:
    return sorted(objects, key=lambda value: not isinstance(value, Namespace))


def _delete_missing(client: SyncClient, wanted: tuple[KubernetesObject, ...]) -> None:
    keys = {(type(value), value.key) for value in wanted}
    for kind in KINDS:
        for value in client.list(kind)[0]:
            if FROM_FILE in value.metadata.annotations and (kind, value.key) not in keys:
                _delete(client, value)


def _delete(client: SyncClient, value: KubernetesObject) -> None:
    client.delete(type(value), value.metadata.name, namespace=value.metadata.namespace or "default")


def _apply(client: SyncClient, value: KubernetesObject) -> None:
    """Apply one object. A Pod's spec cannot be changed in Kubernetes: a Pod that differs is made anew."""
    if isinstance(value, Pod) and _was_other(client, value):
        _delete(client, value)
    client.apply(value)


def _was_other(client: SyncClient, wanted: Pod) -> bool:
    try:
        live = client.get(Pod, wanted.metadata.name, namespace=wanted.metadata.namespace or "default")
    except NotFound:
        return False
    return last_applied(as_json(live)).get("spec") != as_json(wanted).get("spec")
