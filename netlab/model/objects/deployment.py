"""Deployment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netlab.model.objects.meta import KubernetesObject, ObjectMeta, Part
from netlab.model.objects.pod import PodSpec


class LabelSelector(Part):
    match_labels: dict[str, str] = Field(default_factory=dict)


class PodTemplate(Part):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class DeploymentSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()


class DeploymentStatus(Part):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    observed_generation: int | None = None


class Deployment(KubernetesObject):
    PLURAL = "deployments"
    API_VERSION = "apps/v1"
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()
