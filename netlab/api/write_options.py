"""How a client wants its write or its deletion done: the query, and the DeleteOptions in the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from netlab.api.encoding import Json
from netlab.api.statuses import Refusal, bad_request

MANAGER_LIMIT = 128
"""Characters of a field manager's name."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of a create, an update or a patch."""

    dry_run: bool = False
    manager: str = ""
    """Who is said to have set the fields; "": nobody keeps account."""
    force: bool = False
    """Apply: take fields from other managers."""


class Propagation(StrEnum):
    """What becomes of the objects that belong to a deleted one."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Of a deletion. `grace_seconds` None: what the object says."""

    dry_run: bool = False
    grace_seconds: int | None = None
    propagation: Propagation = Propagation.BACKGROUND
    uid: str = ""
    """The object must have this uid."""
    version: str = ""
    """The object must have this resourceVersion."""


def write_options(query: Mapping[str, str], *, user_agent: str) -> WriteOptions:
    """Read a query. Raises Refusal."""
    manager = query.get("fieldManager", "")
    if len(manager) > MANAGER_LIMIT or not manager.isprintable():
        raise _invalid("fieldManager", f'Invalid value: "{manager}": must be printable and of at most 128 characters')
    force = query.get("force", "").lower()
    return WriteOptions(
        dry_run=_dry_run(query.get("dryRun")), manager=manager or user_agent, force=force in ("1", "true")
    )


def _dry_run(value: Json) -> bool:
    if isinstance(value, list):
        value = value[0] if value else None
    if value in (None, ""):
        return False
    if value != "All":
        raise _invalid("dryRun", f'Unsupported value: "{value}": supported values: "All"')
    return True


def _invalid(field: str, why: str) -> Refusal:
    return Refusal(422, "Invalid", f'{field.removesuffix("Run")}Options.meta.k8s.io "" is invalid: {field}: {why}')


def delete_options(query: Mapping[str, str], body: Mapping[str, Json]) -> DeleteOptions:
    """Read both; the body counts where both say something. Raises Refusal 400 for numbers that are none."""
    found = DeleteOptions(
        dry_run=_dry_run(body.get("dryRun") or query.get("dryRun")),
        grace_seconds=_grace(body.get("gracePeriodSeconds"), query.get("gracePeriodSeconds")),
        propagation=_propagation(body, query),
    )
    conditions = body.get("preconditions")
    if isinstance(conditions, dict):
        uid, version = conditions.get("uid"), conditions.get("resourceVersion")
        found = replace(found, uid=str(uid or ""), version=str(version or ""))
    return found


def _grace(said: Json, asked: str | None) -> int | None:
    if said is None and asked:
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
            raise bad_request(f"invalid gracePeriodSeconds: {asked!r} is no number of seconds")
        return int(asked)
    if said is None:
        return None
    if type(said) is not int:
        raise bad_request("DeleteOptions.gracePeriodSeconds is no whole number")
    return max(0, said)


def _propagation(body: Mapping[str, Json], query: Mapping[str, str]) -> Propagation:
    text = body.get("propagationPolicy") or query.get("propagationPolicy")
    orphan = body.get("orphanDependents")
    if text is None:
        return Propagation.ORPHAN if orphan is True else Propagation.BACKGROUND
    try:
        return Propagation(str(text))
    except ValueError:
        supported = ", ".join(f'"{each}"' for each in sorted(Propagation))
        raise _invalid("propagationPolicy", f'Unsupported value: "{text}": supported values: {supported}') from None
