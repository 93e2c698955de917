"""Mode userspace spelled: where each address of a Service port leads, and what a change of it changes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_deeds import STEPS, Deed
from proxy_objects import (
    CONFIG,
    LOCAL,
    MACHINE_ADDRESSES,
    NODE1,
    NODE1_6,
    REMOTE,
    endpoint,
    endpoint_slice,
    node,
    service,
    tracker,
)

from netlab.model.modes import ProxyMode
from netlab.model.objects import KubernetesObject
from netlab.model.rules import Chain, Family, Table, TablePatch
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import NodeFacts, ProxyConfig
from netlab.proxy.decide import Fate, Route, decide_all
from netlab.proxy.ports import PortKey
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text
from netlab.proxy.userspace import ServedPort, Spelling, complaints, is_served

LISTENER = 39381
PORTAL_HOOK = '-m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules"'
NODE_PORT_HOOK = (
    '-m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain" '
    "-m addrtype --dst-type LOCAL"
)
WEB_6: dict[str, object] = {"clusterIP": "fd00:10:96::10"}


def routes(*objects: KubernetesObject, config: ProxyConfig = CONFIG) -> tuple[ChangeTracker, list[Route]]:
    known = tracker(node(), *objects)
    return known, [*decide_all(known, config).values()]


def spelled(
    *objects: KubernetesObject,
    family: Family = Family.IPV4,
    config: ProxyConfig = CONFIG,
    facts: NodeFacts | None = None,
) -> list[str]:
    """The lines of rules of node1; its first Service port is listened for on LISTENER, the next on the port after."""
    known, found = routes(*objects, config=config)
    spelling = Spelling(
        config=config,
        node=known.node if facts is None else facts,
        family=family,
        local_addresses=tuple(map(ip_address, MACHINE_ADDRESSES)),
    )
    spelling.start(ServedPort(*each) for each in zip(found, count(LISTENER)))
    lines = [line for line in save_text(spelling.tables()).splitlines() if line.startswith("-A")]
    assert sum(spelling.rule_counts().values()) == len(lines)
    return lines


def lines_of(chain: str, lines: list[str]) -> list[str]:
    return [line.removeprefix(f"-A {chain} ") for line in lines if line.startswith(f"-A {chain} ")]


@pytest.mark.parametrize(
    ("family", "spec", "vip", "to_node"),
    [
        (Family.IPV4, {}, "10.96.0.10/32", f"{NODE1}:{LISTENER}"),
        (Family.IPV6, WEB_6, "fd00:10:96::10/128", f"[{NODE1_6}]:{LISTENER}"),
    ],
)
def test_a_cluster_ip_is_redirected_for_pods_and_translated_to_the_nodes_address_for_the_node(
    family: Family, spec: dict[str, object], vip: str, to_node: str
) -> None:
    lines = spelled(service(spec=spec), family=family)

    web = f'-d {vip} -p tcp -m comment --comment "default/web" -m tcp --dport 80'.replace(
        '"default/web"', '"default/web"'
    )
    assert lines_of("KUBE-PORTALS-CONTAINER", lines) == [f"{web} -j REDIRECT --to-ports {LISTENER}"]
    assert lines_of("KUBE-PORTALS-HOST", lines) == [f"{web} -j DNAT --to-destination {to_node}"]


@pytest.mark.parametrize(
    ("family", "spec", "to_node"),
    [(Family.IPV4, {}, f"{NODE1}:{LISTENER}"), (Family.IPV6, WEB_6, f"[{NODE1_6}]:{LISTENER}")],
)
def test_a_node_port_leads_to_the_same_socket_and_is_let_in(
    family: Family, spec: dict[str, object], to_node: str
) -> None:
    ports = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080, "protocol": "UDP"}]}
    lines = spelled(service(spec={**ports, **spec}), family=family)

    web = '-p udp -m comment --comment "default/web" -m udp --dport 30080'
    assert lines_of("KUBE-NODEPORT-CONTAINER", lines) == [f"{web} -j REDIRECT --to-ports {LISTENER}"]
    assert lines_of("KUBE-NODEPORT-HOST", lines) == [f"{web} -j DNAT --to-destination {to_node}"]
    assert lines_of("KUBE-NODEPORT-NON-LOCAL", lines) == [
        f'-p udp -m comment --comment "default/web" -m conntrack --ctstate NEW -m udp --dport {LISTENER} -j ACCEPT'
    ]


def test_cluster_ips_are_looked_for_before_node_ports_in_both_hooks() -> None:
    lines = spelled()

    for chain, side in (("PREROUTING", "CONTAINER"), ("OUTPUT", "HOST")):
        assert lines_of(chain, lines) == [
            f"{PORTAL_HOOK} -j KUBE-PORTALS-{side}",
            f"{NODE_PORT_HOOK} -j KUBE-NODEPORT-{side}",
        ]
    assert lines_of("INPUT", lines) == [
        '-m comment --comment "Ensure that non-local NodePort traffic can flow" '
        "-m conntrack --ctstate NEW -j KUBE-NODEPORT-NON-LOCAL"
    ]


def test_external_and_load_balancer_addresses_lead_to_the_socket_too() -> None:
    spec = {"type": "LoadBalancer", "externalIPs": ["198.51.100.7"]}
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    lines = spelled(service(spec=spec, status=status))

    for chain in ("KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST"):
        addresses = [line.split()[1] for line in lines_of(chain, lines)]
        assert addresses == ["10.96.0.10/32", "198.51.100.7/32", "203.0.113.9/32"]


def test_a_load_balancer_with_source_ranges_is_not_served_and_that_is_said() -> None:
    spec = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]}
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    guarded = service(spec=spec, status=status)
    (route,) = routes(guarded)[1]

    assert not [line for line in spelled(guarded) if "203.0.113.9" in line]
    assert [each.path for each in complaints(route)] == ["spec.loadBalancerSourceRanges"]


@pytest.mark.parametrize(("protocol", "served"), [("TCP", True), ("UDP", True), ("SCTP", False)])
def test_sctp_is_not_served_and_that_is_said(protocol: str, *, served: bool) -> None:
    (route,) = routes(service(spec={"ports": [{"port": 80, "protocol": protocol}]}))[1]

    assert is_served(route) is served
    assert [each.path for each in complaints(route)] == ([] if served else ["spec.ports"])


def test_a_service_without_endpoints_has_the_same_rules_as_one_with_them() -> None:
    with_endpoints = endpoint_slice(endpoint(LOCAL.split(":")[0]), endpoint(REMOTE.split(":")[0]))
    assert spelled(service()) == spelled(service(), with_endpoints)


def test_a_node_whose_address_is_not_known_redirects_its_own_packets() -> None:
    lines = spelled(service(), facts=NodeFacts("node1"))

    assert [line.split(" -j ")[1] for line in lines_of("KUBE-PORTALS-HOST", lines)] == [
        f"REDIRECT --to-ports {LISTENER}"
    ]


def test_where_interfaces_have_no_address_everything_leads_to_the_nodes() -> None:
    """REDIRECT drops what comes in by an interface without an address."""
    config = ProxyConfig(node_name="node1", userspace_on_node_address=True)
    lines = spelled(service(spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}), config=config)

    for chain in ("KUBE-PORTALS-CONTAINER", "KUBE-NODEPORT-CONTAINER"):
        (line,) = lines_of(chain, lines)
        assert line.endswith(f"-j DNAT --to-destination {NODE1}:{LISTENER}")


def test_node_ports_answer_only_where_they_shall() -> None:
    config = ProxyConfig(node_name="node1", nodeport_addresses=(ip_network("172.20.0.0/16"),))
    node_port = service(spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    lines = spelled(node_port, config=config)

    for chain in ("KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST"):
        assert [line.split()[1] for line in lines_of(chain, lines)] == ["172.20.0.9/32"]


def test_what_is_spelled_is_read_back_as_the_same_values() -> None:
    known, found = routes(service(spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}))
    spelling = Spelling(config=CONFIG, node=known.node, family=Family.IPV4)
    spelling.start([ServedPort(found[0], LISTENER)])

    again = read_save(save_text(spelling.tables()), family=Family.IPV4)
    assert [(t.name, set(t.chains), set(t.hooks)) for t in again] == [
        (t.name, set(t.chains), set(t.hooks)) for t in spelling.tables()
    ]


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), unique=True), min_size=1, max_size=5))
def test_patches_lead_where_whole_tables_are(steps: list[list[str]]) -> None:
    """In each step these Services are there, every one with a port of the proxy that is new in it."""
    known, found = routes(*(service(name, spec={"clusterIP": f"10.96.0.{ord(name)}"}) for name in "abc"))
    by_name = {route.key.service.name: route for route in found}
    spelling = Spelling(config=CONFIG, node=known.node, family=Family.IPV4)
    spelling.start([])
    tables = {table.name: table for table in spelling.tables()}
    listeners = count(LISTENER)
    for step in steps:
        changed = {
            route.key: ServedPort(route, next(listeners)) if name in step else None for name, route in by_name.items()
        }
        for patch in spelling.update(changed):
            tables[patch.name] = patched(tables[patch.name], patch)
        assert tables == {table.name: table for table in spelling.tables()}
        assert not spelling.update(changed)


@settings(max_examples=25)
@given(STEPS, st.sampled_from(Family))
def test_any_deeds_lead_to_what_a_fresh_start_makes(steps: list[list[Deed]], family: Family) -> None:
    known, config = tracker(node()), replace(CONFIG, mode=ProxyMode.USERSPACE)
    kept = Spelling(config=config, node=known.node, family=family)
    kept.start([])
    tables = {table.name: table for table in kept.tables()}
    served: dict[PortKey, ServedPort] = {}
    listeners = count(LISTENER)
    for deeds in steps:
        for deed in deeds:
            deed.do(known)
        changed = dict.fromkeys(known.collect().ports)
        now = {key: route for key, route in decide_all(known, config).items() if is_served(route)}
        ports = {key: served[key].listener if key in served else next(listeners) for key in now}
        served = {key: ServedPort(route, ports[key]) for key, route in now.items()}
        for patch in kept.update({key: served.get(key) for key in changed}):
            tables[patch.name] = patched(tables[patch.name], patch)
        assert tables == {table.name: table for table in kept.tables()}
        fresh = Spelling(config=config, node=known.node, family=family)
        fresh.start(served.values())
        assert in_any_order(kept.tables()) == in_any_order(fresh.tables())
        assert kept.rule_counts() == fresh.rule_counts()


def in_any_order(tables: tuple[Table, ...]) -> list[str]:
    """The lines of all tables: none depends on another that is before it."""
    return sorted(save_text(tables).splitlines())


def patched(table: Table, patch: TablePatch) -> Table:
    chains = {chain.name: list(chain.rules) for chain in table.chains}
    for edit in patch.edits:
        for rule in edit.removed:
            chains[edit.chain].remove(rule)
        chains[edit.chain][:0] = edit.added
    return Table(
        table.family, table.name, chains=tuple(Chain(n, tuple(r)) for n, r in chains.items()), hooks=table.hooks
    )


@pytest.mark.parametrize("policies", [("internalTrafficPolicy",), ("internalTrafficPolicy", "externalTrafficPolicy")])
def test_neither_policies_nor_hints_choose_among_endpoints(policies: tuple[str, ...]) -> None:
    spec: dict[str, object] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
    there = endpoint_slice(endpoint("10.244.1.5", zones=["zone-b"]), endpoint("10.244.2.6", zones=["zone-a"]))
    web = service(spec={**spec, **dict.fromkeys(policies, "Local")})
    _, (route,) = routes(web, there, config=replace(CONFIG, mode=ProxyMode.USERSPACE))
    assert [each.name for each in route.reachable] == [LOCAL, REMOTE]
    assert (route.internal, route.external) == (Fate.CLUSTER, Fate.CLUSTER)
