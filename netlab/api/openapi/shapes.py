"""The shape of each kind's objects: which fields there are, and how lists and maps of them are merged.

Source: the `x-kubernetes-*` marks of the OpenAPI document. A list that says nothing is atomic, a map that says nothing
is not: whoever sets one key of it has that key alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from netlab.api.encoding import Json
from netlab.api.openapi.definitions import definitions, names, referred


class Form(StrEnum):
    """What a value is, in the words of JSON schema; a plain value's form is its type."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INT_OR_STRING = "int-or-string"
    ANYTHING = "anything"
    """Neither looked into nor merged."""
    STRUCT = "struct"
    MAP = "map"
    LIST = "list"


class ListType(StrEnum):
    """Who may have what of a list: all of it, a value of it, an item of it (by its keys)."""

    ATOMIC = "atomic"
    SET = "set"
    MAP = "map"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A value's shape. `merge_key`, `merges` and `retain_keys` are for strategic merge patches alone."""

    form: Form
    name: str = ""
    """The type's short name, `ServicePort`."""
    fields: Mapping[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    atomic: bool = False
    list_type: ListType = ListType.ATOMIC
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    merges: bool = False
    retain_keys: bool = False

    def of(self, key: str) -> Shape | None:
        """The shape of what stands under a key of a struct or map; None where a struct has no such field."""
        return self.item if self.form is Form.MAP else self.fields.get(key)


ANYTHING = Shape(Form.ANYTHING)


def shape_of(api_version: str, kind: str) -> Shape:
    """The shape of a kind's objects; of a kind that Kubernetes does not publish nothing is known."""
    name = names().get((api_version, kind))
    return _named(name) if name and not name.startswith("io.netlab.") else ANYTHING


@cache
def _named(name: str) -> Shape:
    return _shape(dict(definitions()[name]), name.rpartition(".")[2])


def _shape(schema: Mapping[str, Json], name: str = "") -> Shape:
    strategy = str(schema.get("x-kubernetes-patch-strategy", ""))
    if referred_name := referred(schema):
        found = _named(referred_name)
        if "retainKeys" in strategy or "x-kubernetes-map-type" in schema:
            return _struct(found.fields, found.name, schema)
        return found
    fields, rest, kind = schema.get("properties"), schema.get("additionalProperties"), str(schema.get("type", ""))
    if isinstance(fields, dict):
        return _struct({key: _shape(each) for key, each in fields.items() if isinstance(each, dict)}, name, schema)
    if kind == "object":
        item = _shape(rest) if isinstance(rest, dict) else None
        return Shape(Form.MAP, item=item, atomic=_is_atomic(schema)) if item else ANYTHING
    if kind == "array":
        return _list(schema, strategy)
    return Shape(Form.INT_OR_STRING if schema.get("format") == Form.INT_OR_STRING else Form(kind or Form.ANYTHING))


def _struct(fields: Mapping[str, Shape], name: str, schema: Mapping[str, Json]) -> Shape:
    strategy = str(schema.get("x-kubernetes-patch-strategy", ""))
    retain = "retainKeys" in strategy
    return Shape(Form.STRUCT, name=name, fields=fields, atomic=_is_atomic(schema), retain_keys=retain)


def _is_atomic(schema: Mapping[str, Json]) -> bool:
    return schema.get("x-kubernetes-map-type") == "atomic"


def _list(schema: Mapping[str, Json], strategy: str) -> Shape:
    items, keys = schema.get("items"), schema.get("x-kubernetes-list-map-keys")
    return Shape(
        Form.LIST,
        item=_shape(items) if isinstance(items, dict) else ANYTHING,
        list_type=ListType(str(schema.get("x-kubernetes-list-type", ListType.ATOMIC))),
        keys=tuple(str(key) for key in keys) if isinstance(keys, list) else (),
        merge_key=str(schema.get("x-kubernetes-patch-merge-key", "")),
        merges="merge" in strategy,
        retain_keys="retainKeys" in strategy,
    )
