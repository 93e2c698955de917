"""How fast a lab's API server is: objects created by one client, a long list, a write's way to watchers; JSON out.

    python tests/bench/bench_api.py [--services N] [--watchers N]        no root; some 20 seconds

The server is a process of its own with an empty lab of two nodes, asked by TLS with a client's certificate by an
ordinary client of which it keeps account (managedFields); its controllers make EndpointSlices, Endpoints and
IPAddresses meanwhile. Memory is what the server holds of its own (USS, proc(5)), before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import platform
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp

from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.secure import TakeDoor, doors
from netlab.api.store import Store
from netlab.lab import credentials
from netlab.lab.entrances import bound
from netlab.model.objects import ObjectMeta
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology, TopologySpec

SERVICES = "/api/v1/namespaces/default/services"
HEADERS = {"Content-Type": "application/json", "User-Agent": "bench/1"}
LISTS, WRITES, PAUSE = 7, 200, 0.01


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--watchers", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, a_server(Path(folder)) as server:
        before = server.megabytes()
        created = create(server, options.services)
        settled = settle(server)
        report = {
            "machine": f"{platform.release()}, Python {platform.python_version()}",
            "services": options.services,
            "created a second": round(options.services / created),
            "seconds until the controllers were done after that": round(settled, 2),
            "list, ms": round(statistics.median(list_all(server) for _ in range(LISTS)) * 1000, 1),
            "memory, MB": {"empty": before, "with all": server.megabytes()},
            "write to watcher, ms": asyncio.run(latency(server, options.watchers)),
        }
    json.dump(report, sys.stdout, indent=2)
    print()


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and what a client shows it."""

    address: str
    tls: ssl.SSLContext
    pid: int

    def connection(self) -> http.client.HTTPSConnection:
        """A new one."""
        return http.client.HTTPSConnection(self.address, context=self.tls)

    def megabytes(self) -> float:
        """Memory of its own."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        kilobytes = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
        return round(kilobytes / 1024, 1)


@contextmanager
def a_server(folder: Path) -> Iterator[Server]:
    """A server in a process of its own."""
    context, paths = multiprocessing.get_context("spawn"), LabPaths("lab", folder)
    listening, told = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(paths, told), daemon=True)
    process.start()
    try:
        address = listening.recv()
        tls = ssl.create_default_context(cafile=str(paths.authority))
        tls.load_cert_chain(paths.certificate("admin"))
        yield Server(address, tls, process.pid or 0)
    finally:
        process.terminate()
        process.join()


def serve(paths: LabPaths, told: Connection) -> None:
    credentials.make(paths, TopologySpec(), now=datetime.now(UTC))

    async def work(door: socket.socket) -> None:
        def open_doors(take: TakeDoor) -> Callable[[], None]:
            take("it", door)
            return lambda: None

        cluster = Cluster(Store(paths.database))
        cluster.create(Topology(metadata=ObjectMeta(name="lab")))
        async with serving(cluster, listen(paths.api_socket)) as reception, doors(reception, paths, open_doors):
            told.send(f"127.0.0.1:{door.getsockname()[1]}")
            await asyncio.Event().wait()

    with bound("127.0.0.1", 0) as door:
        door.listen()
        asyncio.run(work(door))


def service(number: int) -> bytes:
    labels = {"app": f"app-{number}"}
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    metadata = {"name": f"service-{number}", "labels": labels}
    spec = {"selector": labels, "ports": ports}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}).encode()


def create(server: Server, count: int) -> float:
    """Seconds that one client takes to create so many Services, one after the other."""
    bodies = [service(number) for number in range(count)]
    with closing(server.connection()) as connection:
        start = time.monotonic()
        for body in bodies:
            connection.request("POST", SERVICES, body=body, headers=HEADERS)
            response = connection.getresponse()
            response.read()
            assert response.status == 201
        return time.monotonic() - start


def settle(server: Server) -> float:
    with closing(server.connection()) as connection:
        start = time.monotonic()
        connection.request("POST", "/settle")
        connection.getresponse().read()
        return time.monotonic() - start


def list_all(server: Server) -> float:
    """Seconds until a list of all is there."""
    with closing(server.connection()) as connection:
        start = time.monotonic()
        connection.request("GET", SERVICES)
        connection.getresponse().read()
        return time.monotonic() - start


async def latency(server: Server, watchers: int) -> dict[str, float]:
    """Milliseconds from the moment at which a write is sent to that at which each watcher has it."""
    arrived: list[float] = []
    sent: dict[str, float] = {}
    connector = aiohttp.TCPConnector(ssl=server.tls, limit=0)
    async with aiohttp.ClientSession(f"https://{server.address}", connector=connector, headers=HEADERS) as session:
        async with session.get("/api/v1/configmaps") as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        going = [asyncio.ensure_future(watch(session, version, sent, arrived)) for _ in range(watchers)]
        await asyncio.sleep(0.5)
        for number in range(WRITES):
            name = f"c{number}"
            sent[name] = time.monotonic()
            async with session.post("/api/v1/namespaces/default/configmaps", json={"metadata": {"name": name}}):
                pass
            await asyncio.sleep(PAUSE)
        await asyncio.gather(*going)
    arrived.sort()
    return {
        "watchers": watchers,
        "median": round(statistics.median(arrived) * 1000, 2),
        "of a hundred 99 within": round(arrived[int(len(arrived) * 0.99)] * 1000, 2),
    }


async def watch(session: aiohttp.ClientSession, version: str, sent: dict[str, float], arrived: list[float]) -> None:
    query = {"watch": "true", "resourceVersion": version}
    async with session.get("/api/v1/configmaps", params=query) as answer:
        async for line in answer.content:
            now = time.monotonic()
            name = json.loads(line)["object"]["metadata"]["name"]
            arrived.append(now - sent[name])
            if name == f"c{WRITES - 1}":
                return


if __name__ == "__main__":
    main()
