"""What becomes of a packet on node1: the packet tables, traced through the rules that netlab spells.

tests/kernel/test_proxy_packets.py sends the same packets through a kernel.
"""

from __future__ import annotations

import pytest
from proxy_objects import (
    MACHINE_ADDRESSES,
    endpoint_slice,
    node,
    service,
    tables,
)
from proxy_tables import SCENES, Probe, Scene
from proxy_tables.case import BALANCED, BOTH, FAR, HERE, INGRESS, THERE
from proxy_tracer import Node, Outcome

from netlab.model.rules import Family, Protocol
from netlab.proxy.iptables.names import endpoint_chain


def node1(scene: Scene, family: Family) -> Node:
    addresses = (*MACHINE_ADDRESSES, *scene.addresses)
    rules = tables(*scene.objects, config=scene.config, family=family, addresses=addresses)
    return Node(rules, addresses, scene.forward_policy, scene.config.localhost_nodeports(Family.IPV4))


def traced(here: Node, probe: Probe) -> Outcome:
    protocol = Protocol.UDP if probe.to.endswith("/udp") else Protocol.TCP
    last = (
        ((endpoint_chain("default/web", protocol, probe.last.endpoint), probe.last.seconds_ago),) if probe.last else ()
    )
    return here.send(probe.source, probe.to, seconds_since=last)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.sentence)
def test_packets(scene: Scene) -> None:
    here = {family: node1(scene, family) for family in {probe.family for probe in scene.probes}}
    seen = {str(probe): traced(here[probe.family], probe) for probe in scene.probes}
    assert seen == {str(probe): probe.outcome for probe in scene.probes}


def test_every_sentence_is_said_once() -> None:
    sentences = [scene.sentence for scene in SCENES]
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
