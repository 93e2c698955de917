"""The types of a lab's objects as Kubernetes publishes them.

They are in kubernetes-1.36.json, written by scripts/kubernetes-openapi. Their descriptions are Kubernetes' own; its API
is under the Apache License, version 2.0, as netlab is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from netlab.api.encoding import Json
from netlab.model.topology import Topology

Schema = Mapping[str, Json]
GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"
REFERENCE = "#/definitions/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
OBJECT_META = f"{META}.ObjectMeta"
_TOPOLOGY = "io.netlab.v1.Topology"


@cache
def definitions() -> dict[str, Schema]:
    """Every type by its full name, `io.k8s.api.core.v1.Service`, and netlab's own Topology."""
    text = Path(__file__).with_name("kubernetes-1.36.json").read_text(encoding="utf-8")
    found: dict[str, Schema] = json.loads(text)
    return {**found, **_topology()}


def _topology() -> dict[str, Schema]:
    """A Topology, whose spec docs/ tells: OpenAPI says no more than that it is an object."""
    api, kind = Topology.API_VERSION, Topology.__name__
    group, _, version = api.partition("/")
    metadata: Json = {"$ref": f"{REFERENCE}{OBJECT_META}"}
    text: Json = {"type": "string"}
    anything: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    fields: dict[str, Json] = {"apiVersion": text, "kind": text, "metadata": metadata}
    own: Schema = {
        "description": f"{kind} is what a lab is made of: its nodes, its network, its proxy.",
        "type": "object",
        "properties": {**fields, "spec": anything, "status": anything},
        GROUP_VERSION_KIND: [{"group": group, "version": version, "kind": kind}],
    }
    listed: Schema = {
        "description": f"{kind}List is a list of {kind}.",
        "type": "object",
        "properties": {
            "apiVersion": text,
            "kind": text,
            "metadata": {"$ref": f"{REFERENCE}{META}.ListMeta"},
            "items": {"type": "array", "items": {"$ref": f"{REFERENCE}{_TOPOLOGY}"}},
        },
        "required": ["items"],
        GROUP_VERSION_KIND: [{"group": group, "version": version, "kind": f"{kind}List"}],
    }
    return {_TOPOLOGY: own, f"{_TOPOLOGY}List": listed}


@cache
def names() -> dict[tuple[str, str], str]:
    """The full name of each type that is a kind, by apiVersion and kind."""
    found = {}
    for name, schema in definitions().items():
        marks = schema.get(GROUP_VERSION_KIND)
        for mark in marks if isinstance(marks, list) and len(marks) == 1 else ():
            if isinstance(mark, dict):
                group = f"{mark['group']}/" if mark["group"] else ""
                found[f"{group}{mark['version']}", str(mark["kind"])] = name
    return found


def name_of(api_version: str, kind: str) -> str:
    """The full name of a kind's type."""
    return names()[api_version, kind]


def referred(schema: Schema) -> str | None:
    """The full name of the type that a schema refers to."""
    reference = schema.get("$ref")
    return reference.removeprefix(REFERENCE) if isinstance(reference, str) else None


def references(schema: Json) -> Iterator[str]:
    """The full names of all types in a schema."""
    if isinstance(schema, dict):
        if name := referred(schema):
            yield name
        for part in schema.values():
            yield from references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from references(part)


def closure(roots: Iterator[str] | tuple[str, ...]) -> tuple[str, ...]:
    """These types and all that are in them, in the order of their names."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += references(dict(definitions()[name]))
    return tuple(sorted(found))
