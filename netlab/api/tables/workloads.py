"""Pods, Deployments and ReplicaSets as rows."""

from __future__ import annotations

from netlab.api.scale_kind import Scale
from netlab.api.tables.column import AGE, NAME, NONE, Column, Layout, Row, containers, selector
from netlab.model.objects import ContainerStatus, Deployment, Pod, ReplicaSet
from netlab.model.timestamp import age

_WORKLOAD = (Column("Containers", wide=True), Column("Images", wide=True), Column("Selector", wide=True))


def _pod(value: Pod) -> Row:
    statuses = value.status.container_statuses
    ready = f"{sum(each.ready for each in statuses)}/{len(value.spec.containers)}"
    return (
        value.metadata.name,
        ready,
        pod_status(value),
        _restarts(statuses),
        age(value.metadata.creation_timestamp),
        value.status.pod_ip or NONE,
        value.spec.node_name or NONE,
        NONE,
        NONE,
    )


def _restarts(statuses: tuple[ContainerStatus, ...]) -> str:
    """How often, and when the last time was."""
    count = sum(each.restart_count for each in statuses)
    ended = [
        str(each.last_state["terminated"].get("finishedAt", "")) for each in statuses if "terminated" in each.last_state
    ]
    last = max(filter(None, ended), default="")
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def pod_status(value: Pod) -> str:
    """Terminating, else why a container waits or ended, else the phase."""
    if value.metadata.deletion_timestamp:
        return "Terminating"
    reasons = [reason for each in value.status.container_statuses if (reason := _reason(each))]
    return reasons[0] if reasons else value.status.phase or "Pending"


def _reason(status: ContainerStatus) -> str:
    held = status.state.get("waiting") or status.state.get("terminated") or {}
    return str(held.get("reason", ""))


def _deployment(value: Deployment) -> Row:
    spec, status = value.spec, value.status
    return (
        value.metadata.name,
        f"{status.ready_replicas}/{spec.replicas}",
        status.updated_replicas,
        status.available_replicas,
        age(value.metadata.creation_timestamp),
        *containers(spec.template.spec),
        selector(spec.selector),
    )


def _replica_set(value: ReplicaSet) -> Row:
    spec, status = value.spec, value.status
    return (
        value.metadata.name,
        spec.replicas,
        status.replicas,
        status.ready_replicas or 0,
        age(value.metadata.creation_timestamp),
        *containers(spec.template.spec),
        selector(spec.selector),
    )


def _scale(value: Scale) -> Row:
    name, created = value.metadata.name, value.metadata.creation_timestamp
    return name, value.spec.replicas, value.status.replicas, age(created)


PODS = Layout(
    (
        NAME,
        Column("Ready"),
        Column("Status"),
        Column("Restarts"),
        AGE,
        Column("IP", wide=True),
        Column("Node", wide=True),
        Column("Nominated Node", wide=True),
        Column("Readiness Gates", wide=True),
    ),
    _pod,
)
DEPLOYMENTS = Layout((NAME, Column("Ready"), Column("Up-to-date"), Column("Available"), AGE, *_WORKLOAD), _deployment)
REPLICA_SETS = Layout(
    (
        NAME,
        Column("Desired", type="integer"),
        Column("Current", type="integer"),
        Column("Ready", type="integer"),
        AGE,
        *_WORKLOAD,
    ),
    _replica_set,
)
SCALES = Layout((NAME, Column("Desired", type="integer"), Column("Available", type="integer"), AGE), _scale)
