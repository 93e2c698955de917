"""Deployment and ReplicaSet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netlab.model.objects.meta import Condition, KubernetesObject, ObjectMeta, Part
from netlab.model.objects.pod import PodSpec


class LabelRequirement(Part):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


class LabelSelector(Part):
    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()


class PodTemplate(Part):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class RollingUpdate(Part):
    """How far the number of Pods may be off while they are replaced: a number or a share, as in "25%"."""

    max_surge: int | str | None = None
    max_unavailable: int | str | None = None


class DeploymentStrategy(Part):
    type: Literal["RollingUpdate", "Recreate"] | None = None
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: Annotated[int, Field(ge=0)] | None = None
    revision_history_limit: Annotated[int, Field(ge=0)] | None = None
    progress_deadline_seconds: int | None = None
    paused: bool | None = None


class DeploymentStatus(Part):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int | None = None
    updated_replicas: int = 0
    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()


class Deployment(KubernetesObject):
    PLURAL = "deployments"
    API_VERSION = "apps/v1"
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    min_ready_seconds: Annotated[int, Field(ge=0)] | None = None


class ReplicaSetStatus(Part):
    replicas: int = 0
    fully_labeled_replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(KubernetesObject):
    PLURAL = "replicasets"
    API_VERSION = "apps/v1"
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["ReplicaSet"] = "ReplicaSet"
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()
