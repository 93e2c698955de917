"""The subresource `scale` of a Deployment: its number of replicas and nothing else."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from netlab.api.encoding import Json, decode
from netlab.api.statuses import conflict
from netlab.model.objects import Deployment, KubernetesObject, ObjectMeta, Part


class ScaleSpec(Part):
    replicas: Annotated[int, Field(ge=0)] = 0


class ScaleStatus(Part):
    replicas: int = 0
    selector: str | None = None


class Scale(KubernetesObject):
    """How many replicas a Deployment has and is to have."""

    PLURAL = "scales"
    API_VERSION = "autoscaling/v1"
    api_version: Literal["autoscaling/v1"] = "autoscaling/v1"
    kind: Literal["Scale"] = "Scale"
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


def scale_of(deployment: Deployment) -> Scale:
    """The Deployment's scale."""
    metadata = deployment.metadata
    selector = ",".join(f"{key}={value}" for key, value in sorted(deployment.spec.selector.match_labels.items()))
    return Scale(
        metadata=ObjectMeta(
            name=metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            creation_timestamp=metadata.creation_timestamp,
        ),
        spec=ScaleSpec(replicas=deployment.spec.replicas),
        status=ScaleStatus(replicas=deployment.status.replicas, selector=selector),
    )


def read_scale(parsed: Json) -> Scale:
    """The Scale in a body. Raises Refusal."""
    return decode(Scale, json.dumps(parsed).encode())


def scaled(deployment: Deployment, wanted: Scale) -> Deployment:
    """The Deployment with the replicas wanted. Raises Refusal Conflict where `wanted` is of an old version."""
    version = wanted.metadata.resource_version
    if version and version != deployment.metadata.resource_version:
        raise conflict(Deployment, deployment.metadata.name)
    spec = deployment.spec.model_copy(update={"replicas": wanted.spec.replicas})
    return deployment.model_copy(update={"spec": spec})
