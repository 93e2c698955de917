"""Send one flow and tell its journey: taps at every interface, the kernel's own trace of every rule, in one order.

A Tracer needs a process with one thread, root in the lab's user namespace, that may enter the lab's namespaces.
"""

from __future__ import annotations

import random

from netlab.kernel import route_question, sysctls
from netlab.kernel.namespaces import inside
from netlab.kernel.route_question import Choice
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.tracing import Method
from netlab.model.cluster import ClusterView, Destination, family_of
from netlab.model.journey import Journey, PacketSeen, PacketVerdict
from netlab.model.names import Place
from netlab.model.rules import Family
from netlab.model.targets import Target, TargetProtocol
from netlab.probe.exchange import Exchange, Outcome
from netlab.probe.headers import Headers, read_headers
from netlab.probe.packets import Dialect, check_spoken
from netlab.probe.sockets import NoRoute, Origin
from netlab.probe.tracing.counted import with_counted
from netlab.probe.tracing.ending import Facts, ended
from netlab.probe.tracing.hops import Narrator, Question
from netlab.probe.tracing.observers import Record, observing
from netlab.probe.tracing.passings import passings
from netlab.probe.tracing.proxied import follow_proxy, is_taken_in, joined
from netlab.probe.tracing.stations import answer_ports, endpoints, has_proxies, ports, stations
from netlab.probe.tracing.visits import Visit, visits, without_silence

DEFAULT_TIMEOUT = 1.0


class Tracer:
    """Traces flows through one lab."""

    def __init__(self, view: ClusterView, *, randomness: random.Random | None = None) -> None:
        self._view, self._randomness = view, randomness or random.SystemRandom()

    def trace(
        self,
        from_: Place,
        to: Target,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        method: Method | None = None,
        family: Family | None = None,
    ) -> Journey:
        """Send one packet and tell its journey, and its answer's. `timeout` is seconds until it counts as dropped.

        Where a proxy takes the packet in and would speak to a Pod itself, a real connection is made as well, and the
        proxy's own is told as the second half. NotFound where FROM or TO is not there; MissingCapability where the
        kernel cannot do what `method` asks for; KernelError.
        """
        namespace = self._view.network_namespace(from_)
        destination = self._view.destination(to, family=family)
        check_spoken(destination)
        match = self._match(destination)
        places = stations(self._view, from_, destination.address)
        cables = ports(self._view)
        with observing(match, places, ports=cables, method=method) as observers:
            outcome, sent = self._send(namespace, destination, match, timeout)
            record = observers.record()
        stays, connections = _stays(match, record, sent), record.connections
        everybody = self._view.endpoint_sockets()
        if destination.protocol is TargetProtocol.TCP and is_taken_in(stays, destination, everybody):
            meant = endpoints(self._view, destination.address, destination.port)
            any_connection = FlowMatch(match.family, match.protocol, None)
            with observing(any_connection, places, ports=cables, method=method) as observers:
                second = follow_proxy(observers, namespace, destination, endpoints=meant, timeout=timeout)
            if second is not None:
                connections = connections + second.record.connections
                stays = joined(stays, _stays(second.match, second.record, None))
        verdict = outcome.verdict if outcome and outcome.verdict else PacketVerdict.UNREACHABLE
        narrator, counted = _told(stays, record, destination), frozenset(record.counted)
        return ended(from_, to, Facts(self._view, verdict, narrator, connections, counted))

    def _match(self, destination: Destination) -> FlowMatch:
        udp = destination.protocol is TargetProtocol.UDP and not has_proxies(self._view)
        answers = answer_ports(self._view, destination.address, destination.port) if udp else ()
        token = self._randomness.getrandbits(32)
        return FlowMatch(family_of(destination.address), destination.protocol, token, answers)

    def _send(
        self, namespace: str, destination: Destination, match: FlowMatch, timeout: float
    ) -> tuple[Outcome | None, Headers | None]:
        """The flow's outcome and the packet that was sent; None where it could not even start."""
        with inside(namespace):
            try:
                origin = Origin(destination.address, destination.protocol)
            except NoRoute:
                return None, None
            dialect = Dialect(origin.source, destination)
            try:
                exchange = Exchange(
                    origin,
                    dialect,
                    taps=(),
                    randomness=self._randomness,
                    ended=lambda _outcome: None,
                    tokens=() if match.token is None else (match.token,),
                )
                (outcome,) = exchange.run(count=1, timeout=timeout, interval=0.0)
            finally:
                origin.close()
        return outcome, read_headers(dialect.request(outcome.tag))


def _stays(match: FlowMatch, record: Record, sent: Headers | None) -> list[Visit]:
    """What was seen of the flow; `sent` is its first packet, where it started from outside of what was seen."""
    traced = passings(match, record.scenes, record.seen, record.events)
    if record.counted:
        traced = with_counted(traced, record.counted, record.connections, scene=record.scenes[0], sent=sent)
    return visits(traced)


def _says_anything(stay: Visit) -> bool:
    return bool(stay.passings)


def _told(stays: list[Visit], record: Record, destination: Destination) -> Narrator:
    narrator = Narrator(_route)
    for stay in filter(_says_anything, map(without_silence, stays)):
        narrator.tell(stay)
    if not narrator.hops:
        narrator.tell_nothing(record.scenes[0], destination.address, _unsent(destination))
    return narrator


def _route(question: Question) -> Choice:
    scene = question.scene
    indexes = {name: number for number, name in scene.interfaces.items()}
    with inside(scene.station.namespace):
        version = question.destination.version
        forwarding = (
            sysctls.read(f"net/ipv{version}/conf/{question.incoming}/forwarding") if question.incoming else None
        )
        choice = route_question.choose(
            question.destination,
            source=question.source if question.incoming else None,
            incoming=indexes.get(question.incoming, 0),
            mark=question.mark,
            where=scene.station.namespace,
        )
    if choice.number and forwarding == "0":
        said = f"net.ipv{version}.conf.{question.incoming}.forwarding is 0: nothing that comes in there is passed on"
        return Choice(f"{choice.text} ({said})", choice.number)
    return choice


def _unsent(destination: Destination) -> PacketSeen:
    """The packet that would have been sent; no source was chosen for it."""
    port = destination.port or None
    return PacketSeen(src="", dst=str(destination.address), proto=destination.protocol.value, dport=port)
