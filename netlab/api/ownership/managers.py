"""The entries of metadata.managedFields, kept up to date with every write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from netlab.api.encoding import Json
from netlab.api.openapi.shapes import Shape
from netlab.api.ownership.paths import Paths, from_tree, to_tree
from netlab.api.ownership.values import Difference, difference

JsonObject = dict[str, Json]
UPDATERS_LIMIT = 10
"""Entries of operation Update; the oldest of more are put together."""
ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Manager:
    """Who wrote, how, and in which version of the API."""

    name: str
    operation: Literal["Apply", "Update"]
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a manager has, and since when it is so."""

    manager: Manager
    fields: Paths
    time: str


def read_entries(value: JsonObject) -> tuple[Entry, ...]:
    """The entries of an object; those of another format than FieldsV1 are left out."""
    metadata = value.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, dict) else None
    found = (each for each in entries or () if isinstance(each, dict)) if isinstance(entries, list) else ()
    return tuple(_entry(each) for each in found if isinstance(each.get("fieldsV1", {}), dict))


def _entry(value: JsonObject) -> Entry:
    operation: Literal["Apply", "Update"] = "Apply" if value.get("operation") == "Apply" else "Update"
    manager = Manager(
        str(value.get("manager", "")), operation, str(value.get("apiVersion", "")), str(value.get("subresource") or "")
    )
    return Entry(manager, from_tree(cast(JsonObject, value.get("fieldsV1") or {})), str(value.get("time") or ""))


def write_entries(entries: Sequence[Entry]) -> list[Json]:
    """The entries as an object has them: what was applied first, then by time."""
    kept = sorted(
        (each for each in entries if each.fields),
        key=lambda each: (each.manager.operation != "Apply", each.time, each.manager.name),
    )
    return [_written(each) for each in kept]


def _written(entry: Entry) -> JsonObject:
    manager = entry.manager
    told: JsonObject = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_tree(entry.fields),
    }
    return told | ({"subresource": manager.subresource} if manager.subresource else {})


def after_update(
    before: JsonObject, after: JsonObject, shape: Shape, *, manager: Manager, now: str
) -> tuple[Entry, ...]:
    """The entries once `manager` has made `after` of `before`: what it changed is its own and nobody else's."""
    entries, changes = read_entries(before), difference(before, after, shape)
    return _limited(updated(entries, changes, manager=manager, now=now))


def updated(entries: Sequence[Entry], changes: Difference, *, manager: Manager, now: str) -> tuple[Entry, ...]:
    """The same with the difference at hand."""
    if not changes.all:
        return tuple(entries)
    own = next((each for each in entries if each.manager == manager), Entry(manager, frozenset(), now))
    others = [replace(each, fields=each.fields - changes.all) for each in entries if each.manager != manager]
    return (*others, Entry(manager, own.fields - changes.removed | changes.set, now))


def _limited(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    updaters = sorted((each for each in entries if each.manager.operation == "Update"), key=lambda each: each.time)
    surplus = updaters[: len(updaters) - UPDATERS_LIMIT + 1] if len(updaters) > UPDATERS_LIMIT else []
    if not surplus:
        return entries
    fields = frozenset[tuple[str, ...]]().union(*(each.fields for each in surplus))
    last = surplus[-1]
    ancient = Entry(Manager(ANCIENT, "Update", last.manager.api_version), fields, last.time)
    return (*(each for each in entries if each not in surplus), ancient)
