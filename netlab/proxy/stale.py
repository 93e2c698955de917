"""UDP flows that conntrack would keep sending to an endpoint that is gone.

A flow is translated once, by its first packet; while its client goes on sending from the same port, conntrack repeats
the translation whatever the rules say now. TCP notices (the connection breaks), UDP does not: so kube-proxy deletes
such entries, and the next packet meets the rules again. The same holds for a flow that began before there was a
Service: it goes untranslated until its entry is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from netlab.model.rules import Family, IPAddress, Protocol
from netlab.proxy.addresses import family_of
from netlab.proxy.ports import PortKey, ServicePort
from netlab.proxy.slices import Endpoint


class _Frontend(NamedTuple):
    family: Family
    address: IPAddress | None
    port: int


@dataclass(frozen=True, slots=True)
class StaleFlows:
    """Conntrack entries to delete: UDP, sent to `address`:`port`, answered by anybody who is not in `serving`.

    `address` None is a node port: sent to any of the node's own addresses.
    """

    family: Family
    address: IPAddress | None
    port: int
    serving: frozenset[IPAddress]

    def condemns(
        self, *, destination: IPAddress, port: int, reply_source: IPAddress, local_addresses: Collection[IPAddress]
    ) -> bool:
        """Whether a UDP entry goes: its original destination and port, and who answers (--reply-src)."""
        if port != self.port or family_of(destination) is not self.family or reply_source in self.serving:
            return False
        return destination in local_addresses if self.address is None else destination == self.address


class UdpFrontends:
    """Who may answer on every UDP address and port, and for which of them that changed.

    Two Services may have one address and port: a flow to either's endpoints may stay, whichever gets the new flows.
    """

    def __init__(self) -> None:
        self._serving: dict[_Frontend, dict[PortKey, frozenset[IPAddress]]] = {}
        self._before: dict[_Frontend, frozenset[IPAddress] | None] = {}

    def add(self, port: ServicePort, endpoints: tuple[Endpoint, ...]) -> None:
        """From now on these endpoints answer there. Policies do not matter: an existing flow may stay where it is."""
        if port.key.protocol is not Protocol.UDP:
            return
        serving = frozenset(endpoint.address for endpoint in endpoints if endpoint.serving)
        for frontend in _frontends(port):
            self._remember(frontend)
            self._serving.setdefault(frontend, {})[port.key] = serving

    def remove(self, port: ServicePort) -> None:
        """Nobody answers there any more, unless another port has the address too."""
        if port.key.protocol is not Protocol.UDP:
            return
        for frontend in _frontends(port):
            if (known := self._serving.get(frontend)) and port.key in known:
                self._remember(frontend)
                del known[port.key]
                if not known:
                    del self._serving[frontend]

    def collect(self) -> tuple[StaleFlows, ...]:
        """What became stale since the last call."""
        found = tuple(
            StaleFlows(frontend.family, frontend.address, frontend.port, serving)
            for frontend, before in self._before.items()
            if (serving := self._now(frontend) or frozenset()) != before
        )
        self._before.clear()
        return found

    def _remember(self, frontend: _Frontend) -> None:
        self._before.setdefault(frontend, self._now(frontend))

    def _now(self, frontend: _Frontend) -> frozenset[IPAddress] | None:
        known = self._serving.get(frontend)
        return frozenset().union(*known.values()) if known else None


def _frontends(port: ServicePort) -> Iterator[_Frontend]:
    for address in port.addresses:
        yield _Frontend(port.key.family, address, port.port)
    if port.node_port:
        yield _Frontend(port.key.family, None, port.node_port)
