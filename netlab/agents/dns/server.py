"""The DNS server as what runs in a container: it follows the API server and answers in its Pod's network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random

from netlab.agents.dns.connection import DnsConnection
from netlab.agents.dns.wire import TCP_SIZE, Query, read_query, respond
from netlab.api.client import ApiClient
from netlab.api.journal import EventType
from netlab.dns.answers import answer
from netlab.dns.records import Answer, Code, Name, Record
from netlab.dns.zone import Zone
from netlab.model.objects import EndpointSlice, KubernetesObject, Namespace, Service
from netlab.workload.ports import Listen, Ports

SYNCED_WITHIN = 5.0
"""Seconds to wait for the API server before answering all the same (SERVFAIL), as CoreDNS does."""
KINDS: tuple[type[KubernetesObject], ...] = (Namespace, Service, EndpointSlice)
log = logging.getLogger(__name__)


class DnsServer:
    """Answers for the cluster's names. `say` gets a line for each query, for the container's log."""

    pidfd: int | None = None

    def __init__(self, api: ApiClient, *, say: Callable[[str], None], random: Random | None = None) -> None:
        self.closed = False
        self.connections: set[DnsConnection] = set()
        self._api = api
        self._say = say
        self._random = random or Random()
        self._zone = Zone()
        self._unsynced = set(KINDS)
        self._synced, self._ended = asyncio.Event(), asyncio.Event()
        self._ports = Ports(connection=lambda: DnsConnection(self), answer=self._respond_udp, say=say)
        self._following: tuple[asyncio.Task[None], ...] = ()

    async def open(self, namespace: str, ports: Iterable[Listen]) -> None:
        """Answer on these ports in that network namespace, once all is known. KernelError as of `Ports.open`."""
        loop = asyncio.get_running_loop()
        self._following = tuple(loop.create_task(self._follow(kind), name=f"dns {kind.PLURAL}") for kind in KINDS)
        try:
            await self._ports.open(namespace, ports)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNCED_WITHIN):
                    await self._synced.wait()
        except BaseException:
            self.end()
            raise

    async def ended(self) -> int:
        """0 once it was asked to end; 1 where it cannot follow the API server any longer."""
        asked = asyncio.get_running_loop().create_task(self._ended.wait())
        await asyncio.wait((asked, *self._following), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        broken = [task for task in self._following if task.done() and not task.cancelled()]
        for task in broken:
            log.error("%s: given up", task.get_name(), exc_info=task.exception())
        return 1 if broken else 0

    def end(self) -> None:
        """Give up every socket and stop following."""
        self.closed = True
        self._ports.close()
        for connection in tuple(self.connections):
            connection.abort()
        for task in self._following:
            task.cancel()
        self._ended.set()

    kill = end

    def respond_tcp(self, data: bytes, client: str) -> bytes | None:
        """The response to a query that came over TCP; None for what is no query."""
        return self._respond(data, client, over="TCP", limit=TCP_SIZE)

    def _respond_udp(self, data: bytes, client: str) -> bytes | None:
        return self._respond(data, client, over="UDP", limit=None)

    def _respond(self, data: bytes, client: str, *, over: str, limit: int | None) -> bytes | None:
        query = read_query(data)
        if query is None:
            return None
        code, response = respond(query, self._resolve, shuffle=self._shuffled, limit=limit)
        self._say(_line(query, code, client=client, over=over, size=len(response)))
        return response

    def _resolve(self, name: Name, kind: int) -> Answer:
        return Answer(Code.SERVFAIL) if self._unsynced else answer(self._zone, name, kind)

    def _shuffled(self, records: Sequence[Record]) -> Sequence[Record]:
        """In any order, so that clients that take the first address are spread; a CNAME stays before its target."""
        kinds = {record.data.kind for record in records}
        return self._random.sample(records, len(records)) if len(kinds) == 1 else records

    async def _follow(self, kind: type[KubernetesObject]) -> None:
        async for event in self._api.reflect(kind):
            if event.object is None:
                self._unsynced.discard(kind)
                if not self._unsynced:
                    self._synced.set()
            elif event.type is EventType.DELETED:
                self._zone.remove(event.object)
            else:
                self._zone.put(event.object)


def _line(query: Query, code: Code, *, client: str, over: str, size: int) -> str:
    return f"{client} {query.described} {over} {code.name} {size} bytes"
