"""A file as the commands that its lab amounts to, computed without looking at the kernel or touching it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.api.simulate import Snapshot, simulate
from netlab.cli import blueprint_ipvs
from netlab.cli.mistakes import wrong
from netlab.dns.addon import with_cluster_dns
from netlab.model.modes import BY_PROCESS, ProxyMode
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Node
from netlab.model.rules import Family, IPAddress, Table
from netlab.model.state import LabState
from netlab.model.topology import LabFile
from netlab.plan.commands import command
from netlab.plan.compose import lab_state
from netlab.plan.diff import diff
from netlab.plan.steps import AddLink, AddNamespace, SetSysctl, SetTable, Step
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.lab_config import lab_config
from netlab.proxy.node_text import NFT, RESTORE, node_text
from netlab.proxy.save_text import save_text

BESIDE_WHAT_IS_THERE = {tool: f"{tool} --noflush" for tool in RESTORE.values()}
"""The command as a learner pastes it: other people's rules stay."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What `up` would do: commands in their order, each of one network namespace and of one chapter."""

    lab: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One command, for a shell of the superuser."""

    chapter: str
    namespace: str
    command: str


def draw(file: LabFile, *, node: str | None) -> Blueprint:
    """The commands for the whole lab, or those in the namespaces of one node and its Pods. InvalidInput."""
    snapshot = simulate(with_cluster_dns(file))
    lab = snapshot.topology.metadata.name
    state = lab_state(snapshot.topology, snapshot.nodes, snapshot.pods, lab)
    concerned = _namespaces(state, node)
    steps = [_entry(step) for step in diff((), state.namespaces)]
    addresses = {each.name: tuple(a.interface.ip for a in each.namespace.addresses) for each in state.nodes}
    rules = [
        entry
        for each in snapshot.nodes
        for entry in _proxy_rules(snapshot, each, lab=lab, addresses=addresses[each.metadata.name])
    ]
    return Blueprint(lab, tuple(entry for entry in (*steps, *rules) if entry.namespace in concerned))


def script(blueprint: Blueprint) -> str:
    """The commands as one text, with a heading where a new chapter begins."""
    lines = [f"# What `netlab up` does for lab {blueprint.lab}: read it, or paste it as root on a machine of its own."]
    chapter = ""
    for entry in blueprint.entries:
        if entry.chapter != chapter:
            chapter = entry.chapter
            lines += ["", f"# {chapter}"]
        lines.append(entry.command)
    return "\n".join([*lines, ""])


def _namespaces(state: LabState, node: str | None) -> frozenset[str]:
    if node is None:
        return frozenset(each.name for each in state.namespaces)
    for each in state.nodes:
        if each.name == node.removeprefix("node/"):
            return frozenset({each.namespace.name, *(pod.name for pod in each.pods)})
    raise wrong(f"the file has no node {node!r}", f"it has {', '.join(each.name for each in state.nodes)}")


def _entry(step: Step) -> Entry:
    match step:
        case SetTable(namespace, table):
            return Entry(f"inside {namespace}", namespace, _restore(namespace, table.family, (table,)))
        case AddNamespace() | SetSysctl():
            return Entry("namespaces and their settings", step.namespace, command(step))
        case AddLink():
            return Entry("bridges, cables and tunnels", step.namespace, command(step))
    return Entry(f"inside {step.namespace}", step.namespace, command(step))


def _proxy_rules(snapshot: Snapshot, node: Node, *, lab: str, addresses: tuple[IPAddress, ...]) -> Iterator[Entry]:
    """What kube-proxy writes on that node once it has seen every Service and EndpointSlice."""
    name = node.metadata.name
    namespace = network_namespace(lab, Place(PlaceKind.NODE, name))
    tracker = ChangeTracker(node_name=name)
    for each in (node, *snapshot.services, *snapshot.endpoint_slices):
        tracker.put(each)
    tracker.collect()
    spec = snapshot.topology.spec
    config = lab_config(spec, name)
    families = tuple(sorted({Family(f"IPv{cidr.version}") for cidr in spec.network.service_cidrs}))
    for line in _proxy_commands(tracker, config, families, namespace=namespace, addresses=addresses):
        yield Entry(f"kube-proxy's rules on {name}", namespace, line)


def _proxy_commands(
    known: ChangeTracker,
    config: ProxyConfig,
    families: tuple[Family, ...],
    *,
    namespace: str,
    addresses: tuple[IPAddress, ...],
) -> Iterator[str]:
    if config.mode in BY_PROCESS:
        # What the rules are is not known before the process runs.
        why = "they name the ports that this node's kube-proxy listens on, and it chooses them as it starts"
        yield f"# mode {config.mode}: {why}"
        return
    ipvs = config.mode is ProxyMode.IPVS
    yield from blueprint_ipvs.preparation(namespace, config) if ipvs else ()
    for family in families:
        for tool, text in node_text(known, config, family=family, local_addresses=addresses):
            yield _load(namespace, tool, text)
        if ipvs:
            yield from blueprint_ipvs.binding(namespace, known, config, family=family, addresses=addresses)


def _restore(namespace: str, family: Family, tables: tuple[Table, ...]) -> str:
    return _load(namespace, RESTORE[family], save_text(tables))


def _load(namespace: str, tool: str, text: str) -> str:
    command = {NFT: f"{NFT} -"}.get(tool) or BESIDE_WHAT_IS_THERE.get(tool, tool)
    return f"ip netns exec {namespace} {command} <<'END'\n{text}END"
