"""The front end, as Pods and as people outside reach it."""

import pytest

from netlab import Lab

pytestmark = pytest.mark.netlab("shop.yaml", mode=["iptables", "nftables"])


def test_every_pod_of_the_front_answers(lab: Lab) -> None:
    probe = lab.pod("shell").probe("service/front:80", count=40)
    assert probe.reached
    assert set(probe.pods) == {pod.name for pod in lab.pods("app=front")}


def test_people_outside_reach_it_by_a_node_port_and_in_no_other_way(lab: Lab) -> None:
    client = lab.external("client")
    assert client.probe("node/node1:30080").reached
    assert not client.probe("service/front:80", timeout=0.3).reached


def test_it_is_found_by_its_name(lab: Lab) -> None:
    answer = lab.pod("shell").http("http://front/hostname")
    assert answer.status == 200
    assert answer.text.strip() in {pod.name for pod in lab.pods("app=front")}


def test_a_release_is_reached_as_soon_as_its_pods_are_ready(lab: Lab) -> None:
    lab.scale("front", 1)
    (last,) = lab.pods("app=front")
    assert lab.pod("shell").probe("service/front:80", count=10).pods == {last.name: 10}


def test_what_another_test_has_done_is_undone(lab: Lab) -> None:
    assert len(lab.pods("app=front")) == 3
