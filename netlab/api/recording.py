"""Events, told by programs: what was noticed about an object, counted where it is noticed again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netlab.api.client import ApiClient
from netlab.api.encoding import Json
from netlab.errors import ApiError, NotFound
from netlab.model.objects import Event, EventSource, KubernetesObject, ObjectMeta, ObjectReference
from netlab.model.timestamp import now as time_now

MESSAGE_LIMIT = 1024
"""Characters of a message, as in Kubernetes."""
CONFLICT = 409
NAME_KEPT = 236
"""Characters of the name of an object in that of its Event, which may have 253."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes Events to an API server, in the name of `component` on the machine `host`."""

    client: ApiClient
    component: str
    host: str = ""
    now: Callable[[], str] = time_now

    async def record(
        self, about: KubernetesObject, type_: Literal["Normal", "Warning"], *, reason: str, message: str
    ) -> Event:
        """Tell of an object. The same reason and message from here again are one Event, counted up.

        Raises ApiError where the server refuses, aiohttp.ClientError where it is not there.
        """
        new = self._event(about, type_, reason=reason, message=message[:MESSAGE_LIMIT])
        namespace = new.metadata.namespace or "default"
        try:
            return await self.client.create(new)
        except ApiError as refusal:
            if refusal.status != CONFLICT:
                raise
        try:
            present = await self.client.get(Event, new.metadata.name, namespace=namespace)
        except NotFound:
            return await self.client.create(new)
        again: dict[str, Json] = {"count": (present.count or 1) + 1, "lastTimestamp": self.now()}
        return await self.client.patch(Event, new.metadata.name, again, namespace=namespace)

    def _event(
        self, about: KubernetesObject, type_: Literal["Normal", "Warning"], *, reason: str, message: str
    ) -> Event:
        metadata, moment = about.metadata, self.now()
        told = "\n".join((about.kind, metadata.uid or "", self.component, self.host, type_, reason, message))
        digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        reference = ObjectReference(
            api_version=about.API_VERSION,
            kind=about.kind,
            name=metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
        )
        return Event(
            metadata=ObjectMeta(
                name=f"{metadata.name[:NAME_KEPT].rstrip('-.')}.{digest}", namespace=metadata.namespace or "default"
            ),
            involved_object=reference,
            type=type_,
            reason=reason,
            message=message,
            source=EventSource(component=self.component, host=self.host or None),
            count=1,
            first_timestamp=moment,
            last_timestamp=moment,
            reporting_component=self.component,
            reporting_instance=self.host or None,
        )
