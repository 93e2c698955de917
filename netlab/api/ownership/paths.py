"""Sets of fields, as paths and in the form in which they are stored (FieldsV1).

A path is a tuple of steps: `f:spec` a field, `k:{"port":80,"protocol":"TCP"}` an item of a list by its keys, `v:"x"` a
value of a set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import cast

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import ListType, Shape

Path = tuple[str, ...]
Paths = frozenset[Path]
MEMBER = "."
"""In a tree: that the branch itself belongs to the set."""
DEFAULTS: Mapping[str, Json] = {"protocol": "TCP"}
"""What a key of a list's items is where it is not said."""
JsonObject = dict[str, Json]


def to_tree(paths: Iterable[Path]) -> JsonObject:
    """The set as FieldsV1."""
    tree: JsonObject = {}
    for path in sorted(paths):
        branch = tree
        for step in path:
            branch = cast(JsonObject, branch.setdefault(step, {}))
        branch[MEMBER] = {}
    return _pruned(tree)


def _pruned(tree: JsonObject) -> JsonObject:
    """A leaf is a member without saying so."""
    if len(tree) == 1 and MEMBER in tree:
        return {}
    return {step: _pruned(branch) if isinstance(branch, dict) else branch for step, branch in tree.items()}


def from_tree(tree: Mapping[str, Json]) -> Paths:
    """The set that FieldsV1 holds."""
    return frozenset(_paths(tree, ()))


def _paths(tree: Mapping[str, Json], path: Path) -> Iterable[Path]:
    for step, branch in tree.items():
        if step == MEMBER:
            yield path
        elif isinstance(branch, dict) and branch:
            yield from _paths(branch, (*path, step))
        else:
            yield (*path, step)


def item_step(item: Json, shape: Shape) -> str:
    """The step to an item of a list of type set or map."""
    if shape.list_type is ListType.SET:
        return f"v:{json.dumps(item)}"
    told = item if isinstance(item, dict) else {}
    keys = {key: told.get(key, DEFAULTS.get(key)) for key in sorted(shape.keys)}
    text = json.dumps({key: value for key, value in keys.items() if value is not None}, separators=(",", ":"))
    return f"k:{text}"


def readable(path: Path) -> str:
    """As messages name a field: `.spec.ports[port=80,protocol="TCP"].targetPort`."""
    text = ""
    for step in path:
        mark, _, rest = step.partition(":")
        if mark == "k":
            keys: dict[str, Json] = json.loads(rest)
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
        else:
            text += f".{rest}" if mark == "f" else f"[={rest}]"
    return text
