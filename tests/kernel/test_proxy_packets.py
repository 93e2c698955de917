"""The packet tables in the kernel: real packets through the rules that kube-proxy wrote on a node of namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_kernel import KernelNode
from proxy_stage import NODE, stage
from proxy_tables import SCENES, Scene

from netlab.kernel.namespaces import inside

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def outside_view() -> Iterator[KernelNode]:
    with stage() as places:
        yield KernelNode(places)


@pytest.fixture
def node1(outside_view: KernelNode) -> Iterator[KernelNode]:
    """The node, with the test in its namespace."""
    with inside(NODE):
        yield outside_view


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.sentence)
def test_packets(node1: KernelNode, scene: Scene) -> None:
    node1.show(scene)
    seen = {str(probe): node1.send(probe, among=max(len(probe.outcome.endpoints), 2)) for probe in scene.probes}
    assert seen == {str(probe): probe.outcome for probe in scene.probes}
