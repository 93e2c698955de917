"""What every object has, and what several kinds share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel


class Part(BaseModel):
    """A part of an object. Values are never changed in place: use `model_copy(update=...)`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="allow")


class OwnerReference(Part):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ManagedFields(Part):
    """Which fields somebody set; `fields_v1` is their tree, as FieldsV1 of the Kubernetes API spells it."""

    manager: str = ""
    operation: Literal["Apply", "Update"] = "Update"
    api_version: str = ""
    time: str | None = None
    fields_type: str = "FieldsV1"
    fields_v1: dict[str, JsonValue] = {}
    subresource: str | None = None


class ObjectMeta(Part):
    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    managed_fields: tuple[ManagedFields, ...] = ()


class KubernetesObject(Part):
    """What every object has. A kind is a subclass that says where the API serves it."""

    PLURAL: ClassVar[str]
    NAMESPACED: ClassVar[bool] = True
    API_VERSION: ClassVar[str] = "v1"

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone for what lives in no namespace."""
        return f"{self.metadata.namespace}/{self.metadata.name}" if self.NAMESPACED else self.metadata.name


class Condition(Part):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None
    last_update_time: str | None = None


class PodProtocol(StrEnum):
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


PortNumber = Annotated[int, Field(ge=1, le=65535)]
PortReference = Annotated[int, Field(ge=1, le=65535)] | str
"""A port by number, or by the name that a container gives it."""


class ObjectReference(Part):
    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    field_path: str | None = None
