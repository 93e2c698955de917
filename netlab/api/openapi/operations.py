"""The paths of the OpenAPI documents: what can be asked of each collection and object, with which parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.api.openapi.resources import RESOURCES, Resource

METHODS = {
    "get": "get",
    "list": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "delete",
}
"""HTTP method by verb."""
_LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
PARAMETERS = {
    "get": (),
    "list": _LIST,
    "create": _WRITE,
    "update": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _DELETE,
    "deletecollection": (*_LIST[1:7], *_DELETE),
}
"""Names of query parameters by verb."""
BOOLEANS = frozenset(("allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"))
INTEGERS = frozenset(("gracePeriodSeconds", "limit", "timeoutSeconds"))
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb on one path. `kind` is the type that comes back and, for writes, that is sent."""

    path: str
    verb: str
    resource: Resource
    kind: str
    api_version: str

    @property
    def method(self) -> str:
        """The HTTP method, in lower case."""
        return METHODS[self.verb]

    @property
    def id(self) -> str:
        """The operationId: readCoreV1NamespacedService."""
        resource = self.resource
        group = (resource.group.split(".")[0] or "core").capitalize()
        namespaced = "Namespaced" if "{namespace}" in self.path else ""
        part = self.path.rpartition("{name}/")[2].capitalize() if "{name}/" in self.path else ""
        verb = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}.get(self.verb, self.verb)
        return f"{verb}{group}{resource.version.capitalize()}{namespaced}{resource.kind.__name__}{part}"


def operations() -> Iterator[Operation]:
    """Every operation, path by path."""
    for resource in RESOURCES:
        yield from _of(resource)


def _of(resource: Resource) -> Iterator[Operation]:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.api_version}"
    kind, plural = resource.kind, resource.kind.PLURAL
    collection = f"{root}/namespaces/{{namespace}}/{plural}" if kind.NAMESPACED else f"{root}/{plural}"

    def operation(path: str, verb: str, name: str = kind.__name__, api_version: str = "") -> Operation:
        return Operation(path, verb, resource, name, api_version or resource.api_version)

    if kind.NAMESPACED and "list" in resource.verbs:
        yield operation(f"{root}/{plural}", "list", f"{kind.__name__}List")
    for verb in resource.of("list", "create", "deletecollection"):
        yield operation(collection, verb, f"{kind.__name__}List" if verb == "list" else kind.__name__)
    for verb in resource.of("get", "update", "patch", "delete"):
        yield operation(f"{collection}/{{name}}", verb)
    for part in resource.subresources:
        if part.name in ("status", "scale"):
            for verb in part.verbs:
                yield operation(f"{collection}/{{name}}/{part.name}", verb, part.kind, part.api_version)
