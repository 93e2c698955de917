"""Objects under the field names of another API than the one they are stored in: Events as events.k8s.io/v1."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from netlab.api.admission.causes import Causes
from netlab.api.admission.events import check_new_event
from netlab.api.encoding import Json, parse
from netlab.model.objects import Event, KubernetesObject

EVENTS_API = "events.k8s.io/v1"
_CORE_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENTS_NAMES = {core: name for name, core in _CORE_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one API spells a kind: to and from the JSON that is stored, and what it asks of a new object besides."""

    api_version: str
    write: Callable[[bytes], bytes]
    read: Callable[[bytes], bytes]
    rename: Callable[[dict[str, Json]], dict[str, Json]]
    check: Callable[[KubernetesObject], Causes]


def plain(kind: type[KubernetesObject]) -> Spelling:
    """As the objects of this kind are stored."""
    return Spelling(kind.API_VERSION, _same, _same, _same_fields, _no_more_rules)


def spelling(api_version: str, plural: str) -> Spelling | None:
    """The other spelling that this API has for a kind, if there is one."""
    return EVENTS if (api_version, plural) == (EVENTS_API, Event.PLURAL) else None


def _same(body: bytes) -> bytes:
    return body


def _same_fields(value: dict[str, Json]) -> dict[str, Json]:
    return value


def _no_more_rules(_value: KubernetesObject) -> Causes:
    return iter(())


def _as_stored(value: dict[str, Json]) -> dict[str, Json]:
    """An Event of events.k8s.io/v1, or a patch of one, with the names of v1."""
    renamed = {_CORE_NAMES.get(name, name): field for name, field in value.items()}
    return renamed | ({"apiVersion": Event.API_VERSION} if value.get("apiVersion") == EVENTS_API else {})


def _read_event(body: bytes) -> bytes:
    parsed = parse(body)
    return json.dumps(_as_stored(parsed)).encode() if isinstance(parsed, dict) else body


def _write_event(body: bytes) -> bytes:
    stored: dict[str, Json] = json.loads(body)
    spelled = {_EVENTS_NAMES.get(name, name): field for name, field in stored.items()}
    return json.dumps(spelled | {"apiVersion": EVENTS_API}, separators=(",", ":")).encode()


def _check_event(value: KubernetesObject) -> Causes:
    return check_new_event(value) if isinstance(value, Event) else _no_more_rules(value)


EVENTS = Spelling(EVENTS_API, _write_event, _read_event, _as_stored, _check_event)
