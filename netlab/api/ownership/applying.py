"""Server-side apply: the object as it was, with what a manager wants of it and without what it wants no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import ANYTHING, Form, ListType, Shape
from netlab.api.ownership.managers import Entry, Manager
from netlab.api.ownership.paths import Path, Paths, item_step, readable
from netlab.api.ownership.values import children, difference, fields_of
from netlab.api.statuses import Cause, Refusal, StatusDetails

JsonObject = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Applied:
    """The object that comes of it, and who has what of it."""

    value: JsonObject
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager has and that would change."""

    manager: Manager
    field: Path


def applied(
    live: JsonObject,
    config: JsonObject,
    shape: Shape,
    *,
    entries: Sequence[Entry],
    manager: Manager,
    now: str,
    force: bool = False,
) -> Applied:
    """Apply `config` in the name of `manager`. Raises Refusal 409 for conflicts, unless `force` is set."""
    wanted = fields_of(config, shape)
    had = next((each.fields for each in entries if each.manager == manager), frozenset[Path]())
    others = [each for each in entries if each.manager != manager]
    merged = merge(live, config, shape)
    changed = difference(live, merged, shape).set
    conflicts = [Conflict(each.manager, field) for each in others for field in sorted(each.fields & changed)]
    if conflicts and not force:
        raise _refusal(conflicts)
    given_up = _given_up(had - wanted, wanted, others)
    value = without(merged, shape, given_up)
    left = tuple(replace(each, fields=each.fields - changed) if force else each for each in others)
    return Applied(value, (*left, Entry(manager, wanted, now)))


def _given_up(dropped: Paths, wanted: Paths, others: Sequence[Entry]) -> Paths:
    """What the manager no longer wants and nobody else has, or has anything in."""
    held = {path[:length] for path in wanted for length in range(len(path) + 1)}
    held |= {path[:length] for each in others for path in each.fields for length in range(len(path) + 1)}
    return frozenset(path for path in dropped if path not in held)


def merge(live: Json, config: Json, shape: Shape) -> JsonObject:
    """`live` with every field that `config` sets."""
    merged = _merged(live, config, shape)
    assert isinstance(merged, dict)
    return merged


def _merged(live: Json, config: Json, shape: Shape) -> Json:
    if shape.atomic or not isinstance(config, dict | list):
        return config
    if isinstance(live, dict) and isinstance(config, dict) and shape.form in (Form.STRUCT, Form.MAP):
        inner = {key: _merged(live.get(key), each, shape.of(key) or ANYTHING) for key, each in config.items()}
        return {**live, **inner}
    if isinstance(live, list) and isinstance(config, list) and shape.list_type is not ListType.ATOMIC:
        return _merged_list(live, config, shape)
    return config


def _merged_list(live: list[Json], config: list[Json], shape: Shape) -> list[Json]:
    wanted = {item_step(each, shape): each for each in config}
    inner, found = shape.item or ANYTHING, list[Json]()
    for each in live:
        step = item_step(each, shape)
        found.append(_merged(each, wanted.pop(step), inner) if step in wanted else each)
    return [*found, *wanted.values()]


def without(value: JsonObject, shape: Shape, gone: Paths) -> JsonObject:
    """The object without these fields."""
    kept = _without(value, shape, gone, ())
    assert isinstance(kept, dict)
    return kept


def _without(value: Json, shape: Shape, gone: Paths, path: Path) -> Json:
    parts = children(value, shape) if any(each[: len(path)] == path for each in gone) else None
    if parts is None:
        return value
    kept = [
        (step, _without(each, inner, gone, (*path, step))) for step, each, inner in parts if (*path, step) not in gone
    ]
    if isinstance(value, list):
        return [each for _, each in kept]
    return {step.removeprefix("f:"): each for step, each in kept}


def _refusal(conflicts: Sequence[Conflict]) -> Refusal:
    causes = tuple(
        Cause(
            reason="FieldManagerConflict",
            message=f'conflict with "{each.manager.name}"{_how(each.manager)}',
            field=readable(each.field),
        )
        for each in conflicts
    )
    count = len(conflicts)
    if count == 1:
        told = f"{causes[0].message}: {causes[0].field}"
    else:
        by_manager: dict[str, list[str]] = {}
        for cause in causes:
            by_manager.setdefault(cause.message.replace("conflict ", "conflicts ", 1), []).append(cause.field)
        told = "\n".join(
            f"{who}:\n" + "\n".join(f"- {field}" for field in fields) for who, fields in by_manager.items()
        )
    message = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: {told}"
    return Refusal(409, "Conflict", message, StatusDetails(causes=causes))


def _how(manager: Manager) -> str:
    part = f' with subresource "{manager.subresource}"' if manager.subresource else ""
    return f"{part} using {manager.api_version}" if manager.operation == "Update" else part
