"""The packet tables in the kernel: real packets through the rules that kube-proxy wrote on a node of namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from proxy_kernel import KernelNode
from proxy_memory import MEMORIES
from proxy_stage import NODE, stage
from proxy_tables import SCENES, TELLINGS, Scene, Telling
from proxy_tables.differences import NFTABLES, Sent
from proxy_tracer import Outcome

from netlab.kernel.namespaces import inside

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=list(MEMORIES))
def outside_view(request: pytest.FixtureRequest) -> Iterator[KernelNode]:
    with stage() as places, closing(KernelNode(places, request.param)) as node:
        yield node


@pytest.fixture
def node1(outside_view: KernelNode) -> Iterator[KernelNode]:
    """The node, with the test in its namespace."""
    with inside(NODE):
        yield outside_view


def seen(node1: KernelNode, scene: Scene) -> dict[str, Outcome]:
    return {str(probe): node1.send(probe, among=max(len(probe.outcome.endpoints), 2)) for probe in scene.probes}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.sentence)
def test_packets(node1: KernelNode, scene: Scene) -> None:
    node1.show(scene)
    assert seen(node1, scene) == node1.expected(scene)


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.sentence)
def test_packets_while_objects_change(node1: KernelNode, telling: Telling) -> None:
    for scene in telling.scenes:
        node1.show(scene)
        assert (scene.sentence, seen(node1, scene)) == (scene.sentence, node1.expected(scene))


def test_every_difference_between_the_modes_is_met() -> None:
    sent = [
        Sent(scene, probe)
        for scene in (*SCENES, *(scene for telling in TELLINGS for scene in telling.scenes))
        for probe in scene.probes
    ]
    assert [each.name for each in NFTABLES if not any(each.applies(one) for one in sent)] == []
