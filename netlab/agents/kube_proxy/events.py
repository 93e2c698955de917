"""What is not served is told where everybody looks: as Events of the objects, besides the log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime

import aiohttp

from netlab.api.client import ApiClient
from netlab.errors import ApiError
from netlab.model.names import DNS_LABEL
from netlab.proxy.complaints import Complaint

COMPONENT = "kube-proxy"
REASON = "NotServed"
WAITING_AT_MOST = 100
"""Events that wait to be sent; what comes on top is in the log alone."""
MESSAGE_LIMIT = 1024
"""Characters of an Event's message, as Kubernetes allows."""
log = logging.getLogger(__name__)


class ComplaintEvents:
    """Sends complaints to the API server, one by one; what it does not take is let go."""

    def __init__(self, client: ApiClient, node: str) -> None:
        self._client = client
        self._node = node
        self._waiting: asyncio.Queue[Complaint] = asyncio.Queue(WAITING_AT_MOST)

    def tell(self, complaint: Complaint) -> None:
        """Send it soon."""
        if not self._waiting.full():
            self._waiting.put_nowait(complaint)

    async def run(self) -> None:
        """Send what is told, for ever."""
        while True:
            complaint = await self._waiting.get()
            body = event_of(complaint, node=self._node, now=time.time_ns())
            if body is None:
                continue
            namespace, text = body
            headers = {"Content-Type": "application/json"}
            path = f"/api/v1/namespaces/{namespace}/events"
            try:
                async with self._client.request("POST", path, body=text, headers=headers) as response:
                    if response.status >= 400:
                        log.debug("the API server takes no Event: HTTP status %d", response.status)
            except (aiohttp.ClientError, ApiError, OSError) as error:
                log.debug("no Event was sent: %s", error)


def event_of(complaint: Complaint, *, node: str, now: int) -> tuple[str, bytes] | None:
    """An Event as JSON, and the namespace it goes to. None where the object's name could stand in none.

    `now` is nanoseconds since 1970, which make the Event's name its own.
    """
    namespace, slash, name = complaint.name.rpartition("/")
    if slash and not DNS_LABEL.fullmatch(namespace):
        return None
    moment = datetime.fromtimestamp(now / 1e9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": complaint.kind, "name": name, "apiVersion": _version(complaint.kind), "fieldPath": complaint.path}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{COMPONENT}.{now:x}", "namespace": namespace or "default"},
        "involvedObject": {**about, "namespace": namespace} if namespace else about,
        "type": "Warning",
        "reason": REASON,
        "message": f"{complaint.path}: {complaint.message}"[:MESSAGE_LIMIT],
        "source": {"component": COMPONENT, "host": node},
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    return namespace or "default", json.dumps(event).encode()


def _version(kind: str) -> str:
    return "discovery.k8s.io/v1" if kind == "EndpointSlice" else "v1"
