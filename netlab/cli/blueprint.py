"""A file as the commands that its lab amounts to, computed without looking at the kernel or touching it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.api.simulate import Snapshot, simulate
from netlab.cli import blueprint_ipvs
from netlab.cli.mistakes import wrong
from netlab.dns.addon import with_cluster_dns
from netlab.model.modes import ProxyMode
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
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables.tables import spell
from netlab.proxy.ipvs import Spelling
from netlab.proxy.save_text import save_text

RESTORE = {Family.IPV4: "iptables-restore", Family.IPV6: "ip6tables-restore"}


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
    tracker = ChangeTracker(node_name=name)
    for each in (node, *snapshot.services, *snapshot.endpoint_slices):
        tracker.put(each)
    tracker.collect()
    spec = snapshot.topology.spec
    config = ProxyConfig(
        node_name=name,
        mode=spec.proxy_mode(name),
        cluster_cidrs=spec.network.pod_cidrs,
        ipvs_scheduler=spec.proxy.ipvs.scheduler,
    )
    namespace = network_namespace(lab, Place(PlaceKind.NODE, name))
    families = tuple(sorted({Family(f"IPv{cidr.version}") for cidr in spec.network.service_cidrs}))
    proxy = _Proxy(namespace, tracker, config, families, addresses)
    for line in proxy.in_ipvs() if config.mode is ProxyMode.IPVS else proxy.in_iptables():
        yield Entry(f"kube-proxy's rules on {name}", namespace, line)


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A node's kube-proxy that has seen everything, and the commands that it amounts to in each mode."""

    namespace: str
    tracker: ChangeTracker
    config: ProxyConfig
    families: tuple[Family, ...]
    addresses: tuple[IPAddress, ...]

    def in_iptables(self) -> Iterator[str]:
        routes = decide_all(self.tracker, self.config).values()
        for family in self.families:
            tables = spell(
                routes,
                config=self.config,
                node=self.tracker.node,
                family=family,
                endpoint_total=self.tracker.endpoint_total(family),
            )
            yield _restore(self.namespace, family, tables)

    def in_ipvs(self) -> Iterator[str]:
        yield from blueprint_ipvs.preparation(self.namespace)
        for family in self.families:
            spelling = Spelling(
                config=self.config, node=self.tracker.node, family=family, node_addresses=self.addresses
            )
            spelling.start(decide_all(self.tracker, self.config))
            yield from blueprint_ipvs.commands(self.namespace, spelling, restore=RESTORE[family])


def _restore(namespace: str, family: Family, tables: tuple[Table, ...]) -> str:
    return f"ip netns exec {namespace} {RESTORE[family]} --noflush <<'END'\n{save_text(tables)}END"
