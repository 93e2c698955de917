"""What a Deployment's status says: how many Pods of which kind, and in conditions how its rollout goes."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.api.controllers.alarms import seconds_since
from netlab.api.controllers.conditions import with_condition
from netlab.api.controllers.rollouts import limits_of
from netlab.model.objects import Condition, Deployment, DeploymentStatus, ReplicaSet

PROGRESSING = "Progressing"
UNDER_WAY, COMPLETE, LATE = "ReplicaSetUpdated", "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
NO_DEADLINE = 2**31 - 1
"""progressDeadlineSeconds of a Deployment that has none, as Kubernetes says it."""


def status_of(
    deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet], *, now: str
) -> DeploymentStatus:
    """The status that follows from the ReplicaSets' own; what others have written into it stays."""
    available = sum(each.status.available_replicas or 0 for each in sets)
    wanted = max(sum(each.spec.replicas for each in sets), deployment.spec.replicas if deployment.spec.paused else 0)
    counts = {
        "replicas": sum(each.status.replicas for each in sets),
        "ready_replicas": sum(each.status.ready_replicas or 0 for each in sets),
        "available_replicas": available,
        "unavailable_replicas": max(0, wanted - available) or None,
        "updated_replicas": new.status.replicas if new else 0,
        "observed_generation": deployment.metadata.generation,
    }
    status = deployment.status.model_copy(update=counts)
    for condition in (_available(deployment, available), _progressing(deployment, status, new, now=now)):
        status = status.model_copy(update={"conditions": with_condition(status.conditions, condition, now=now)})
    return status


def _available(deployment: Deployment, available: int) -> Condition:
    enough = available >= deployment.spec.replicas - limits_of(deployment.spec).unavailable
    return Condition(
        type="Available",
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )


def _progressing(deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, *, now: str) -> Condition:
    """How the rollout goes. Its lastUpdateTime is that of the last progress, from which the deadline counts."""
    before, moved = condition_of(deployment.status), _has_progressed(deployment.status, status)
    name = f'ReplicaSet "{new.metadata.name}"' if new else ""
    same = before if before and name in (before.message or "") else None
    if deployment.spec.paused:
        told = "Unknown", "DeploymentPaused", "Deployment is paused"
    elif new is None:
        told = "True", "NewReplicaSetCreated", "Created new replica set"
    elif is_complete(deployment, status) or (same and _was_complete(same, status)):
        told = "True", COMPLETE, f"{name} has successfully progressed."
    elif same and not moved and _is_late(deployment, same, now=now):
        told = "False", LATE, f"{name} has timed out progressing."
    else:
        told = "True", UNDER_WAY, f"{name} is progressing."
    kept = before and not moved and (before.status, before.reason, before.message) == told
    time = before.last_update_time if before and kept else now
    said = {"status": told[0], "reason": told[1], "message": told[2], "lastUpdateTime": time}
    return Condition.model_validate({"type": PROGRESSING, **said})


def _was_complete(before: Condition, status: DeploymentStatus) -> bool:
    """A Pod that fails afterwards, or one more, makes no rollout of it again."""
    return before.reason == COMPLETE and status.replicas == status.updated_replicas


def _has_progressed(before: DeploymentStatus, status: DeploymentStatus) -> bool:
    """Whether there are more Pods of the new template, fewer of the old ones, or more that serve."""
    return (
        status.updated_replicas > before.updated_replicas
        or status.replicas - status.updated_replicas < before.replicas - before.updated_replicas
        or status.ready_replicas > before.ready_replicas
        or status.available_replicas > before.available_replicas
    )


def condition_of(status: DeploymentStatus) -> Condition | None:
    """The condition Progressing."""
    return next((each for each in status.conditions if each.type == PROGRESSING), None)


def _is_late(deployment: Deployment, before: Condition, *, now: str) -> bool:
    deadline = deployment.spec.progress_deadline_seconds
    late = deadline is not None and seconds_since(before.last_update_time, now=now) >= deadline
    return before.reason == LATE or (before.reason == UNDER_WAY and late)


def seconds_to_deadline(deployment: Deployment, status: DeploymentStatus, *, now: str) -> int | None:
    """How long the rollout may still go on without progress; None where none goes on, or it may for ever."""
    condition, deadline = condition_of(status), deployment.spec.progress_deadline_seconds
    if condition is None or condition.reason != UNDER_WAY or deadline in (None, NO_DEADLINE):
        return None
    return deadline - seconds_since(condition.last_update_time, now=now)


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all Pods are of the present template, as many as are wanted, and available."""
    wanted = deployment.spec.replicas
    return status.updated_replicas == status.replicas == status.available_replicas == wanted
