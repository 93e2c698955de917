"""A lab comes back to what was remembered of it, whatever was done to it meanwhile; mostly without being made anew."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from netlab_command import PREFIX, can_become_another_user

from netlab.api.sync_client import SyncClient
from netlab.errors import NotFound
from netlab.faults.catalogue import CATALOGUE
from netlab.faults.names import FaultName
from netlab.lab import baseline, breaking, control, questions
from netlab.lab.down import down
from netlab.lab.lock import holders
from netlab.lab.messages import AgentKind
from netlab.lab.modes import set_mode
from netlab.lab.nursery import Nursery
from netlab.lab.resetting import Reset, reset
from netlab.lab.up import up
from netlab.load import load_objects, parse_lab
from netlab.model.connections import TrackedFlow
from netlab.model.journey import PacketVerdict
from netlab.model.modes import ProxyMode
from netlab.model.names import Place
from netlab.model.objects import Deployment, Node, Pod, Service
from netlab.model.paths import LabPaths

pytestmark = pytest.mark.root
NAME = f"{PREFIX}-reset"
FILE = f"""
apiVersion: netlab/v1
kind: Topology
metadata: {{name: {NAME}}}
spec:
  externals: [{{name: client}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: shell}}
spec: {{nodeName: node1, containers: [{{name: main, image: shell}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: db, labels: {{app: db}}}}
spec: {{nodeName: node2, containers: [{{name: main, image: db, ports: [{{containerPort: 5432}}]}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: main, image: web, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""
OTHER_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The lab, and what tests do to it."""

    paths: LabPaths
    nursery: Nursery

    client: SyncClient

    def reset(self) -> Reset:
        return reset(self.paths, starter=self.nursery.ensure_running)

    def run(self, place: str, command: str) -> str:
        done = control.output(self.paths, Place.parse(place), ["sh", "-c", command])
        assert done.status == 0, done.text
        return done.text

    def reaches(self, to: str = "service/web:80") -> bool:
        found = questions.probe(self.paths, "pod/shell", to, count=4, timeout=0.3)
        return set(found.summary.verdicts) == {PacketVerdict.REACHED}

    def flows_of(self, place: str) -> list[TrackedFlow]:
        """What node1 remembers of its connections. Of those of the node's own agents it hears again and again."""
        flows = questions.conntrack(self.paths, "node1").flows
        return [flow for flow in flows if flow.original.source.name == place]


@contextmanager
def staged() -> Iterator[Stage]:
    """The lab, remembered as it came up. A test has its own: what makes it anew makes processes anew."""
    paths, file = LabPaths.of(NAME), parse_lab(FILE, file="reset.yaml")
    nursery = Nursery()
    try:
        up(file, progress=lambda _: None, starter=nursery.ensure_running)
        baseline.remember(paths, file)
        with SyncClient(paths.api_socket) as client:
            yield Stage(paths, nursery, client)
    finally:
        nursery.close()
        down(NAME)


def add_a_service(stage: Stage) -> None:
    stage.client.apply(load_objects(OTHER_SERVICE, "other.yaml")[0])
    assert stage.reaches("service/other:80")


def delete_the_service(stage: Stage) -> None:
    stage.client.delete(Service, "web")


def point_the_service_elsewhere(stage: Stage) -> None:
    stage.client.patch(Service, "web", {"spec": {"ports": [{"port": 81, "targetPort": 9}]}})


def delete_a_pod(stage: Stage) -> None:
    stage.client.delete(Pod, "db", grace_seconds=0)


def scale_down(stage: Stage) -> None:
    stage.client.patch(Deployment, "web", {"spec": {"replicas": 0}})
    stage.client.settle()


def roll_another_template_out(stage: Stage) -> None:
    labels = {"app": "web", "release": "2"}
    stage.client.patch(Deployment, "web", {"spec": {"template": {"metadata": {"labels": labels}}}})
    stage.client.settle()


def label_a_node(stage: Stage) -> None:
    stage.client.patch(Node, "node1", {"metadata": {"labels": {"disk": "slow"}}, "spec": {"unschedulable": True}})


def take_a_pod_out_of_its_deployment(stage: Stage) -> None:
    web = stage.client.list(Pod, label_selector="app=web")[0][0]
    stage.client.patch(Pod, web.metadata.name, {"metadata": {"labels": {"app": "other"}}})
    stage.client.settle()


def stop_a_proxy(stage: Stage) -> None:
    control.set_agent(stage.paths, AgentKind.KUBE_PROXY, "node1", running=False)


def put_a_fault_in(stage: Stage) -> None:
    breaking.break_(stage.paths, CATALOGUE[FaultName("ip-forward-off")], "node/node1")
    assert not stage.reaches("pod/db:5432")


def change_the_mode(stage: Stage) -> None:
    set_mode(stage.paths, ProxyMode.USERSPACE, node=None, progress=lambda _: None)


def flush_the_rules(stage: Stage) -> None:
    stage.run("node/node1", "iptables -t nat -F")


def cut_a_cable(stage: Stage) -> None:
    stage.run("pod/shell", "ip link set eth0 down")
    assert not stage.reaches()


def lose_a_route(stage: Stage) -> None:
    stage.run("node/node1", "ip route del 10.244.1.0/24")
    assert not stage.reaches("pod/db:5432")


REPAIRED = (
    add_a_service,
    delete_the_service,
    point_the_service_elsewhere,
    delete_a_pod,
    scale_down,
    roll_another_template_out,
    label_a_node,
    take_a_pod_out_of_its_deployment,
    stop_a_proxy,
    put_a_fault_in,
    change_the_mode,
    flush_the_rules,
    cut_a_cable,
    lose_a_route,
)


def drop_what_is_forwarded(stage: Stage) -> None:
    stage.run("node/node1", "iptables -I FORWARD -j DROP")
    assert not stage.reaches("pod/db:5432")


def route_by_source(stage: Stage) -> None:
    stage.run("node/node1", "ip rule add from 10.244.0.0/24 unreachable")


def unplug_a_node(stage: Stage) -> None:
    stage.run("node/node1", "ip link del eth0")


def delete_a_namespace(stage: Stage) -> None:
    subprocess.run(["ip", "netns", "del", f"{NAME}.node1"], check=True)


def kill_the_lab(stage: Stage) -> None:
    os.kill(min(holders(stage.paths.lock)), signal.SIGKILL)


RUINS = (drop_what_is_forwarded, route_by_source, unplug_a_node, delete_a_namespace, kill_the_lab)


def described(stage: Stage) -> set[tuple[str, str, str]]:
    return {
        (service.metadata.name, service.spec.cluster_ip or "", str(service.spec.ports[0].node_port))
        for service in stage.client.list(Service)[0]
    }


def test_what_was_done_is_undone_without_making_the_lab_anew() -> None:
    with staged() as stage:
        before = described(stage)
        for act in REPAIRED:
            act(stage)
            found = stage.reset()
            assert (found.anew, stage.reaches(), stage.reaches("pod/db:5432")) == ("", True, True), act
            assert described(stage) == before, act
            assert len(stage.client.list(Pod, label_selector="app=web")[0]) == 2, act
            assert stage.reset() == Reset(), act


def test_what_cannot_be_undone_is_made_anew() -> None:
    with staged() as stage:
        for act in RUINS:
            act(stage)
            assert stage.reset().anew, act
            assert (stage.reaches(), stage.reaches("pod/db:5432")) == (True, True), act
            assert stage.reset() == Reset(), act


def test_connections_are_forgotten_and_background_processes_end() -> None:
    with staged() as stage:
        stage.run("pod/shell", "sleep 1000 & (sleep 1001 & sleep 1002 &) & wait $!")
        assert stage.reaches()
        assert stage.run("node/node1", "ps -eo args | grep -c '^sleep 100[0-2]'").strip() == "3"
        assert stage.flows_of("pod/shell")
        assert stage.reset() == Reset()
        assert not stage.flows_of("pod/shell")
        assert stage.run("node/node1", "ps -eo args | grep -c '^sleep 100' || true").strip() == "0"


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_who_was_whose_client_is_forgotten(mode: str) -> None:
    if mode == "iptables" and not can_become_another_user():
        pytest.skip("needs the machine's root: xt_recent's lists of clients belong to it")
    with staged() as stage:
        set_mode(stage.paths, ProxyMode(mode), node=None, progress=lambda _: None)
        stage.client.patch(Service, "web", {"spec": {"sessionAffinity": "ClientIP"}})
        assert stage.reaches()
        baseline.remember(stage.paths, baseline.read(stage.paths).lab_file())
        pods = set()
        for _ in range(12):
            found = questions.probe(stage.paths, "pod/shell", "service/web:80", count=3).summary.pods
            assert len(found) == 1, "affinity keeps a client to its Pod"
            pods |= set(found)
            assert stage.reset() == Reset()
        assert len(pods) == 2, "after a reset the client is a new one"


def test_a_lab_of_which_nothing_was_remembered_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no state to go back to"):
        reset(LabPaths("none", tmp_path))
