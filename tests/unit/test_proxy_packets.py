"""What becomes of a packet on node1: the packet tables, traced through the rules that netlab spells.

tests/kernel/test_proxy_packets.py sends the same packets through a kernel.
"""

from __future__ import annotations

import pytest
from proxy_objects import (
    CONFIG,
    MACHINE_ADDRESSES,
    endpoint_slice,
    node,
    service,
    tables,
)
from proxy_tables import SCENES, TELLINGS, Probe, Scene, Telling
from proxy_tables.case import BALANCED, BOTH, FAR, HERE, INGRESS, THERE
from proxy_tracer import Node, Outcome, read_packet

from netlab.model.objects import KubernetesObject
from netlab.model.rules import Family, Protocol, Table
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables import Spelling
from netlab.proxy.iptables.names import endpoint_chain
from netlab.proxy.ports import PortKey


class Follower:
    """node1's kube-proxy, which takes in scene after scene and spells only what changed."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._tracker = ChangeTracker(node_name="node1")
        self._objects: dict[tuple[str, str], KubernetesObject] = {}
        self._spellings: dict[Family, Spelling] = {}

    def show(self, scene: Scene) -> None:
        objects = {(each.kind, each.key): each for each in scene.objects}
        for key in self._objects.keys() - objects:
            self._tracker.remove(self._objects[key])
        for found in objects.values():
            self._tracker.put(found)
        self._objects = objects
        changes = self._tracker.collect()
        for family in Family:
            if changes.node_changed or family not in self._spellings:
                self._start(family)
            else:
                self._follow(family, changes.ports)

    def tables(self, family: Family) -> tuple[Table, ...]:
        return self._spellings[family].tables()

    def _start(self, family: Family) -> None:
        spelling = Spelling(config=self._config, node=self._tracker.node, family=family)
        total = self._tracker.endpoint_total(family)
        spelling.start(decide_all(self._tracker, self._config), endpoint_total=total)
        self._spellings[family] = spelling

    def _follow(self, family: Family, ports: tuple[PortKey, ...]) -> None:
        routes = decide_all(self._tracker, self._config)
        changed = {key: routes.get(key) for key in ports}
        self._spellings[family].update(changed, endpoint_total=self._tracker.endpoint_total(family))


def node_of(scene: Scene, tables: tuple[Table, ...]) -> Node:
    addresses = (*MACHINE_ADDRESSES, *scene.addresses)
    return Node(tables, addresses, scene.policies, scene.config.localhost_nodeports(Family.IPV4))


def node1(scene: Scene, family: Family) -> Node:
    addresses = (*MACHINE_ADDRESSES, *scene.addresses)
    return node_of(scene, tables(*scene.objects, config=scene.config, family=family, addresses=addresses))


def traced(here: Node, probe: Probe) -> Outcome:
    if probe.last is None:
        return here.send(probe.source, probe.to)
    protocol = read_packet(probe.source, probe.to).protocol
    chain = endpoint_chain("default/web", protocol, probe.last.endpoint)
    return here.send(probe.source, probe.to, seconds_since=((chain, probe.last.seconds_ago),))


def seen(here: dict[Family, Node], scene: Scene) -> dict[str, Outcome]:
    return {str(probe): traced(here[probe.family], probe) for probe in scene.probes}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.sentence)
def test_packets(scene: Scene) -> None:
    here = {family: node1(scene, family) for family in {probe.family for probe in scene.probes}}
    assert seen(here, scene) == scene.expected


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.sentence)
def test_packets_while_objects_change(telling: Telling) -> None:
    follower = Follower(CONFIG)
    for scene in telling.scenes:
        follower.show(scene)
        here = {family: node_of(scene, follower.tables(family)) for family in Family}
        assert (scene.sentence, seen(here, scene)) == (scene.sentence, scene.expected)


def test_every_sentence_is_said_once() -> None:
    sentences = [scene.sentence for scene in SCENES] + [telling.sentence for telling in TELLINGS]
    assert len(set(sentences)) == len(sentences)


def test_three_endpoints_are_chosen_with_equal_chance() -> None:
    rules = tables(node(), service(), endpoint_slice(HERE, THERE, FAR))
    (chain,) = (c for table in rules for c in table.chains if c.name.startswith("KUBE-SVC-"))
    picks = [rule for rule in chain.rules if rule.comment and "->" in rule.comment]
    left, chances = 1.0, []
    for rule in picks:
        chances.append(left * (rule.statistic or 1.0))
        left -= chances[-1]
    assert chances == pytest.approx([1 / 3] * 3, abs=1e-9)


@pytest.mark.parametrize("ranges", [["198.51.100.0/24", "0.0.0.0/0"], ["2001:db8::/32"], []])
def test_there_is_no_firewall_chain_for(ranges: list[str]) -> None:
    spec = {**BALANCED, "loadBalancerSourceRanges": ranges}
    rules = tables(node(), service(spec=spec, status=INGRESS), endpoint_slice(*BOTH))
    assert not [chain.name for table in rules for chain in table.chains if chain.name.startswith("KUBE-FW-")]


@pytest.mark.parametrize("endpoints", [pytest.param((THERE,), id="one elsewhere"), pytest.param((), id="none")])
def test_a_health_check_port_is_open_whatever_endpoints_there_are(endpoints: tuple[dict[str, object], ...]) -> None:
    spec = {**BALANCED, "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    rules = tables(node(), service(spec=spec, status=INGRESS), endpoint_slice(*endpoints))
    (chain,) = (c for c in rules[2].chains if c.name == "KUBE-NODEPORTS")
    assert [(rule.destination_port, rule.protocol) for rule in chain.rules] == [(31000, Protocol.TCP)]
