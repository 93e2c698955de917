"""What of a rollout is a matter of time: minReadySeconds and progressDeadlineSeconds, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.store import Store
from netlab.model.objects import Condition, Deployment, Pod, ReplicaSet
from netlab.model.topology import Topology


@dataclass
class Timed:
    """A cluster in which time passes when the test says so."""

    seconds: int = 1_800_000_000

    def __post_init__(self) -> None:
        self.store = Store(now=self.now)
        self.cluster = Cluster(self.store, Random(1))
        nodes = {"nodes": [{"name": "node1"}]}
        self.cluster.create(Topology.model_validate({"metadata": {"name": "lab"}, "spec": nodes}))

    def now(self) -> str:
        return f"{datetime.fromtimestamp(self.seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def deploy(self, **spec: Any) -> None:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        whole = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
        self.cluster.create(Deployment.model_validate({"metadata": {"name": "web"}, "spec": whole}))

    def patch(self, **spec: Any) -> None:
        self.cluster.patch(self.deployment, {"spec": spec})

    def change(self, image: str) -> None:
        self.patch(template={"spec": {"containers": [{"name": "a", "image": image}]}})

    def serve(self) -> None:
        """All Pods that are to stay become ready now; what is on its way out is gone."""
        for pod in self.store.list(Pod):
            if pod.metadata.deletion_timestamp:
                self.cluster.delete(Pod, pod.metadata.name)
            elif not pod.condition("Ready"):
                ready = Condition(type="Ready", status="True", last_transition_time=self.now())
                conditions = (*(each for each in pod.status.conditions if each.type != "Ready"), ready)
                status = pod.status.model_copy(update={"phase": "Running", "conditions": conditions})
                self.cluster.update(pod.model_copy(update={"status": status}), "status")

    def pass_by(self, seconds: int) -> None:
        """Let time pass; the controllers are woken when they want to be."""
        for _ in range(seconds):
            self.seconds += 1
            if (left := self.cluster.seconds_left()) is not None and left <= 0:
                self.cluster.settle()

    @property
    def deployment(self) -> Deployment:
        return self.store.get(Deployment, "web")

    @property
    def progress(self) -> tuple[str, str | None]:
        found = next(each for each in self.deployment.status.conditions if each.type == "Progressing")
        return found.status, found.reason


@pytest.fixture
def timed() -> Iterator[Timed]:
    timed = Timed()
    yield timed
    timed.store.close()


def test_a_pod_is_available_once_it_has_been_ready_for_as_long_as_is_asked_for(timed: Timed) -> None:
    timed.deploy(replicas=2, minReadySeconds=10)
    timed.serve()
    assert (timed.deployment.status.ready_replicas, timed.deployment.status.available_replicas) == (2, 0)
    timed.pass_by(9)
    assert timed.deployment.status.available_replicas == 0
    assert timed.progress == ("True", "ReplicaSetUpdated")
    timed.pass_by(1)
    assert timed.deployment.status.available_replicas == 2
    assert timed.progress == ("True", "NewReplicaSetAvailable")


def test_a_rollout_goes_from_pod_to_pod_no_faster_than_they_are_available(timed: Timed) -> None:
    timed.deploy(replicas=2, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    timed.serve()
    timed.patch(minReadySeconds=5)
    (only,) = timed.store.list(ReplicaSet)
    assert only.spec.min_ready_seconds == 5
    timed.change("b")
    steps = []
    while timed.progress[1] != "NewReplicaSetAvailable":
        timed.serve()
        timed.pass_by(5)
        steps.append((timed.deployment.status.updated_replicas, timed.deployment.status.replicas))
        assert len(steps) < 10
    assert steps[0] == (2, 3)
    assert timed.seconds >= 1_800_000_010


def test_a_rollout_that_makes_no_progress_in_its_time_is_told_and_goes_on_when_it_does(timed: Timed) -> None:
    timed.deploy(replicas=2, progressDeadlineSeconds=30)
    timed.pass_by(29)
    assert timed.progress == ("True", "ReplicaSetUpdated")
    timed.pass_by(1)
    assert timed.progress == ("False", "ProgressDeadlineExceeded")
    message = next(each.message for each in timed.deployment.status.conditions if each.type == "Progressing")
    assert message == f'ReplicaSet "{timed.store.list(ReplicaSet)[0].metadata.name}" has timed out progressing.'
    assert timed.cluster.seconds_left() is None
    timed.serve()
    assert timed.progress == ("True", "NewReplicaSetAvailable")


def test_each_step_forward_gives_a_rollout_its_whole_time_again(timed: Timed) -> None:
    timed.deploy(replicas=1, progressDeadlineSeconds=20, minReadySeconds=10)
    timed.pass_by(15)
    timed.serve()
    timed.pass_by(9)
    assert timed.progress == ("True", "ReplicaSetUpdated")
    timed.pass_by(1)
    assert timed.progress == ("True", "NewReplicaSetAvailable")


def test_another_template_is_another_rollout_with_a_time_of_its_own(timed: Timed) -> None:
    timed.deploy(replicas=1, progressDeadlineSeconds=10)
    timed.pass_by(10)
    assert timed.progress[0] == "False"
    timed.change("b")
    assert timed.progress == ("True", "ReplicaSetUpdated")
    timed.pass_by(10)
    assert timed.progress[0] == "False"


def test_a_pod_that_fails_after_the_rollout_makes_none_of_it_again(timed: Timed) -> None:
    timed.deploy(replicas=1, progressDeadlineSeconds=10)
    timed.serve()
    (pod,) = timed.store.list(Pod)
    status = pod.status.model_copy(update={"conditions": (Condition(type="Ready", status="False"),)})
    timed.cluster.update(pod.model_copy(update={"status": status}), "status")
    assert timed.deployment.status.available_replicas == 0
    timed.pass_by(60)
    assert timed.progress == ("True", "NewReplicaSetAvailable")


def test_a_rollout_may_go_on_for_ever_where_it_has_no_deadline(timed: Timed) -> None:
    timed.deploy(replicas=1, progressDeadlineSeconds=2**31 - 1)
    timed.pass_by(1)
    assert timed.cluster.seconds_left() is None
    assert timed.progress == ("True", "ReplicaSetUpdated")
