"""What a lab would be, without any process: the same admission and controllers over a store in memory.

Every Pod that has a place counts as ready. The same file gives the same result every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeVar
from uuid import UUID

from netlab.api.cluster import Cluster
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.errors import InvalidInput, Problem
from netlab.model.objects import (
    NETWORK_READY,
    Condition,
    ContainerStatus,
    Deployment,
    EndpointSlice,
    KubernetesObject,
    Namespace,
    Node,
    Pod,
    Service,
)
from netlab.model.topology import LabFile, Topology

K = TypeVar("K", bound=KubernetesObject)
SEED = 0
MOMENT = "1970-01-01T00:00:00Z"
READY = (NETWORK_READY, "Initialized", "ContainersReady", "Ready")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of a lab, those of each kind in the order of their keys."""

    topology: Topology
    namespaces: tuple[Namespace, ...]
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    endpoint_slices: tuple[EndpointSlice, ...]
    deployments: tuple[Deployment, ...]


def simulate(lab_file: LabFile) -> Snapshot:
    """The objects of a lab made from `lab_file`, once all is up. Raises InvalidInput: every object that is refused."""
    random = Random(SEED)
    store = Store(now=lambda: MOMENT, uid=lambda: str(UUID(int=random.getrandbits(128), version=4)))
    try:
        cluster = Cluster(store, random)
        _create_all(cluster, lab_file)
        _make_ready(cluster)
        return _snapshot(store)
    finally:
        store.close()


def _create_all(cluster: Cluster, lab_file: LabFile) -> None:
    problems = []
    for value in (lab_file.topology, *sorted(lab_file.objects, key=lambda value: not isinstance(value, Namespace))):
        try:
            cluster.create(value)
        except Refusal as refusal:
            problems.append(Problem("", 0, 0, "", str(refusal)))
    if problems:
        raise InvalidInput(problems)


def _make_ready(cluster: Cluster) -> None:
    """Readiness may bring new Pods, and they are to be ready too."""
    while waiting := [pod for pod in cluster.store.list(Pod) if pod.status.pod_ips and not pod.condition("Ready")]:
        for pod in waiting:
            cluster.store.update(_ready(pod))
        cluster.settle()


def _ready(pod: Pod) -> Pod:
    conditions = tuple(Condition(type=type_, status="True") for type_ in READY)
    containers = tuple(ContainerStatus(name=container.name, ready=True) for container in pod.spec.containers)
    changed = {
        "phase": "Running",
        "conditions": (*pod.status.conditions, *conditions),
        "container_statuses": containers,
    }
    return pod.model_copy(update={"status": pod.status.model_copy(update=changed)})


def _snapshot(store: Store) -> Snapshot:
    (topology,) = store.list(Topology)
    return Snapshot(
        topology=topology,
        namespaces=store.list(Namespace),
        nodes=store.list(Node),
        pods=store.list(Pod),
        services=store.list(Service),
        endpoint_slices=store.list(EndpointSlice),
        deployments=store.list(Deployment),
    )
