"""Keeping account, in an object that is written, of who set which of its fields."""

from __future__ import annotations

from typing import TypeVar

from netlab.api.encoding import Json, as_json
from netlab.api.openapi.shapes import Form, Shape, shape_of
from netlab.api.ownership.managers import Entry, Manager, after_update, read_entries, write_entries
from netlab.api.ownership.values import tree_of_new
from netlab.model.objects import KubernetesObject, ManagedFields

K = TypeVar("K", bound=KubernetesObject)
JsonObject = dict[str, Json]
BEFORE_FIRST_APPLY = "before-first-apply"
"""Who has the fields of an object of which nobody has kept account."""


def shape(value: KubernetesObject) -> Shape:
    """The shape of an object's kind."""
    return shape_of(value.API_VERSION, value.kind)


def tracked(value: K, *, said: KubernetesObject, before: K | None, manager: Manager, now: str) -> K:
    """`value` with an account of what `manager` set; `said` is the object as it came, with its kind's defaults alone.

    What the server itself filled in, a clusterIP say, belongs to nobody.
    """
    own = shape(value)
    if own.form is not Form.STRUCT:
        return value
    was, becomes = as_json(before) if before else {}, as_json(said)
    entries = _given(becomes)
    if before is None and entries is None:
        return _with_one(value, tree_of_new(_of(becomes, manager), own), manager=manager, now=now)
    if entries is not None:
        was = _with_entries(was, entries)
    found = after_update(_of(was, manager), _of(becomes, manager), own, manager=manager, now=now)
    return with_entries(value, found)


def _with_one(value: K, tree: JsonObject, *, manager: Manager, now: str) -> K:
    """The object, all of it set by one manager."""
    if not tree:
        return value
    entry = ManagedFields(
        manager=manager.name,
        operation=manager.operation,
        api_version=manager.api_version,
        time=now,
        fields_type="FieldsV1",
        fields_v1=tree,
    )
    return value.model_copy(update={"metadata": value.metadata.model_copy(update={"managed_fields": (entry,)})})


def _given(value: JsonObject) -> list[Json] | None:
    """The entries that the client itself sent, as it may; None where it sent none. A single empty one clears all."""
    metadata = value.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, dict) else None
    if not isinstance(entries, list) or not entries:
        return None
    return [] if entries == [{}] else entries


def _with_entries(value: JsonObject, entries: list[Json]) -> JsonObject:
    metadata = value.get("metadata")
    return {**value, "metadata": {**(metadata if isinstance(metadata, dict) else {}), "managedFields": entries}}


def _of(value: JsonObject, manager: Manager) -> JsonObject:
    """What the manager's writes can change: the status through its subresource, all else without it."""
    if manager.subresource == "status":
        return {key: each for key, each in value.items() if key in ("metadata", "status")}
    return {key: each for key, each in value.items() if key != "status"}


def entries_for_apply(live: K, *, now: str) -> tuple[Entry, ...]:
    """The entries of a live object; one of which nobody kept account has all its fields set by somebody unknown."""
    value = as_json(live)
    entries = read_entries(value)
    if entries:
        return entries
    unknown = Manager(BEFORE_FIRST_APPLY, "Update", live.API_VERSION)
    return after_update(
        {}, _of(value, unknown), shape(live), manager=unknown, now=live.metadata.creation_timestamp or now
    )


def with_entries(value: K, entries: tuple[Entry, ...]) -> K:
    """The object with these entries."""
    managed = tuple(ManagedFields.model_validate(each) for each in write_entries(entries))
    if managed == value.metadata.managed_fields:
        return value
    metadata = value.metadata.model_copy(update={"managed_fields": managed})
    return value.model_copy(update={"metadata": metadata})


def same_account(value: KubernetesObject, entries: tuple[Entry, ...]) -> bool:
    """Whether these entries say of the object what its own say, whenever."""
    there = {(each.manager, each.fields) for each in read_entries(as_json(value))}
    return there == {(each.manager, each.fields) for each in entries if each.fields}
