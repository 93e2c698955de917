"""Which endpoint gets the next client of a Service port: one after the other, or the one that it had before."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from netlab.proxy.slices import Endpoint

CLIENTS_AT_MOST = 10_000
"""Clients remembered for session affinity by one Service port; of more, those that came last."""


class _Remembered(NamedTuple):
    endpoint: str
    last: float


class Balancer:
    """The endpoints of one Service port in turn. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._turns: tuple[str, ...] = ()
        self._next = 0
        self._affinity_seconds: int | None = None
        self._clients: OrderedDict[str, _Remembered] = OrderedDict()

    def follow(self, endpoints: tuple[Endpoint, ...], *, affinity_seconds: int | None) -> None:
        """These are the endpoints now. A client whose endpoint is still there keeps it."""
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._turns = tuple(self._endpoints)
        self._affinity_seconds = affinity_seconds
        if affinity_seconds is None:
            self._clients.clear()

    def has(self, endpoint: Endpoint) -> bool:
        """Whether that is one of the endpoints."""
        return endpoint.name in self._endpoints

    def pick(self, client: str, *, now: float) -> Endpoint | None:
        """The endpoint for a client with that address; None where there is none."""
        if not self._turns:
            return None
        found = self._before(client, now=now) or self._in_turn()
        if self._affinity_seconds is not None:
            self._remember(client, _Remembered(found.name, now))
        return found

    def forget(self, client: str) -> None:
        """Its endpoint did not answer: the client is as new."""
        self._clients.pop(client, None)

    def _before(self, client: str, *, now: float) -> Endpoint | None:
        known = self._clients.get(client)
        if known is None or self._affinity_seconds is None or now - known.last >= self._affinity_seconds:
            return None
        return self._endpoints.get(known.endpoint)

    def _in_turn(self) -> Endpoint:
        name = self._turns[self._next % len(self._turns)]
        self._next = (self._next + 1) % len(self._turns)
        return self._endpoints[name]

    def _remember(self, client: str, remembered: _Remembered) -> None:
        self._clients[client] = remembered
        self._clients.move_to_end(client)
        if len(self._clients) > CLIENTS_AT_MOST:
            self._clients.popitem(last=False)
