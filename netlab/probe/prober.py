"""`netlab probe`: send packets and say what became of each: verdict, Pod, translation, time.

A Prober keeps its packet sockets from one probe to the next, since closing them is slow. It moves the thread that uses
it between namespaces: one at a time, root in the lab's user namespace, that may enter the lab's network namespaces.
"""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Self

from netlab.model.cluster import ClusterView, Destination, family_of, pod_name, spell
from netlab.model.journey import Flow, PacketVerdict, ProbeResult, ProbeSummary, Translation
from netlab.model.names import Place
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import Target, TargetProtocol
from netlab.probe.exchange import Exchange, Outcome
from netlab.probe.packets import Dialect, check_spoken
from netlab.probe.sockets import NoRoute, Origin
from netlab.probe.taps import Inside, Taps, watched_pods

DEFAULT_TIMEOUT = 1.0
RATIONED = (
    "ICMP errors are rationed: where a router has no route, it tells each sender so five times, then once a second. "
    "Flows without an answer may have been turned down as well: send fewer to see."
)
"""Linux: ip_error() in net/ipv4/route.c, which only the host's namespace can change; icmp_msgs_per_sec, icmp(7)."""
BY_ICMP = (PacketVerdict.REFUSED, PacketVerdict.UNREACHABLE)
"""Verdicts that, where no Pod got the packet, an ICMP error brings."""


class Sent(NamedTuple):
    """A flow as its sender addressed it: the original tuple of its connection in conntrack."""

    protocol: TargetProtocol
    source: IPAddress
    source_port: int
    destination: IPAddress
    destination_port: int


Conntrack = Callable[[str, Sent], tuple[IPAddress, int] | None]
"""Looks a flow up in a network namespace: the destination that it was given (the source of its reply tuple), which is
the one it was sent to where nothing was translated; None where conntrack has no such flow."""


class Prober:
    """Sends probes through one lab. Close it when done."""

    def __init__(
        self,
        view: ClusterView,
        *,
        inside: Inside,
        conntrack: Conntrack,
        randomness: random.Random | None = None,
    ) -> None:
        self._view, self._inside, self._conntrack = view, inside, conntrack
        self._randomness = randomness or random.SystemRandom()
        self._taps = Taps(inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._taps.close()

    def probe(
        self,
        from_: Place,
        to: Target,
        *,
        count: int = 1,
        timeout: float = DEFAULT_TIMEOUT,
        interval: float = 0.0,
        family: Family | None = None,
        size: int = 0,
    ) -> ProbeResult:
        """Send `count` packets, each a flow of its own, and report what became of each, in the order they were sent.

        `timeout` is the seconds until a flow without answer counts as dropped, `interval` those between two packets,
        `size` the bytes of each packet where they are to be larger than need be.
        NotFound where FROM or TO is not there; NetlabError for a protocol that probes do not speak.
        """
        namespace = self._view.network_namespace(from_)
        destination = self._view.destination(to, family=family)
        check_spoken(destination)
        taps = self._open_taps(destination)
        with self._inside(namespace):
            try:
                origin = Origin(destination.address, destination.protocol)
            except NoRoute:
                return report(from_, to, (Flow(verdict=PacketVerdict.UNREACHABLE),) * count)
            try:
                journal = _Journal(self._view, from_, Dialect(origin.source, destination, size=size), self._conntrack)
                exchange = Exchange(
                    origin, journal.dialect, taps=taps, randomness=self._randomness, ended=journal.look_up
                )
                outcomes = exchange.run(count=count, timeout=timeout, interval=interval)
            finally:
                origin.close()
        return report(from_, to, tuple(journal.flow(outcome) for outcome in outcomes))

    def _open_taps(self, destination: Destination) -> tuple[socket.socket, ...]:
        pods = watched_pods(self._view, destination.address)
        namespaces = [self._view.pod_network_namespace(pod) for pod in pods]
        return self._taps.open(namespaces, family=family_of(destination.address), protocol=destination.protocol)


class _Journal:
    """What is found out about each flow beside its verdict."""

    def __init__(self, view: ClusterView, from_: Place, dialect: Dialect, conntrack: Conntrack) -> None:
        self.dialect = dialect
        self._view, self._conntrack = view, conntrack
        self._namespaces = view.translating_namespaces(from_, dialect.to.address)
        self._became: dict[int, tuple[IPAddress, int]] = {}

    def look_up(self, outcome: Outcome) -> None:
        """Ask conntrack what the flow's destination became. Services are of TCP and UDP: ICMP is not translated."""
        to = self.dialect.to
        if to.protocol is TargetProtocol.ICMP:
            return
        sent = Sent(to.protocol, self.dialect.source, outcome.tag.port, to.address, to.port)
        for namespace in self._namespaces:
            became = self._conntrack(namespace, sent)
            if became:
                self._became[outcome.tag.token] = became
                return

    def flow(self, outcome: Outcome) -> Flow:
        """The outcome as it is reported.

        The kernel forgets a connection that was answered with a reset, and a node on the way may not be the one that
        translates: then the address that the Pod was addressed by tells.
        """
        assert outcome.verdict is not None, "an exchange ends with a verdict on every flow"
        to, arrival = self.dialect.to, outcome.arrival
        pod = self._view.pod_at(arrival.destination) if arrival else None
        seen = (arrival.destination, arrival.port) if arrival else None
        candidates = (self._became.get(outcome.tag.token), seen)
        became = next((c for c in candidates if c and c != (to.address, to.port)), None)
        return Flow(
            verdict=outcome.verdict,
            pod=pod_name(pod) if pod else None,
            source_seen=str(arrival.source) if arrival and pod else None,
            milliseconds=outcome.milliseconds,
            translated=Translation(from_=str(to), to=spell(*became)) if became else None,
        )


def report(from_: Place, to: Target, flows: tuple[Flow, ...]) -> ProbeResult:
    """The flows and their summary."""
    verdicts = Counter(flow.verdict for flow in flows)
    pods = Counter(flow.pod for flow in flows if flow.pod)
    summary = ProbeSummary(verdicts=dict(sorted(verdicts.items())), pods=dict(sorted(pods.items())))
    errors = any(flow.pod is None and flow.verdict in BY_ICMP for flow in flows)
    notes = (RATIONED,) if errors and PacketVerdict.DROPPED in verdicts else ()
    return ProbeResult(from_=str(from_), to=str(to), flows=flows, summary=summary, notes=notes)
