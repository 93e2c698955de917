"""Send one flow and follow it: taps at every interface, the kernel's own trace of every rule, put in one order.

A Tracer needs a process with one thread, root in the lab's user namespace, that may enter the lab's namespaces.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from netlab.errors import KernelError, NotFound
from netlab.kernel import route_question, sysctls
from netlab.kernel.conntrack import Flow as Connection
from netlab.kernel.conntrack_news import NewConnections
from netlab.kernel.last_will import undone_in_any_case
from netlab.kernel.namespaces import inside
from netlab.kernel.route_question import Choice
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.tracing import Method, Tracing
from netlab.model.journey import Journey, PacketSeen, PacketVerdict
from netlab.model.names import Place
from netlab.model.rules import Family
from netlab.model.targets import Target, TargetProtocol
from netlab.plan.bridges import POD_BRIDGE
from netlab.plan.fabric import WIRE_BRIDGE
from netlab.probe.cluster import ClusterView, Destination, family_of
from netlab.probe.exchange import Exchange, Outcome
from netlab.probe.packets import Dialect, check_spoken
from netlab.probe.sockets import NoRoute, Origin, close_all
from netlab.probe.tracing.ending import Facts, ended
from netlab.probe.tracing.hops import Narrator, Question
from netlab.probe.tracing.passings import Scene, passings
from netlab.probe.tracing.stations import Station, answer_ports, ports, stations
from netlab.probe.tracing.visits import visits, without_silence
from netlab.probe.tracing.watch import Watch

DEFAULT_TIMEOUT = 1.0
MOST_AT_ONCE = 8
THROUGH_RULES = {Family.IPV4: "net/bridge/bridge-nf-call-iptables", Family.IPV6: "net/bridge/bridge-nf-call-ip6tables"}
BRIDGES = frozenset({POD_BRIDGE, WIRE_BRIDGE})


@dataclass(slots=True)
class _Observers:
    """Whoever looks, in each namespace that the flow may pass."""

    stations: list[Station] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    tracings: list[Tracing] = field(default_factory=list)
    news: dict[str, NewConnections] = field(default_factory=dict)

    def close(self) -> None:
        for tracing in self.tracings:
            tracing.close()
        for news in self.news.values():
            news.close()
        close_all(watch.socket for watch in self.watches)


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

        NotFound where FROM or TO is not there; MissingCapability where the kernel cannot trace; KernelError.
        """
        namespace = self._view.network_namespace(from_)
        destination = self._view.destination(to, family=family)
        check_spoken(destination)
        match = self._match(destination)
        with self._observing(from_, destination, match, method) as observers:
            outcome = self._send(namespace, destination, match, timeout)
            seen = [sighting for watch in observers.watches for sighting in watch.sightings()]
            connections = {where: list(news.flows()) for where, news in observers.news.items()}
            told = _side_by_side(Tracing.events, observers.tracings)
            events = {tracing.where: found for tracing, found in zip(observers.tracings, told, strict=True)}
            scenes = self._scenes(observers, match.family)
        narrator = Narrator(_route)
        for visit in visits(passings(match, scenes, seen, events)):
            narrator.tell(without_silence(visit))
        if not narrator.hops:
            narrator.tell_nothing(scenes[0], destination.address, _unsent(destination))
        verdict = outcome.verdict if outcome and outcome.verdict else PacketVerdict.UNREACHABLE
        return ended(from_, to, Facts(self._view, verdict, narrator, _flat(connections)))

    def _match(self, destination: Destination) -> FlowMatch:
        udp = destination.protocol is TargetProtocol.UDP
        ports = answer_ports(self._view, destination.address, destination.port) if udp else ()
        return FlowMatch(
            family_of(destination.address), destination.protocol, self._randomness.getrandbits(32), tuple(ports)
        )

    # --- looking

    @contextmanager
    def _observing(
        self, from_: Place, destination: Destination, match: FlowMatch, method: Method | None
    ) -> Iterator[_Observers]:
        observers = _Observers()
        with ExitStack() as stack:
            stack.callback(observers.close)
            for station in stations(self._view, from_, destination.address):
                with suppress(NotFound):
                    observers.watches.append(Watch(station.namespace, match))
                    observers.stations.append(station)
                    tracing = Tracing(station.namespace, match, method=method)
                    if tracing.has_rules:
                        observers.tracings.append(tracing)
                        with inside(station.namespace):
                            observers.news[station.namespace] = NewConnections(station.namespace)
            stack.enter_context(undone_in_any_case(lambda: _clean(observers.tracings)))
            _side_by_side(Tracing.prepare, observers.tracings)
            yield observers

    def _scenes(self, observers: _Observers, family: Family) -> list[Scene]:
        places = {tracing.where: tracing.nat_places for tracing in observers.tracings}
        scenes, peers = [], ports(self._view)
        for station, watch in zip(observers.stations, observers.watches, strict=True):
            bridges = BRIDGES.intersection(watch.interfaces.values())
            with inside(station.namespace):
                through = bool(bridges) and sysctls.read(THROUGH_RULES[family]) == "1"
            scenes.append(
                Scene(
                    station,
                    watch.interfaces,
                    bridges,
                    through,
                    peers.get(station.namespace, {}),
                    places.get(station.namespace, {}),
                )
            )
        return scenes

    # --- sending

    def _send(self, namespace: str, destination: Destination, match: FlowMatch, timeout: float) -> Outcome | None:
        """The flow's outcome; None where it could not even start."""
        with inside(namespace):
            try:
                origin = Origin(destination.address, destination.protocol)
            except NoRoute:
                return None
            try:
                exchange = Exchange(
                    origin,
                    Dialect(origin.source, destination),
                    taps=(),
                    randomness=self._randomness,
                    ended=lambda _outcome: None,
                    tokens=(match.token,),
                )
                (outcome,) = exchange.run(count=1, timeout=timeout, interval=0.0)
            finally:
                origin.close()
        return outcome


T = TypeVar("T")


def _side_by_side(do: Callable[[Tracing], T], tracings: Sequence[Tracing]) -> list[T]:
    """Do it for each, all at once: most of it is waiting for iptables(8), and a thread is in a namespace by itself."""
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        return list(pool.map(do, tracings))


def _clean(tracings: Sequence[Tracing]) -> None:
    """Undo what was put up, everywhere, and only then say what failed."""
    failures = [failed for failed in _side_by_side(_failure, tracings) if failed]
    if failures:
        raise failures[0]


def _failure(tracing: Tracing) -> KernelError | None:
    try:
        tracing.clean()
    except NotFound:
        return None  # the namespace is gone, and what was in it
    except KernelError as error:
        return error
    return None


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


def _flat(connections: dict[str, list[Connection]]) -> list[tuple[str, Connection]]:
    return [(where, each) for where, found in connections.items() for each in found]
