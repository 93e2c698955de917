"""The fields of a value, and which of them differ between two values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import ANYTHING, Form, ListType, Shape
from netlab.api.ownership.paths import MEMBER, Path, Paths, item_step

JsonObject = dict[str, Json]
UNMANAGED = frozenset(
    (
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    )
)
"""What belongs to nobody."""
ALWAYS_THERE = frozenset(("f:spec", "f:status", "f:strategy", "f:template", "f:containers", "f:loadBalancer"))
"""Parts that Kubernetes' own objects have even where they are empty: nobody has set them by writing them."""


def children(value: Json, shape: Shape) -> Iterator[tuple[str, Json, Shape]] | None:
    """What a value is made of, each with its step; None where it is set as a whole."""
    if isinstance(value, dict) and shape.form in (Form.STRUCT, Form.MAP) and not shape.atomic:
        return ((f"f:{key}", each, shape.of(key) or ANYTHING) for key, each in value.items())
    if isinstance(value, list) and shape.form is Form.LIST and shape.list_type is not ListType.ATOMIC:
        inner = shape.item or ANYTHING
        return ((item_step(each, shape), each, inner) for each in value)
    return None


def fields_of(value: JsonObject, shape: Shape) -> Paths:
    """The fields that an object sets, those of an applied configuration for instance."""
    return frozenset(_fields(value, shape, ())) - UNMANAGED


def _fields(value: Json, shape: Shape, path: Path) -> Iterator[Path]:
    parts = children(value, shape)
    if parts is None or not value:
        yield path
        return
    for step, each, inner in parts:
        if step.startswith("k:"):
            yield (*path, step)
        yield from _fields(each, inner, (*path, step))


@dataclass(frozen=True, slots=True)
class Difference:
    """Fields that came, went, or are of another value."""

    added: Paths
    modified: Paths
    removed: Paths

    @property
    def set(self) -> Paths:
        """What whoever made the difference has set."""
        return self.added | self.modified

    @property
    def all(self) -> Paths:
        """Whatever is not as it was."""
        return self.added | self.modified | self.removed


def difference(before: JsonObject, after: JsonObject, shape: Shape) -> Difference:
    """How two states of an object differ."""
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()

    def compare(old: Json, new: Json, inner: Shape, path: Path) -> None:
        if old == new:
            return
        parts = (children(old, inner), children(new, inner))
        if parts[0] is None or parts[1] is None:
            modified.add(path)
            return
        was = {step: (each, within) for step, each, within in parts[0]}
        found = {step: (each, within) for step, each, within in parts[1]}
        for step, (each, within) in found.items():
            if step in was:
                compare(was[step][0], each, within, (*path, step))
            else:
                added.update(_whole(each, within, (*path, step)))
        for step, (each, within) in was.items():
            if step not in found:
                removed.update(_whole(each, within, (*path, step)))

    compare(before, after, shape, ())
    return Difference(frozenset(added) - UNMANAGED, frozenset(modified) - UNMANAGED, frozenset(removed) - UNMANAGED)


def tree_of_new(value: JsonObject, shape: Shape) -> JsonObject:
    """What `difference` from nothing gives as set, as the tree that is stored: the short way, for creations."""
    tree = _new_tree(value, shape, "")
    metadata = tree.pop("f:metadata", None)
    own = metadata if isinstance(metadata, dict) else {}
    kept = {step: branch for step, branch in own.items() if ("f:metadata", step) not in UNMANAGED and step != MEMBER}
    tree = {step: branch for step, branch in tree.items() if (step,) not in UNMANAGED and step != MEMBER}
    return {"f:metadata": kept, **tree} if kept else tree


def _new_tree(value: Json, shape: Shape, step: str) -> JsonObject:
    parts = children(value, shape)
    if parts is None or not value:
        return {}
    tree: JsonObject = {} if step in ALWAYS_THERE else {MEMBER: {}}
    for inner_step, each, inner in sorted(parts, key=itemgetter(0)):
        tree[inner_step] = _new_tree(each, inner, inner_step)
    return tree


def _whole(value: Json, shape: Shape, path: Path) -> Iterator[Path]:
    """A value that is new, or gone, with all that is in it; its branches too."""
    parts = children(value, shape)
    if parts is None or not value:
        yield path
        return
    if path[-1] not in ALWAYS_THERE:
        yield path
    for step, each, inner in parts:
        yield from _whole(each, inner, (*path, step))
