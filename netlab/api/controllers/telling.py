"""Events, told by controllers."""

from __future__ import annotations

import hashlib

from netlab.api.store import Store
from netlab.model.objects import Event, EventSource, KubernetesObject, ObjectMeta, ObjectReference


def tell(store: Store, about: KubernetesObject, *, reason: str, message: str, component: str) -> None:
    """Write an Event about an object that is in a namespace; the same again is counted up."""
    metadata, moment = about.metadata, store.now()
    told = "\n".join((about.kind, metadata.uid or "", component, reason, message))
    name = f"{metadata.name[:236].rstrip('-.')}.{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    present = store.find(Event, name, metadata.namespace)
    if present is not None:
        again = {"count": (present.count or 1) + 1, "last_timestamp": moment}
        store.update(present.model_copy(update=again))
        return
    store.create(
        Event(
            metadata=ObjectMeta(name=name, namespace=metadata.namespace),
            involved_object=ObjectReference(
                api_version=about.API_VERSION,
                kind=about.kind,
                name=metadata.name,
                namespace=metadata.namespace,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
            ),
            type="Normal",
            reason=reason,
            message=message,
            source=EventSource(component=component),
            count=1,
            first_timestamp=moment,
            last_timestamp=moment,
            reporting_component=component,
        )
    )
