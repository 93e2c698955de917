"""Inside the lab: what its namespaces hold that the objects do not say, and what they lack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netlab.agents.kube_proxy.modes import mode_of
from netlab.kernel import readback, sysctls
from netlab.kernel.both_kinds import rules_in_both_kinds
from netlab.kernel.namespaces import inside, names_of
from netlab.model.cluster import ClusterView
from netlab.model.drift import Drift, DriftKind, DriftReport
from netlab.model.names import PlaceKind
from netlab.model.rules import Family, Table
from netlab.model.state import NamespaceState, Sysctl
from netlab.plan.drift import drifts
from netlab.proxy.lab_config import lab_config
from netlab.proxy.save_text import rule_text
from netlab.trace import TracedLab

OF_ONE_INTERFACE = {"rp_filter": "0", "forwarding": "1"}
"""Settings that a router's interface takes from `default` when it is made, and that somebody may write afterwards."""


def drift(view: ClusterView) -> DriftReport:
    """All that is otherwise than planned. KernelError."""
    traced = TracedLab(view)
    places = {name: machine.at for name, machine in traced.machines.items()}
    routers = {state.name for state in (traced.state.fabric, *(node.namespace for node in traced.state.nodes))}
    seen = readback.read(view.lab)
    more = {state.name: _settings(state) for state in seen if state.name in routers}
    for node in traced.state.nodes:
        more[node.namespace.name] = (*more.get(node.namespace.name, ()), *_of_proxy(view, node.name))
    wanted = tuple(_with_wanted(state, more.get(state.name, ())) for state in traced.state.namespaces)
    seen = tuple(_with_seen(state, more.get(state.name, ())) for state in seen)
    nodes = [node.namespace.name for node in traced.state.nodes if node.namespace.name in names_of(view.lab)]
    found = (_with_rules(each, traced) for each in drifts(seen, wanted, places))
    return DriftReport(drift=(*found, *_in_both_kinds(nodes, places)))


def _with_rules(found: Drift, traced: TracedLab) -> Drift:
    """Rules are written again by iptables(8), which a plan cannot spell."""
    machine = next((each for each in traced.machines.values() if each.at == found.place), None)
    if found.kind is not DriftKind.RULES or machine is None:
        return found
    written = " && ".join(command for table in machine.state.tables for command in _commands(table))
    return found.model_copy(update={"remedy": f"netlab exec {found.place} -- sh -c '{written}'"})


def _commands(table: Table) -> Iterator[str]:
    program = f"{'iptables' if table.family is Family.IPV4 else 'ip6tables'} -t {table.name}"
    for chain in table.chains:
        yield f"{{ {program} -N {chain.name} 2>/dev/null || {program} -F {chain.name}; }}"
        yield from (f"{program} {rule_text(chain.name, rule, family=table.family)}" for rule in chain.rules)
    yield from (f"{program} {rule_text(hook.chain, hook.rule, family=table.family)}" for hook in table.hooks)


def _settings(seen: NamespaceState) -> tuple[Sysctl, ...]:
    """Those of every interface that is there."""
    links = [link.name for link in seen.links if link.name != "lo"]
    return tuple(
        Sysctl(f"net/ipv4/conf/{link}/{key}", value) for link in links for key, value in OF_ONE_INTERFACE.items()
    )


def _of_proxy(view: ClusterView, node: str) -> tuple[Sysctl, ...]:
    """Those that the node's kube-proxy has set."""
    spec = view.topology.spec
    families = tuple({Family(f"IPv{cidr.version}") for cidr in spec.network.service_cidrs})
    return mode_of(spec.proxy_mode(node)).sysctls(lab_config(spec, node), families)


def _with_wanted(wanted: NamespaceState, more: tuple[Sysctl, ...]) -> NamespaceState:
    return replace(wanted, sysctls=(*wanted.sysctls, *more))


def _with_seen(state: NamespaceState, more: tuple[Sysctl, ...]) -> NamespaceState:
    if not more:
        return state
    with inside(state.name):
        found = tuple(Sysctl(each.key, value) for each in more if (value := sysctls.read(each.key)) is not None)
    return replace(state, sysctls=(*state.sysctls, *found))


def _in_both_kinds(namespaces: list[str], places: dict[str, str]) -> Iterator[Drift]:
    for name in namespaces:
        with inside(name):
            found = rules_in_both_kinds()
        if found is not None:
            place = places[name]
            yield Drift(
                place=place,
                kind=DriftKind.BOTH_KINDS,
                subject=place.removeprefix(f"{PlaceKind.NODE}/"),
                text=f"{place}: {found.detail}; the kernel asks both, each program shows one of them",
                remedy=f"netlab exec {place} -- sh -c 'iptables-nft -t nat -F; iptables-nft -F'",
            )
