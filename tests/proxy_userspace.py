"""The packet tables in mode userspace: a kube-proxy that accepts, asked with whole connections and datagrams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from itertools import count
from time import monotonic

from proxy_kernel import TURNS, KernelNode, in_one
from proxy_memory import ClientMemory, NobodyCanWrite
from proxy_stacks import LONGEST, client_of, give_stacks, listening, read_answer
from proxy_stage import NODE, Stage, stage
from proxy_tables import SCENES, TELLINGS, Last, Probe, Scene
from proxy_tables.case import AFFINITY_SECONDS
from proxy_tables.differences import Sent
from proxy_tables.differences_userspace import in_userspace
from proxy_tracer import DROPPED, HUNG_UP, REFUSED, UNTOUCHED, Outcome, Signal, masqueraded, reaches, read_packet
from proxy_wire import Flow

from netlab.agents.kube_proxy.userspace.tcp import DIAL_SECONDS
from netlab.kernel.namespaces import inside
from netlab.model.modes import ProxyMode
from netlab.model.objects import EndpointSlice
from netlab.model.rules import Protocol
from netlab.proxy.addresses import with_port

PATIENCE = (0.3, 1.0, 3.0)
"""Seconds without any answer, time after time, until it is called silence."""
WHERE_SILENCE_IS_EXPECTED = (0.3, 0.3)
ANSWER_SECONDS = 10.0
"""Who is connected is answered, or hung up on, in so long even on a busy machine."""
PASSERS_BY = {4: ip_address("198.51.100.100"), 6: ip_address("2001:db8:198::100")}
"""The first of many clients that take an endpoint's turn away, each once."""


