"""Strategic merge patches: lists are merged by the keys of their items, and a patch may hold directives.

Source: "Strategic Merge Patch" in the documents of Kubernetes' SIG API Machinery. The directives: `$patch: delete` or
`replace`, `$retainKeys`, and beside a list its `$deleteFromPrimitiveList/NAME` and `$setElementOrder/NAME`.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import ANYTHING, Form, Shape
from netlab.api.statuses import bad_request

PATCH, RETAIN = "$patch", "$retainKeys"
DELETE_FROM, ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"
JsonObject = dict[str, Json]


def strategic_merge(value: JsonObject, patch: JsonObject, shape: Shape) -> JsonObject:
    """The object with a patch applied. Raises Refusal 400 for directives that there are not."""
    match patch.get(PATCH):
        case "delete":
            return {}
        case "replace":
            return _plain_object(patch)
        case None | "merge":
            pass
        case other:
            raise bad_request(f"Unrecognized patch directive: {other}")
    merged = _retained(dict(value), patch)
    for key, wanted in patch.items():
        if not key.startswith("$"):
            _merge_field(merged, key, wanted, patch, shape)
    for key, wanted in patch.items():
        if key.startswith(DELETE_FROM) and isinstance(wanted, list):
            name = key.removeprefix(DELETE_FROM)
            present = merged.get(name)
            if isinstance(present, list):
                merged[name] = [each for each in present if each not in wanted]
        elif key.startswith(ORDER) and isinstance(wanted, list):
            _order_only(merged, key.removeprefix(ORDER), wanted, patch, shape)
    return merged


def _retained(value: JsonObject, patch: JsonObject) -> JsonObject:
    retained = patch.get(RETAIN)
    if not isinstance(retained, list):
        return value
    return {key: each for key, each in value.items() if key in retained}


def _merge_field(merged: JsonObject, key: str, wanted: Json, patch: JsonObject, shape: Shape) -> None:
    present, inner = merged.get(key), shape.of(key) or ANYTHING
    if wanted is None:
        merged.pop(key, None)
    elif isinstance(wanted, dict) and isinstance(present, dict):
        merged[key] = strategic_merge(present, wanted, inner)
    elif isinstance(wanted, list) and isinstance(present, list) and inner.form is Form.LIST and inner.merges:
        order = patch.get(f"{ORDER}{key}")
        merged[key] = _merge_list(present, wanted, inner, order=order if isinstance(order, list) else None)
    else:
        merged[key] = _plain(wanted)


def _order_only(merged: JsonObject, key: str, order: list[Json], patch: JsonObject, shape: Shape) -> None:
    """An order may come without the list: then what is there is put into it."""
    present, inner = merged.get(key), shape.of(key)
    if key not in patch and isinstance(present, list) and inner is not None:
        identities = [_identity(each, inner.merge_key) for each in order]
        merged[key] = _ordered(present, present, identities, inner.merge_key)


def _merge_list(present: list[Json], wanted: list[Json], shape: Shape, *, order: list[Json] | None) -> list[Json]:
    if any(isinstance(each, dict) and each.get(PATCH) == "replace" for each in wanted):
        return [_plain(each) for each in wanted if not (isinstance(each, dict) and each.get(PATCH) == "replace")]
    key = shape.merge_key
    merged = list(present)
    for each in wanted:
        if not isinstance(each, dict) or not key:
            merged += [] if each in merged else [each]
        else:
            merged = _merge_item(merged, each, shape)
    if order is None:
        return merged
    return _ordered(merged, present, [_identity(each, key) for each in order], key)


def _merge_item(items: list[Json], wanted: JsonObject, shape: Shape) -> list[Json]:
    key = shape.merge_key
    if key not in wanted:
        raise bad_request(f"map: {wanted} does not contain declared merge key: {key}")
    found = [index for index, each in enumerate(items) if isinstance(each, dict) and each.get(key) == wanted[key]]
    if wanted.get(PATCH) == "delete":
        return [each for index, each in enumerate(items) if index not in found]
    if not found:
        return [*items, _plain(wanted)]
    present = items[found[0]]
    assert isinstance(present, dict)
    items[found[0]] = strategic_merge(present, wanted, shape.item or ANYTHING)
    return items


def _identity(item: Json, key: str) -> Json:
    return item.get(key) if isinstance(item, dict) else item


def _ordered(items: Sequence[Json], present: Sequence[Json], order: Sequence[Json], key: str) -> list[Json]:
    """The items that `order` names in its order; the others stay between those that they were between."""
    before = [_identity(each, key) for each in present]
    named = sorted(
        (each for each in items if _identity(each, key) in order), key=lambda i: order.index(_identity(i, key))
    )
    others = [each for each in items if _identity(each, key) not in order]
    result: list[Json] = []
    for each in named:
        place = _identity(each, key)
        while others and (place not in before or before.index(_identity(others[0], key)) < before.index(place)):
            result.append(others.pop(0))
        result.append(each)
    return [*result, *others]


def _plain(value: Json) -> Json:
    """A value of a patch that meets nothing to be merged with: without nulls and directives."""
    if isinstance(value, dict):
        return _plain_object(value)
    if isinstance(value, list):
        kept = (each for each in value if not (isinstance(each, dict) and each.get(PATCH) == "delete"))
        return [_plain(each) for each in kept]
    return value


def _plain_object(value: JsonObject) -> JsonObject:
    return {key: _plain(each) for key, each in value.items() if each is not None and not key.startswith("$")}
