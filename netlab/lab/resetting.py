"""Bringing a lab back to what was remembered of it: between two tests, or after a lesson has left it in ruins.

    faults out ─> objects back ─> Pods ready, proxies followed ─> kernel back ─ is it? ─> done
                                                                                  └ no ─> the lab is made anew

The way back costs what has changed: where nothing has, some requests to the API server and one look at the kernel.
What cannot be brought back (a namespace that was deleted, a rule of somebody's own) takes a new start, which is as fast
as `netlab up`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain

from netlab.api.sync_client import SyncClient
from netlab.errors import InvalidInput, NetlabError
from netlab.lab import baseline, breaking, control, questions, readiness, restoring
from netlab.lab.baseline import Baseline
from netlab.lab.down import end_processes
from netlab.lab.lock import commanding, is_running
from netlab.lab.messages import AgentKind, TaskName
from netlab.lab.up import Starter, bring_up, ensure_running
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import KubernetesObject, Node, Pod
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology


@dataclass(frozen=True, slots=True)
class Reset:
    """What it took, in words; `anew` is why the lab had to be made anew, empty where it did not."""

    done: tuple[str, ...] = ()
    anew: str = ""


def say_nothing(_: str) -> None:
    """Where nobody asks how far it is."""


def reset(
    paths: LabPaths, *, progress: Callable[[str], None] = say_nothing, starter: Starter = ensure_running
) -> Reset:
    """Bring the lab back to what `baseline.remember` noted; returns when its Pods serve and its proxies follow.

    `starter` starts its processes anew where that must be (see `netlab.lab.up.up`). NotFound: nothing was noted, or
    there is no such lab. LabBusy: another command is at work on it.
    """
    remembered = baseline.read(paths)
    with commanding(paths):
        if not is_running(paths):
            return _anew(paths, remembered, progress, starter=starter, why="its processes were gone")
        try:
            done = _objects_back(paths, remembered, progress)
            wrong = _kernel_back(paths, remembered)
        except (NetlabError, OSError) as error:
            wrong = str(error)
        if wrong:
            return _anew(paths, remembered, progress, starter=starter, why=wrong)
        return Reset(tuple(done))


def _anew(
    paths: LabPaths, remembered: Baseline, progress: Callable[[str], None], *, starter: Starter, why: str
) -> Reset:
    os.close(end_processes(paths))
    file = remembered.lab_file()
    bring_up(paths, file, progress, starter=starter)
    baseline.remember(paths, file)
    return Reset(anew=why)


def _objects_back(paths: LabPaths, remembered: Baseline, progress: Callable[[str], None]) -> list[str]:
    """Faults, agents and objects; waits where anything had to be done."""
    done = [f"{healed.record.fault} is out of {healed.record.victim}" for healed in breaking.take_out(paths)]
    with SyncClient(paths.api_socket) as client:
        live = baseline.listed(client)
        done += _start_agents(paths, live)
        done += restoring.restore(client, remembered.objects, live)
        control.end_strays(paths)
        if done:
            control.run_task(paths, TaskName.MACHINES)  # nobody waits for what will not come
            readiness.wait(paths, client, progress)
    return done


def _start_agents(paths: LabPaths, live: tuple[KubernetesObject, ...]) -> list[str]:
    running = {agent.name for agent in control.agents(paths) if agent.running and agent.wanted}
    nodes = [value.metadata.name for value in live if isinstance(value, Node)]
    stopped = [(kind, node) for node in nodes for kind in AgentKind if f"{kind}-{node}" not in running]
    for kind, node in stopped:
        control.set_agent(paths, kind, node, running=True)
    return [f"{kind} of {node} runs again" for kind, node in stopped]


def _kernel_back(paths: LabPaths, remembered: Baseline) -> str:
    """What is otherwise in the kernel, and cannot be put right from here; empty where nothing is."""
    with SyncClient(paths.api_socket) as client:
        topology = client.get(Topology, paths.lab)
        wanted = readiness.followed_versions(client)
        modes = ",".join(f"{entry.name}={topology.spec.proxy_mode(entry.name)}" for entry in topology.spec.nodes)
        text = control.run_task(paths, TaskName.TIDY, **wanted, modes=modes, within=readiness.PROXIES_WITHIN)
        found = json.loads(text)
        differs: Mapping[str, list[str]] = found["differs"]
        if not differs:
            return ""
        live = baseline.listed(client)
    pods = tuple(value for value in live if isinstance(value, Pod))
    explained = _touched(paths, remembered, pods)
    for namespace, parts in differs.items():
        if namespace not in explained and set(parts) - {"rules", "balancer"}:
            return f"{namespace}: {', '.join(parts)} changed"
    if explained and not (wrong := _wrong(paths, topology)):
        baseline.write(paths, remembered.with_pods(live, found["kernel"]))
        return ""
    return wrong if explained else f"{', '.join(differs)}: rules changed"


def _touched(paths: LabPaths, remembered: Baseline, pods: tuple[Pod, ...]) -> set[str]:
    """The namespaces that other Pods than those remembered have come into, or gone from."""
    before, now = remembered.pods, baseline.pods_of(pods)
    changed = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    nodes = {known[key][1] for known in (before, now) for key in changed if key in known}
    return {
        *(network_namespace(paths.lab, Place(PlaceKind.NODE, node)) for node in nodes if node),
        *(network_namespace(paths.lab, _place(key)) for key in changed),
    }


def _place(key: str) -> Place:
    namespace, _, name = key.partition("/")
    return Place(PlaceKind.POD, name, namespace)


def _wrong(paths: LabPaths, topology: Topology) -> str:
    """What is not as the objects want it, found out by a long look: other Pods than before bring other addresses.

    All is looked at at one time, each by a task of the lab process's.
    """
    with ThreadPoolExecutor() as at_once:
        drifted = at_once.submit(questions.drift, paths)
        compared = at_once.map(partial(_rules_wrong, paths), [entry.name for entry in topology.spec.nodes])
        return next(chain((each.text for each in drifted.result().drift), filter(None, compared)), "")


def _rules_wrong(paths: LabPaths, node: str) -> str:
    try:
        differences = questions.rule_differences(paths, node).differences
    except InvalidInput:  # only the process knows the rules of this mode
        return ""
    return next((f"{node}: the rules of {each.table}/{each.chain} are not kube-proxy's" for each in differences), "")
