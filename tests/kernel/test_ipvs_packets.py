"""The packet tables in mode ipvs: real packets through the virtual servers that kube-proxy made on a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_kernel import KernelNode
from proxy_stage import NODE, stage
from proxy_tables import Scene, Telling
from proxy_tables.in_ipvs import SCENES_IN_IPVS, TELLINGS_IN_IPVS
from proxy_tracer import Outcome

from netlab.kernel.namespaces import inside
from netlab.model.modes import ProxyMode

pytestmark = [pytest.mark.root, pytest.mark.ipvs]


@pytest.fixture(scope="module")
def outside_view() -> Iterator[KernelNode]:
    with stage() as places:
        yield KernelNode(places, ProxyMode.IPVS)


@pytest.fixture
def node1(outside_view: KernelNode) -> Iterator[KernelNode]:
    """The node, with the test in its namespace."""
    with inside(NODE):
        yield outside_view


def seen(node1: KernelNode, scene: Scene) -> dict[str, Outcome]:
    return {str(probe): node1.send(probe, among=max(len(probe.outcome.endpoints), 2)) for probe in scene.probes}


@pytest.mark.parametrize("scene", SCENES_IN_IPVS, ids=lambda scene: scene.sentence)
def test_packets_in_mode_ipvs(node1: KernelNode, scene: Scene) -> None:
    node1.show(scene)
    assert seen(node1, scene) == scene.expected


@pytest.mark.parametrize("telling", TELLINGS_IN_IPVS, ids=lambda telling: telling.sentence)
def test_packets_in_mode_ipvs_while_objects_change(node1: KernelNode, telling: Telling) -> None:
    for scene in telling.scenes:
        node1.show(scene)
        assert (scene.sentence, seen(node1, scene)) == (scene.sentence, scene.expected)
