"""The packet tables in mode userspace: connections and datagrams through a node's kube-proxy that accepts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_stage import NODE
from proxy_tables import SCENES, TELLINGS, Scene, Telling
from proxy_tables.differences import Sent
from proxy_tables.differences_userspace import USERSPACE, met
from proxy_userspace import UserspaceNode, userspace_node

from netlab.kernel.namespaces import inside

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def outside_view() -> Iterator[UserspaceNode]:
    with userspace_node() as node:
        yield node


@pytest.fixture
def node1(outside_view: UserspaceNode) -> Iterator[UserspaceNode]:
    """The node, with the test in its namespace."""
    with inside(NODE):
        yield outside_view


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.sentence)
def test_packets_in_mode_userspace(node1: UserspaceNode, scene: Scene) -> None:
    assert node1.seen(scene) == node1.expected(scene)


@pytest.mark.parametrize("telling", TELLINGS, ids=lambda telling: telling.sentence)
def test_packets_in_mode_userspace_while_objects_change(node1: UserspaceNode, telling: Telling) -> None:
    for scene in telling.scenes:
        assert (scene.sentence, node1.seen(scene)) == (scene.sentence, node1.expected(scene))


def test_every_difference_of_mode_userspace_is_met() -> None:
    scenes = (*SCENES, *(scene for telling in TELLINGS for scene in telling.scenes))
    found = {name for scene in scenes for probe in scene.probes for name in met(Sent(scene, probe))}
    assert [each.name for each in USERSPACE if each.name not in found] == []
