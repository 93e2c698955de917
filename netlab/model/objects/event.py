"""Event."""

from __future__ import annotations

from typing import Literal

from netlab.model.objects.meta import KubernetesObject, ObjectReference, Part


class EventSource(Part):
    component: str | None = None
    host: str | None = None


class Event(KubernetesObject):
    """Something that was noticed about an object. `count` times, the last time at `last_timestamp`.

    Served as events.k8s.io/v1 too, under that API's field names: `regarding` is `involvedObject`, `note` is `message`.
    """

    PLURAL = "events"
    api_version: Literal["v1"] = "v1"
    kind: Literal["Event"] = "Event"
    involved_object: ObjectReference = ObjectReference()
    type: Literal["Normal", "Warning"] | None = None
    reason: str | None = None
    message: str | None = None
    source: EventSource = EventSource()
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    action: str | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None
