"""For what Kubernetes refuses an Event."""

from __future__ import annotations

from netlab.api.admission.causes import Causes, required, wrong
from netlab.api.admission.names import check_metadata, key_problem
from netlab.model.objects import Event

NOTE_LIMIT = 1024
WORD_LIMIT = 128


def check_event(event: Event) -> Causes:
    """The causes against an Event: it lives where its object does; what lives nowhere has its Events in `default`."""
    yield from check_metadata(event)
    about = event.involved_object.namespace
    if event.metadata.namespace != (about or "default"):
        yield wrong("involvedObject.namespace", about or "", "does not match event.namespace")


def check_new_event(event: Event) -> Causes:
    """The causes against an Event by the rules of events.k8s.io/v1, which are stricter than those of v1."""
    if not event.event_time:
        yield required("eventTime")
    for field, value in (
        ("reportingController", event.reporting_component),
        ("reportingInstance", event.reporting_instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not value:
            yield required(field)
        elif field == "reportingController" and (why := key_problem(value)):
            yield wrong(field, value, why)
        elif len(value) > WORD_LIMIT:
            yield wrong(field, "", f"can have at most {WORD_LIMIT} characters")
    if len(event.message or "") > NOTE_LIMIT:
        yield wrong("note", "", f"can have at most {NOTE_LIMIT} characters")
    if event.type is None:
        yield wrong("type", "", "has invalid value: ")
