"""Objects of clusters that are not netlab's: what cannot be read is named, and everything else is taken.

A real API server, or a file, holds fields that netlab does not know, leaves others out, and writes null where a list is
empty. One object that makes no sense must not hide the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from netlab.api.encoding import Json, field_path, without_nulls
from netlab.model.objects import KubernetesObject, ObjectMeta

K = TypeVar("K", bound=KubernetesObject)
NAME_LIMIT = 253
"""Characters of a name, as Kubernetes allows; what is longer is cut in messages."""


@dataclass(frozen=True, slots=True)
class Malformed(Generic[K]):
    """An object that cannot be read: the first field that is wrong (`path`), and why."""

    kind: type[K]
    metadata: ObjectMeta
    path: str
    message: str

    @property
    def key(self) -> str:
        """As KubernetesObject.key has it."""
        return f"{self.metadata.namespace}/{self.metadata.name}" if self.kind.NAMESPACED else self.metadata.name

    def tombstone(self) -> K:
        """An object that has nothing but the name, to tell that it is gone."""
        name = self.kind.__name__
        bare = self.kind.model_construct(api_version=self.kind.API_VERSION, kind=name, metadata=self.metadata)
        return cast("K", bare)

    def __str__(self) -> str:
        return f"{self.kind.__name__} {self.key}: {self.path or 'the object'}: {self.message}"


def read_object(kind: type[K], document: Json) -> K | Malformed[K]:
    """The object in JSON, or what is wrong with it."""
    try:
        return kind.model_validate(without_nulls(document))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False)[0]
        given = "" if detail["type"] == "missing" else f" (it is {repr(detail['input'])[:80]})"
        return Malformed(kind, _metadata(document), field_path(detail["loc"]), detail["msg"] + given)
    except RecursionError:
        return Malformed(kind, _metadata(document), "", "is nested too deeply")


def _metadata(document: Json) -> ObjectMeta:
    """As much of a name as there is."""
    found = document.get("metadata") if isinstance(document, Mapping) else None
    given = found if isinstance(found, dict) else {}
    texts = {name: text[:NAME_LIMIT] for name in ("name", "namespace") if isinstance(text := given.get(name), str)}
    version = cast("str", given.get("resourceVersion")) if isinstance(given.get("resourceVersion"), str) else None
    return ObjectMeta(name=texts.get("name", ""), namespace=texts.get("namespace"), resource_version=version)