class Clock(asyncio.SelectorEventLoop):
    """A loop that one can have wait without waiting."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class UserspaceNode(KernelNode):
    """node1 with a kube-proxy that works in the same loop as those who ask it and those who answer."""

    def __init__(self, stage: Stage, runner: asyncio.Runner) -> None:
        super().__init__(stage, ProxyMode.USERSPACE)
        self._runner = runner
        self._strangers = count()
        self._working: asyncio.Task[None] | None = None
        self._ended: list[asyncio.Task[None]] = []

    def _memory_of(self, mode: ProxyMode | None) -> ClientMemory:
        return NobodyCanWrite()

    def expected(self, scene: Scene) -> dict[str, Outcome]:
        return in_userspace(scene)

    def seen(self, scene: Scene) -> dict[str, Outcome]:
        """What each packet of a scene meets, or whoever sends it."""
        return self._runner.run(self._seen(scene))

    def close(self) -> None:
        """End the kube-proxy, whose sockets are closed the next time that the loop runs; the rules stay."""
        if self._working:
            self._working.cancel()
            self._ended.append(self._working)
            self._working = None

    def end(self) -> None:
        """End the kube-proxy, and wait until its sockets are closed."""
        self._runner.run(self._end())

    async def _end(self) -> None:
        self.close()
        await asyncio.gather(*self._ended, return_exceptions=True)

    async def _seen(self, scene: Scene) -> dict[str, Outcome]:
        self.show(scene)
        if self._working is None:
            assert self._proxier
            self._working = asyncio.create_task(self._proxier.work())
            await asyncio.sleep(0)  # what has not begun cannot tidy up
        expected = self.expected(scene)
        sent = {str(each): Sent(scene, each._replace(outcome=expected[str(each)])) for each in scene.probes}
        return {words: await self._fate(each) for words, each in sent.items()}

    async def _fate(self, sent: Sent) -> Outcome:
        """What becomes of as many clients as it takes for every endpoint's turn to come."""
        if is_single(sent.probe):
            self._stage.forget()
            return self.send(sent.probe, among=1)
        flows = TURNS * max(len(sent.expected.endpoints), 2)
        if any(port.affinity_seconds is not None for port in sent.ports):
            return in_one({await self._returning(sent, strangers=number) for number in range(flows)})
        return in_one(set(await asyncio.gather(*(self._meets(sent.probe) for _ in range(flows)))))

    # --- clients that are remembered

    async def _returning(self, sent: Sent, *, strangers: int) -> Outcome:
        """What the client meets that came last as the probe says, after so many others took their turns.

        On a busy machine kube-proxy may find an endpoint too slow, and forgets its client: then all is done again.
        """
        for _ in PATIENCE:
            await self._prepare(sent, strangers=strangers)
            asked = monotonic()
            outcome = await self._meets(sent.probe)
            if outcome.end or monotonic() - asked < DIAL_SECONDS[0]:
                break
        return outcome

    async def _prepare(self, sent: Sent, *, strangers: int) -> None:
        """Have the client come where it came last, and others after it."""
        if not sent.probe.last:
            self._wait(AFFINITY_SECONDS)
            return
        await self._come(sent, sent.probe.last)
        for _ in range(strangers):
            source = PASSERS_BY[sent.packet.source.version] + next(self._strangers) % 100
            await self._meets(sent.probe._replace(source=str(source)))

    async def _come(self, sent: Sent, last: Last) -> None:
        """Have the client come to that endpoint, if it can, and wait for as long as that is ago."""
        slices = [each for each in sent.scene.objects if isinstance(each, EndpointSlice)]
        for _ in range(sum(len(each.endpoints) for each in slices)):
            self._wait(AFFINITY_SECONDS)
            if last.endpoint in (await self._meets(sent.probe)).endpoints:
                self._wait(last.seconds_ago)
                return
        self._wait(AFFINITY_SECONDS)

    def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clock)
        loop.ahead += seconds

    # --- one client

    async def _meets(self, probe: Probe) -> Outcome:
        """What becomes of one client, who is patient unless silence is what is expected."""
        for seconds in WHERE_SILENCE_IS_EXPECTED if probe.outcome == DROPPED else PATIENCE:
            flow = self.client(probe.source, probe.to).flow
            try:
                heard = await self._heard(flow, within=seconds)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                return REFUSED
            return self._fate_of(flow, heard) if heard else HUNG_UP
        return DROPPED

    async def _heard(self, flow: Flow, *, within: float) -> bytes:
        """What is answered; nothing where a connection ends without. TimeoutError: silence."""
        loop = asyncio.get_running_loop()
        with client_of(flow, place=self._place(flow)) as client:
            client.setblocking(False)
            async with asyncio.timeout(within):
                await loop.sock_connect(client, (str(flow.destination), flow.port))
                if flow.protocol is Protocol.UDP:
                    client.send(b"who?")
                    return await loop.sock_recv(client, LONGEST)
            async with _must_not_last():
                heard = b""
                while more := await loop.sock_recv(client, LONGEST):
                    heard += more
            return heard

    def _fate_of(self, sent: Flow, heard: bytes) -> Outcome:
        answer = read_answer(heard)
        as_sent = (answer.source, answer.source_port) == (str(sent.source), sent.source_port)
        if answer.at == with_port(sent.destination, sent.port):
            assert as_sent, f"the source was changed: {answer}"
            assert (answer.place == NODE) == (str(sent.destination) in self.addresses or sent.destination.is_loopback)
            return UNTOUCHED
        if as_sent:
            return reaches(answer.at)
        assert answer.source in self.addresses, f"whose address is {answer.source}?"
        return masqueraded(answer.at)


@asynccontextmanager
async def _must_not_last() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise AssertionError("accepted, and then neither answered nor hung up on") from None


def is_single(probe: Probe) -> bool:
    """Whether it is a single packet in this mode as well: kube-proxy itself takes in no SCTP, and no stray packet."""
    packet = read_packet(probe.source, probe.to)
    return packet.signal is Signal.STRAY or packet.protocol is Protocol.SCTP


def _ports() -> Iterator[int]:
    """All that packets of the tables are sent to, or may be."""
    for scene in (*SCENES, *(scene for telling in TELLINGS for scene in telling.scenes)):
        yield from (read_packet(probe.source, probe.to).port for probe in scene.probes)
        slices = [each for each in scene.objects if isinstance(each, EndpointSlice)]
        yield from (port.port for each in slices for port in each.ports if port.port)


@contextmanager
def userspace_node() -> Iterator[UserspaceNode]:
    """The node; who shows it a scene must be in its namespace."""
    with stage() as places, asyncio.Runner(loop_factory=Clock) as runner:
        give_stacks()
        with listening(_ports(), loop=runner.get_loop()):
            node = UserspaceNode(places, runner)
            yield node
            with inside(NODE):
                node.end()
