"""What a Deployment's status says: how many Pods of which kind, and in conditions how its rollout goes."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.api.controllers.conditions import with_condition
from netlab.api.controllers.rollouts import limits_of
from netlab.model.objects import Condition, Deployment, DeploymentStatus, ReplicaSet


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
    for condition in (_available(deployment, available), _progressing(deployment, status, new)):
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


def _progressing(deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None) -> Condition:
    if deployment.spec.paused:
        told = "Unknown", "DeploymentPaused", "Deployment is paused"
    elif new is None:
        told = "True", "NewReplicaSetCreated", "Created new replica set"
    elif is_complete(deployment, status):
        told = "True", "NewReplicaSetAvailable", f'ReplicaSet "{new.metadata.name}" has successfully progressed.'
    else:
        told = "True", "ReplicaSetUpdated", f'ReplicaSet "{new.metadata.name}" is progressing.'
    return Condition.model_validate({"type": "Progressing", "status": told[0], "reason": told[1], "message": told[2]})


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all Pods are of the present template, as many as are wanted, and available."""
    wanted = deployment.spec.replicas
    return status.updated_replicas == status.replicas == status.available_replicas == wanted
