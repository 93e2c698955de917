"""Where a kube-proxy's objects come from: an API server, or a file that was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol, TypeVar

from netlab.api.events import WatchEvent
from netlab.api.foreign import Malformed
from netlab.api.journal import EventType
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)


class ObjectSource(Protocol):
    """What ApiClient.reflect does."""

    def reflect(
        self,
        kind: type[K],
        *,
        label_selector: str = "",
        field_selector: str = "",
        malformed: Callable[[Malformed[K]], None] = ...,
    ) -> AsyncIterator[WatchEvent[K]]:
        """All objects that match as ADDED, then SYNCED once, then every change, for ever."""
        ...


class FixedObjects:
    """Objects that never change. Selectors are not looked at: what a proxy does not serve it lets pass by itself."""

    def __init__(self, objects: Iterable[KubernetesObject]) -> None:
        self._objects = tuple(objects)

    async def reflect(
        self,
        kind: type[K],
        *,
        label_selector: str = "",
        field_selector: str = "",
        malformed: Callable[[Malformed[K]], None] | None = None,
    ) -> AsyncIterator[WatchEvent[K]]:
        """See ObjectSource."""
        for each in self._objects:
            if isinstance(each, kind):
                yield WatchEvent(EventType.ADDED, each)
        yield WatchEvent(EventType.SYNCED, None)
        await asyncio.Event().wait()
