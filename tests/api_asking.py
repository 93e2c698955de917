"""A lab's API server in this process, and asking it as any HTTP client does."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.store import Store
from netlab.api.sync_client import SyncClient
from netlab.model.objects import ObjectMeta
from netlab.model.topology import Topology

DEADLINE = 20.0
Json = dict[str, Any]
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
OPERATIONS = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` as parsed where it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> str:
        return self.headers.get("warning", "")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("api", timeout=DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Server:
    """A server at its socket."""

    path: Path

    def ask(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        kind: str = JSON,
        accept: str = JSON,
        agent: str = "tester/1",
    ) -> Answer:
        """One request on a connection of its own; a body that is no bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Accept": accept, "User-Agent": agent} | ({"Content-Type": kind} if data is not None else {})
        with closing(UnixConnection(self.path)) as connection:
            connection.request(method, url, body=data, headers=headers)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
            parsed = json.loads(text) if "json" in found.get("content-type", "") else text
            return Answer(response.status, parsed, found)

    def ok(self, method: str, url: str, body: Any = None, *, kind: str = JSON, accept: str = JSON) -> Any:
        """The body of an answer that is no refusal."""
        answer = self.ask(method, url, body, kind=kind, accept=accept)
        assert answer.status < 300, answer
        return answer.body

    def settle(self) -> None:
        """Let the controllers do all that follows."""
        self.ok("POST", "/settle", b"")


@contextmanager
def a_server(folder: Path) -> Iterator[Server]:
    """A server in a thread of its own, of a lab with two nodes."""
    path, started, loop = folder / "api.sock", threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        store = Store(folder / "objects.db")
        async with serving(Cluster(store), listen(path)):
            started.set()
            await stop.wait()
        store.close()

    def work() -> None:
        with closing(loop):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(DEADLINE)
    try:
        with SyncClient(path) as client:
            client.create(Topology(metadata=ObjectMeta(name="lab")))
        yield Server(path)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE)


def service(name: str = "web", **spec: Any) -> Json:
    """A Service as a client writes it."""
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}], **spec}}


def config_map(name: str = "settings", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str = "web", *, image: str = "web", replicas: int = 2, **spec: Any) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
    }
