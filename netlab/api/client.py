"""The API of a lab or of any Kubernetes cluster, for agents: asynchronous."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import aiohttp
from aiohttp import hdrs

from netlab.api.backoff import Backoff
from netlab.api.connecting import connect_seconds, identity, open_session
from netlab.api.contact import Contact
from netlab.api.encoding import Json, encode
from netlab.api.events import LineBuffer, WatchEvent, check_answer, read_answer, read_list
from netlab.api.following import Following, say_malformed
from netlab.api.foreign import Malformed, MalformedChange, Page, read_change, read_page
from netlab.api.registry import USER_AGENT, collection_path, object_path
from netlab.errors import ApiError
from netlab.model.access import ServerAccess
from netlab.model.objects import KubernetesObject

log = logging.getLogger(__name__)
K = TypeVar("K", bound=KubernetesObject)

LOCAL_RETRY_SECONDS = 0.02, 1.0
REMOTE_RETRY_SECONDS = 0.2, 10.0
"""The first pause before a try and the longest."""
PAGE_OBJECTS = 500
"""How many objects a list asks for at once."""
LIST_SECONDS = 60.0
"""A server elsewhere that is silent for so long while it answers is given up."""
WATCH_SECONDS = 300.0
"""A watch of a server elsewhere ends after so long, or up to twice as long; and then another one is begun."""


class ApiClient:
    """Requests to an API server: a lab's, behind a unix socket, or any cluster's.

    Use it as an async context manager, in the loop that made it.

    What the server refuses raises ApiError (for what is not there: ObjectNotFound, which is a NotFound too); a server
    that is not there raises aiohttp.ClientError, except in `reflect`, which waits for it.
    """

    def __init__(self, server: Path | ServerAccess) -> None:
        self._access = ServerAccess(url="http://api", socket=server) if isinstance(server, Path) else server
        self._opened: aiohttp.ClientSession | None = None
        self.contact = Contact(self._access.name)

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = open_session(self._access)
        return self._opened

    async def __aenter__(self) -> ApiClient:
        self._opened = self._opened or open_session(self._access)
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
        query = {"gracePeriodSeconds": str(grace_seconds or 0)}
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
        """What happens after `version`, BOOKMARKs among it, until the server ends the stream.

        Events about objects that cannot be read are left out, with a line in the log.
        """
        collection = _Collection(self, kind, namespace, label_selector, field_selector)
        async for change in collection.changes(version):
            if isinstance(change, MalformedChange):
                say_malformed(change.object)
            else:
                yield change

    def reflect(
        self,
        kind: type[K],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        malformed: Callable[[Malformed[K]], None] = say_malformed,
    ) -> AsyncIterator[WatchEvent[K]]:
        """All objects that match as ADDED, then SYNCED once, then every change, for ever.

        A lost connection is taken up where it was lost, with growing pauses of up to a second (ten where the server is
        elsewhere). Where the server has forgotten what came after, the objects are listed again, and the difference
        comes as ADDED, MODIFIED, DELETED. `malformed` is told of objects that cannot be read: of each the last readable
        state goes on to count, until a readable one or its deletion comes as an event.
        """
        collection = _Collection(self, kind, namespace, label_selector, field_selector)
        first, last = LOCAL_RETRY_SECONDS if self._access.near else REMOTE_RETRY_SECONDS
        return Following(collection, backoff=Backoff(first=first, last=last), malformed=malformed).events()

    async def _object(self, kind: type[K], method: str, path: str, *, body: bytes | None = None) -> K:
        return read_answer(kind, 200, await self._request(method, path, body=body))

    async def _request(
        self, method: str, path: str, *, body: bytes | None = None, query: Mapping[str, str] | None = None
    ) -> bytes:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind} if body is not None else {}
        async with self.request(method, path, body=body, query=query, headers=headers) as response:
            return check_answer(response.status, await response.read())

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request as it is; `silence_seconds` without a byte end it. OSError: no server, or no token's file."""
        silence = (None if self._access.near else LIST_SECONDS) if silence_seconds is None else silence_seconds
        with self.contact.asking() as answered:
            async with self._session.request(
                method,
                self._access.url + path,
                params=query,
                data=body,
                headers={
                    hdrs.ACCEPT: "application/json",
                    hdrs.USER_AGENT: USER_AGENT,
                    **(headers or {}),
                    **identity(self._access),
                },
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=connect_seconds(self._access), sock_read=silence
                ),
                server_hostname=self._access.server_name or None,
            ) as response:
                answered()
                yield response

    @property
    def access(self) -> ServerAccess:
        """Which server this is."""
        return self._access


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {name: text for name, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}


@dataclass(frozen=True, slots=True)
class _Collection(Generic[K]):
    """One kind's objects, as far as the selectors go."""

    client: ApiClient
    kind: type[K]
    namespace: str | None
    label_selector: str
    field_selector: str

    async def all(self) -> Page[K]:
        """All of them, asked for in pages, and in one go where the server has forgotten the list in between."""
        query = _selectors(self.label_selector, self.field_selector)
        try:
            page = await self._page({**query, "limit": str(PAGE_OBJECTS)})
            objects, malformed = [*page.objects], [*page.malformed]
            while page.rest:
                page = await self._page({**query, "limit": str(PAGE_OBJECTS), "continue": page.rest})
                objects += page.objects
                malformed += page.malformed
        except ApiError as error:
            if error.status != 410:
                raise
            return await self._page(query)
        return Page(tuple(objects), tuple(malformed), page.version)

    async def _page(self, query: Mapping[str, str]) -> Page[K]:
        path = collection_path(self.kind, self.namespace)
        async with self.client.request("GET", path, query=query) as response:
            return read_page(self.kind, check_answer(response.status, await response.read()))

    async def changes(self, version: str) -> AsyncIterator[WatchEvent[K] | MalformedChange[K]]:
        """What happens after that version."""
        query = _selectors(self.label_selector, self.field_selector)
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        silence: float | None = None
        if not self.client.access.near:
            # A router in between may forget the connection without telling: no watch lasts for ever.
            query["timeoutSeconds"] = str(int(WATCH_SECONDS * (1 + random.random())))
            silence = 2 * WATCH_SECONDS + LIST_SECONDS
        buffer, path = LineBuffer(), collection_path(self.kind, self.namespace)
        async with self.client.request("GET", path, query=query, silence_seconds=silence) as response:
            if response.status >= 400:
                check_answer(response.status, await response.read())
            async for chunk in response.content.iter_any():
                for line in buffer.feed(chunk):
                    if line.strip():
                        yield read_change(self.kind, line)
