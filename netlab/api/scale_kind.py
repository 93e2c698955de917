"""Scale: of a Deployment or ReplicaSet the number of replicas and nothing else. It is asked for, and never kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netlab.model.objects import KubernetesObject, Part


class ScaleSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 0


class ScaleStatus(Part):
    replicas: int = 0
    selector: str | None = None


class Scale(KubernetesObject):
    """How many replicas there are and are to be."""

    PLURAL = "scales"
    API_VERSION = "autoscaling/v1"
    api_version: Literal["autoscaling/v1"] = "autoscaling/v1"
    kind: Literal["Scale"] = "Scale"
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()
