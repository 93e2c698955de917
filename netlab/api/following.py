"""List, watch, and list again: how a client keeps knowing what an API server has, whatever happens in between.

    list ─> watch ─> connection lost: watch from the last version seen
                  ─> version forgotten (410), an error, garbage: list again, and tell the difference

A resourceVersion is a text that only the server understands: it is kept and given back, never compared.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, Protocol, TypeVar

import aiohttp

from netlab.api.backoff import Backoff
from netlab.api.contact import reason
from netlab.api.events import WatchEvent
from netlab.api.foreign import Garbage, Malformed, MalformedChange, Page
from netlab.api.journal import EventType
from netlab.api.reflector import Reflection
from netlab.errors import ApiError
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)
Change = WatchEvent[K] | MalformedChange[K]
log = logging.getLogger(__name__)


class Source(Protocol[K]):
    """One kind's objects on an API server, as far as a selector goes."""

    @property
    def kind(self) -> type[K]: ...

    async def all(self) -> Page[K]:
        """All of them."""
        ...

    def changes(self, version: str) -> AsyncIterator[Change[K]]:
        """What happens after that version, until the server ends the stream."""
        ...


class Following(Generic[K]):
    """What is known of a source. `malformed` is told of every object that cannot be read, and each time it changes."""

    def __init__(self, source: Source[K], *, backoff: Backoff, malformed: Callable[[Malformed[K]], None]) -> None:
        self._source = source
        self._backoff = backoff
        self._tell = malformed
        self._reflection: Reflection[K] = Reflection(source.kind)
        self._malformed: dict[str, Malformed[K]] = {}
        self._version = ""

    async def events(self) -> AsyncIterator[WatchEvent[K]]:
        """All objects as ADDED, then SYNCED once, then every change, for ever."""
        loop, plural = asyncio.get_running_loop(), self._source.kind.PLURAL
        while True:
            began = loop.time()
            try:
                if not self._version:
                    for event in self._relisted(await self._source.all()):
                        yield event
                    began = loop.time()
                async for change in self._source.changes(self._version):
                    self._version = change.version or self._version
                    for event in self._taken(change):
                        yield event
            except ApiError as refusal:
                log.info("watch of %s: %s", plural, refusal)
                self._version = ""
            except Garbage as garbage:
                log.warning("watch of %s: %s; listing again", plural, garbage)
                self._version = ""
            except (aiohttp.ClientError, OSError) as error:
                log.info("watch of %s: %s", plural, reason(error))
            if loop.time() - began > self._backoff.last:
                self._backoff.reset()  # it went well for long: this is not one failure after another
            await asyncio.sleep(self._backoff.pause())

    def _relisted(self, page: Page[K]) -> Iterator[WatchEvent[K]]:
        """A malformed object is still there, though not as it is: what was known of it stays.

        Nobody holds the page afterwards: a large cluster's takes tens of MB.
        """
        before = self._malformed
        self._malformed = {each.key: each for each in page.malformed}
        for each in page.malformed:
            self._tell(each)
        listed = {value.key for value in page.objects}
        for key, each in before.items():
            if key not in self._malformed and key not in listed and not self._reflection.knows(key):
                yield WatchEvent(EventType.DELETED, each.tombstone(), page.version)
        yield from self._reflection.relisted(page.objects, page.version, kept=self._malformed)
        self._version = page.version

    def _taken(self, change: Change[K]) -> Iterator[WatchEvent[K]]:
        if isinstance(change, MalformedChange):
            yield from self._taken_malformed(change)
        elif change.object is not None:
            self._malformed.pop(change.object.key, None)
            self._reflection.note(change)
            yield change

    def _taken_malformed(self, change: MalformedChange[K]) -> Iterator[WatchEvent[K]]:
        key = change.object.key
        if change.type is EventType.DELETED:
            self._malformed.pop(key, None)
            gone = WatchEvent(EventType.DELETED, change.object.tombstone(), change.version)
            self._reflection.note(gone)
            yield gone
        else:
            self._malformed[key] = change.object
            self._tell(change.object)


def say_malformed(malformed: Malformed[K]) -> None:
    """Say in the log which object cannot be read."""
    log.warning("%s", malformed)
