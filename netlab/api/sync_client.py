"""The API of a lab, for the command line: synchronous, http.client over the unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar
from urllib.parse import urlencode

from netlab.api.encoding import Json, as_json, decode, encode
from netlab.api.events import LineBuffer, WatchEvent, check_answer, read_answer, read_event, read_list
from netlab.api.patching import LAST_APPLIED, last_applied, merge, three_way_patch, with_last_applied
from netlab.api.registry import USER_AGENT, collection_path, object_path
from netlab.errors import ApiError
from netlab.model.objects import KubernetesObject

K = TypeVar("K", bound=KubernetesObject)
CHUNK = 65536


class Outcome(StrEnum):
    """What `apply` did, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied(Generic[K]):
    """The object as it is after `apply`."""

    object: K
    outcome: Outcome


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("api")
        self._path = path

    def connect(self) -> None:
        """Open the socket. OSError where nobody serves."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class SyncClient:
    """Requests to the API server behind `socket`. Use it as a context manager.

    What the server refuses raises ApiError (for what is not there: ObjectNotFound, which is a NotFound too); a server
    that is not there raises OSError.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._connection = _UnixConnection(socket)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, kind: type[K], name: str, *, namespace: str = "default") -> K:
        """One object."""
        return self._object(kind, "GET", object_path(kind, name, namespace))

    def list(
        self, kind: type[K], *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> tuple[tuple[K, ...], str]:
        """The objects that match, and the resourceVersion of the list."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        return read_list(kind, self._request("GET", f"{collection_path(kind, namespace)}?{urlencode(query)}"))

    def create(self, value: K) -> K:
        """Create an object and give it as the server completed it."""
        path = collection_path(type(value), value.metadata.namespace or "default")
        return self._object(type(value), "POST", path, body=encode(value))

    def update(self, value: K, *, subresource: str = "") -> K:
        """Replace an object. ApiError Conflict where its resourceVersion is not the newest."""
        path = object_path(type(value), value.metadata.name, value.metadata.namespace, subresource)
        return self._object(type(value), "PUT", path, body=encode(value))

    def patch(
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
        return self._object(kind, "PATCH", path, body=json.dumps(patch).encode())

    def delete(
        self, kind: type[KubernetesObject], name: str, *, namespace: str = "default", grace_seconds: int | None = None
    ) -> None:
        """Delete an object; a Pod with `grace_seconds` above 0 is first marked for its kubelet to end it."""
        query = f"?gracePeriodSeconds={grace_seconds or 0}"
        self._request("DELETE", object_path(kind, name, namespace) + query)

    def apply(self, wanted: K) -> Applied[K]:
        """Make the object what the file says, as `kubectl apply`: what others set and the file leaves out stays."""
        kind, name, namespace = type(wanted), wanted.metadata.name, wanted.metadata.namespace or "default"
        described = as_json(wanted)
        try:
            created = self.create(decode(kind, json.dumps(with_last_applied(described)).encode()))
        except ApiError as refusal:
            if refusal.reason != "AlreadyExists":
                raise
        else:
            return Applied(created, Outcome.CREATED)
        live = self.get(kind, name, namespace=namespace)
        patch = apply_patch(described, as_json(live))
        if not patch:
            return Applied(live, Outcome.UNCHANGED)
        applied = self.patch(kind, name, patch, namespace=namespace)
        same = _apart_from_bookkeeping(applied) == _apart_from_bookkeeping(live)
        return Applied(applied, Outcome.UNCHANGED if same else Outcome.CONFIGURED)

    def settle(self) -> None:
        """Have the controllers do all that follows from what was written until now: Pods, slices."""
        self._request("POST", "/settle")

    def watch(
        self,
        kind: type[K],
        *,
        version: str = "0",
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
    ) -> Iterator[WatchEvent[K]]:
        """What happens after `version` ("0": what there is as ADDED, then what happens) until the server ends it.

        It has a connection of its own, which closes with the iterator. `timeout_seconds` ends the stream.
        """
        query = {"watch": "true", "resourceVersion": version, "labelSelector": label_selector}
        query["fieldSelector"] = field_selector
        if timeout_seconds is not None:
            query["timeoutSeconds"] = str(timeout_seconds)
        connection, buffer = _UnixConnection(self._socket), LineBuffer()
        try:
            connection.request("GET", f"{collection_path(kind, namespace)}?{urlencode(query)}")
            response = connection.getresponse()
            if response.status >= 400:
                check_answer(response.status, response.read())
            while chunk := response.read1(CHUNK):
                for line in buffer.feed(chunk):
                    yield read_event(kind, line)
        except http.client.HTTPException as error:
            raise _cut_short(error) from error
        finally:
            connection.close()

    def _object(self, kind: type[K], method: str, path: str, *, body: bytes | None = None) -> K:
        return read_answer(kind, 200, self._request(method, path, body=body))

    def _request(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            self._connection.request(method, path, body=body, headers={"Content-Type": kind, "User-Agent": USER_AGENT})
            response = self._connection.getresponse()
            return check_answer(response.status, response.read())
        except OSError:
            self._connection.close()
            raise
        except http.client.HTTPException as error:
            self._connection.close()
            raise _cut_short(error) from error


def _cut_short(error: http.client.HTTPException) -> ConnectionResetError:
    return ConnectionResetError(f"the lab's API server ended in the middle of an answer ({type(error).__name__})")


def apply_patch(wanted: dict[str, Json], live: dict[str, Json]) -> dict[str, Json]:
    """The merge patch that `apply` sends; empty where the file was applied before and nothing else changed."""
    return three_way_patch(last=last_applied(live), wanted=with_last_applied(wanted), live=live)


def _apart_from_bookkeeping(value: KubernetesObject) -> Json:
    bookkeeping: Json = {"metadata": {"resourceVersion": None, "generation": None, "annotations": {LAST_APPLIED: None}}}
    return merge(as_json(value), bookkeeping)
