"""What the API server says when it refuses: Kubernetes Status objects, with Kubernetes' words.

Source: the `Status` kind of the Kubernetes API conventions, and messages as kubectl shows them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from netlab.api.registry import group, qualified_kind, resource
from netlab.errors import ApiError, NotFound
from netlab.model.objects import KubernetesObject


class Cause(BaseModel):
    """One wrong field."""

    model_config = ConfigDict(frozen=True)

    reason: str
    message: str
    field: str = ""


class StatusDetails(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    name: str | None = None
    group: str | None = None
    kind: str | None = None
    causes: tuple[Cause, ...] | None = None


class Status(BaseModel):
    """The body of a refusal, and of a watch's ERROR event."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    kind: Literal["Status"] = "Status"
    api_version: Literal["v1"] = Field("v1", alias="apiVersion")
    metadata: dict[str, str] = {}
    status: Literal["Success", "Failure"] = "Failure"
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 500

    def encode(self) -> bytes:
        """The JSON bytes."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class Refusal(ApiError):
    """A request refused by the API server; `body()` is what goes over the wire."""

    def __init__(self, status: int, reason: str, message: str, details: StatusDetails | None = None) -> None:
        super().__init__(status, reason, message)
        self.details = details

    def body(self) -> Status:
        """The Status object of this refusal."""
        return Status(message=str(self), reason=self.reason, details=self.details, code=self.status)


class ObjectNotFound(Refusal, NotFound):
    """There is no such object: both an ApiError and a NotFound."""


def refusal_of(status: Status) -> Refusal:
    """The exception for a Status that came over the wire."""
    kind = ObjectNotFound if status.code == HTTPStatus.NOT_FOUND else Refusal
    return kind(status.code, status.reason, status.message, status.details)


def _about(kind: type[KubernetesObject], name: str, causes: tuple[Cause, ...] | None = None) -> StatusDetails:
    return StatusDetails(name=name or None, group=group(kind) or None, kind=kind.PLURAL, causes=causes)


def not_found(kind: type[KubernetesObject], name: str) -> Refusal:
    return ObjectNotFound(404, "NotFound", f'{resource(kind)} "{name}" not found', _about(kind, name))


def no_such_resource() -> Refusal:
    """For a URL that serves nothing. Without details, though they are empty, `kubectl debug` panics."""
    return ObjectNotFound(404, "NotFound", "the server could not find the requested resource", StatusDetails())


def not_allowed() -> Refusal:
    """For a method that does not go with the URL."""
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def already_exists(kind: type[KubernetesObject], name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{resource(kind)} "{name}" already exists', _about(kind, name))


def conflict(kind: type[KubernetesObject], name: str, why: str = "") -> Refusal:
    """For a write that was based on an old version of the object."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource(kind)} "{name}": {why}'
    return Refusal(409, "Conflict", message, _about(kind, name))


def forbidden(kind: type[KubernetesObject], name: str, why: str) -> Refusal:
    return Refusal(403, "Forbidden", f'{resource(kind)} "{name}" is forbidden: {why}', _about(kind, name))


def invalid(kind: type[KubernetesObject], name: str, causes: tuple[Cause, ...]) -> Refusal:
    """For an object with wrong fields: all of them at once."""
    texts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    listing = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{qualified_kind(kind)} "{name}" is invalid: {listing}'
    about = StatusDetails(name=name or None, group=group(kind) or None, kind=kind.__name__, causes=causes)
    return Refusal(422, "Invalid", message, about)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def internal_error(message: str) -> Refusal:
    return Refusal(500, "InternalError", f"Internal error occurred: {message}")


def expired(wanted: int, oldest: int) -> Refusal:
    """For a watch that would start before the oldest event that is still known."""
    return Refusal(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def from_the_future(wanted: int, current: int) -> Refusal:
    """For a resourceVersion that has not been given out: the objects are of another life of the database."""
    cause = Cause(reason="ResourceVersionTooLarge", message="Too large resource version")
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return Refusal(504, "Timeout", message, StatusDetails(causes=(cause,)))
