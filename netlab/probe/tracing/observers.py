"""Whoever looks while a flow passes: packet sockets, the trace of the rules, conntrack's news, in each namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from netlab.errors import KernelError, NotFound
from netlab.kernel import sysctls
from netlab.kernel.conntrack import Flow as Connection
from netlab.kernel.conntrack_news import NewConnections
from netlab.kernel.last_will import undone_in_any_case
from netlab.kernel.namespaces import inside
from netlab.kernel.tracing.events import TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.kernel.tracing.tracing import Method, Tracing
from netlab.model.rules import Family
from netlab.plan.bridges import POD_BRIDGE
from netlab.plan.fabric import WIRE_BRIDGE
from netlab.probe.sockets import close_all
from netlab.probe.tracing.passings import Scene
from netlab.probe.tracing.stamps import wait_for_stamps
from netlab.probe.tracing.stations import FABRIC, Station
from netlab.probe.tracing.watch import Sighting, Watch

MOST_AT_ONCE = 8
THROUGH_RULES = {Family.IPV4: "net/bridge/bridge-nf-call-iptables", Family.IPV6: "net/bridge/bridge-nf-call-ip6tables"}
BRIDGES = frozenset({POD_BRIDGE, WIRE_BRIDGE})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """What all of them have to tell; connections with the namespace that made them."""

    scenes: list[Scene]
    seen: list[Sighting]
    events: dict[str, list[TraceEvent]]
    connections: list[tuple[str, Connection]]
    counted: dict[str, list[TraceEvent]]
    """By namespace, where rules are counted and not traced: those whose counters grew."""


@dataclass(slots=True)
class Observers:
    """The observers of one flow. `ports` says of each namespace what hangs on the ports of its bridge."""

    match: FlowMatch
    ports: dict[str, dict[str, str]]
    stations: list[Station] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    tracings: list[Tracing] = field(default_factory=list)
    news: dict[str, NewConnections] = field(default_factory=dict)

    def look_at(self, station: Station, method: Method | None) -> None:
        """Look there too. NotFound where the place is gone."""
        self.watches.append(Watch(station.namespace, self.match))
        self.stations.append(station)
        tracing = Tracing(station.namespace, self.match, method=method)
        if tracing.has_rules:
            self.tracings.append(tracing)
            with inside(station.namespace):
                self.news[station.namespace] = NewConnections(station.namespace)

    def record(self, seen: Iterable[Sighting] = ()) -> Record:
        """What they have seen until now, after what was `seen` before."""
        told = _side_by_side(Tracing.events, self.tracings)
        return Record(
            scenes=self._scenes(),
            seen=[*seen, *(sighting for watch in self.watches for sighting in watch.sightings())],
            events={tracing.where: found for tracing, found in zip(self.tracings, told, strict=True)},
            connections=[(where, each) for where, news in self.news.items() for each in news.flows()],
            counted={
                tracing.where: tracing.counted() for tracing in self.tracings if tracing.method is Method.COUNTERS
            },
        )

    def close(self) -> None:
        """Stop looking."""
        for tracing in self.tracings:
            tracing.close()
        for news in self.news.values():
            news.close()
        close_all(watch.socket for watch in self.watches)

    def _scenes(self) -> list[Scene]:
        places = {tracing.where: tracing.nat_places for tracing in self.tracings}
        return [
            _scene(station, watch, self.match.family, self.ports, places)
            for station, watch in zip(self.stations, self.watches, strict=True)
        ]


@contextmanager
def observing(
    match: FlowMatch, places: Iterable[Station], *, ports: dict[str, dict[str, str]], method: Method | None
) -> Iterator[Observers]:
    """Look at the flow in those places as long as the block lasts; what that takes is undone in any case.

    MissingCapability where the kernel cannot do what `method` asks for; KernelError.
    """
    observers = Observers(match, ports)
    with ExitStack() as stack:
        stack.callback(observers.close)
        for station in places:
            with suppress(NotFound):
                observers.look_at(station, method)
        stack.enter_context(undone_in_any_case(lambda: _clean(observers.tracings)))
        _side_by_side(Tracing.prepare, observers.tracings)
        wait_for_stamps(_quiet(observers.stations))
        yield observers


def _quiet(stations: Sequence[Station]) -> str:
    """The namespace of the wire between the nodes, whose loopback nobody uses, or whichever there is."""
    return next((each.namespace for each in stations if each.at == FABRIC), stations[0].namespace)


def _scene(
    station: Station,
    watch: Watch,
    family: Family,
    ports: dict[str, dict[str, str]],
    places: dict[str, dict[str, str]],
) -> Scene:
    bridges = BRIDGES.intersection(watch.interfaces.values())
    with inside(station.namespace):
        through = bool(bridges) and sysctls.read(THROUGH_RULES[family]) == "1"
    return Scene(
        station,
        interfaces=watch.interfaces,
        bridges=bridges,
        through_rules=through,
        peers=ports.get(station.namespace, {}),
        nat_places=places.get(station.namespace, {}),
    )


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
