"""The API of a lab, for its agents: asynchronous, over the unix socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import aiohttp

from netlab.api.encoding import Json, encode
from netlab.api.events import LineBuffer, WatchEvent, check_answer, read_answer, read_event, read_list
from netlab.api.journal import EventType
from netlab.api.reflector import Reflection
from netlab.api.registry import collection_path, object_path
from netlab.errors import ApiError
from netlab.model.objects import KubernetesObject

log = logging.getLogger(__name__)
K = TypeVar("K", bound=KubernetesObject)

FIRST_RETRY_SECONDS = 0.02
LAST_RETRY_SECONDS = 1.0


class ApiClient:
    """Requests to the API server behind `socket`. Use it as an async context manager, in the loop that made it.

    What the server refuses raises ApiError (for what is not there: ObjectNotFound, which is a NotFound too); a server
    that is not there raises aiohttp.ClientError, except in `reflect`, which waits for it.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector = aiohttp.UnixConnector(str(self._socket), limit=0)
            timeout = aiohttp.ClientTimeout(total=None)
            self._opened = aiohttp.ClientSession("http://api", connector=connector, timeout=timeout)
        return self._opened

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def get(self, kind: type[K], name: str, *, namespace: str = "default") -> K:
        """One object."""
        return await self._object(kind, "GET", object_path(kind, name, namespace))

    async def list(
        self, kind: type[K], *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> tuple[tuple[K, ...], str]:
        """The objects that match, and the resourceVersion of the list."""
        query = _selectors(label_selector, field_selector)
        return read_list(kind, await self._request("GET", collection_path(kind, namespace), query=query))

    async def create(self, value: K) -> K:
        """Create an object and give it as the server completed it."""
        path = collection_path(type(value), value.metadata.namespace or "default")
        return await self._object(type(value), "POST", path, body=encode(value))

    async def update(self, value: K, *, subresource: str = "") -> K:
        """Replace an object. ApiError Conflict where its resourceVersion is not the newest."""
        path = object_path(type(value), value.metadata.name, value.metadata.namespace, subresource)
        return await self._object(type(value), "PUT", path, body=encode(value))

    async def patch(
        self,
        kind: type[K],
        name: str,
        patch: Mapping[str, Json],
        *,
        namespace: str = "default",
        subresource: str = "",
    ) -> K:
        """Change an object by a JSON merge patch; `subresource="status"` changes its status alone."""
        path = object_path(kind, name, namespace, subresource)
        return await self._object(kind, "PATCH", path, body=json.dumps(patch).encode())

    async def delete(
        self, kind: type[KubernetesObject], name: str, *, namespace: str = "default", grace_seconds: int | None = None
    ) -> None:
        """Delete an object; a Pod with `grace_seconds` above 0 is first marked for its kubelet to end it."""
        query = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        await self._request("DELETE", object_path(kind, name, namespace), query=query)

    async def watch(
        self,
        kind: type[K],
        version: str,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncIterator[WatchEvent[K]]:
        """What happens after `version`, BOOKMARKs among it, until the server ends the stream."""
        query = _selectors(label_selector, field_selector)
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        buffer = LineBuffer()
        async with self._session.get(collection_path(kind, namespace), params=query) as response:
            if response.status >= 400:
                check_answer(response.status, await response.read())
            async for chunk in response.content.iter_any():
                for line in buffer.feed(chunk):
                    yield read_event(kind, line)

    async def reflect(
        self, kind: type[K], *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent[K]]:
        """All objects that match as ADDED, then SYNCED once, then every change, for ever.

        A lost connection is taken up where it was lost, with growing pauses of up to a second. Where the server has
        forgotten what came after, the objects are listed again, and the difference comes as ADDED, MODIFIED, DELETED.
        """
        reflection: Reflection[K] = Reflection()
        pause, version = FIRST_RETRY_SECONDS, ""
        while True:
            try:
                if not version:
                    objects, version = await self.list(
                        kind, namespace=namespace, label_selector=label_selector, field_selector=field_selector
                    )
                    for event in reflection.relisted(objects, version):
                        yield event
                pause = FIRST_RETRY_SECONDS
                async for event in self.watch(
                    kind, version, namespace=namespace, label_selector=label_selector, field_selector=field_selector
                ):
                    version = event.version
                    if event.type is not EventType.BOOKMARK:
                        reflection.note(event)
                        yield event
            except ApiError as refusal:
                log.info("watch of %s: %s", kind.PLURAL, refusal)
                version = ""
            except (aiohttp.ClientError, OSError) as error:
                log.info("watch of %s: %s; again in %.2f s", kind.PLURAL, error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    async def _object(self, kind: type[K], method: str, path: str, *, body: bytes | None = None) -> K:
        return read_answer(kind, 200, await self._request(method, path, body=body))

    async def _request(
        self, method: str, path: str, *, body: bytes | None = None, query: Mapping[str, str] | None = None
    ) -> bytes:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind} if body is not None else {}
        async with self._session.request(method, path, data=body, params=query, headers=headers) as response:
            return check_answer(response.status, await response.read())


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {name: text for name, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}
