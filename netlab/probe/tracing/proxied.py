"""Mode userspace: a packet ends at the node's kube-proxy, which has a connection of its own to a Pod.

A probe's packet never becomes a connection, so its proxy never speaks to a Pod. A real connection is made to see that.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from netlab.kernel.namespaces import inside
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.model.cluster import Destination
from netlab.model.journey import Way
from netlab.model.rules import IPAddress
from netlab.probe.headers import Headers
from netlab.probe.sockets import FAMILIES
from netlab.probe.tracing.observers import Observers, Record
from netlab.probe.tracing.visits import Visit
from netlab.probe.tracing.watch import Sighting

OPENS = "S"
NODE = "node/"


@dataclass(frozen=True, slots=True)
class Second:
    """The proxy's own connection."""

    match: FlowMatch
    record: Record


def is_taken_in(stays: Sequence[Visit], destination: Destination, endpoints: Collection[tuple[IPAddress, int]]) -> bool:
    """Whether the packet was led to a program of a node that is no endpoint, and that answered."""
    requests = [stay for stay in stays if stay.way is Way.REQUEST]
    if not requests or not any(stay.way is Way.REPLY for stay in stays):
        return False
    last = requests[-1]
    headers = last.passings[-1].headers
    got = (headers.destination, headers.destination_port)
    at_node = last.scene.station.at.startswith(NODE) and last.left_by is None
    return at_node and got != (destination.address, destination.port) and got not in endpoints


def follow_proxy(
    observers: Observers,
    namespace: str,
    destination: Destination,
    *,
    endpoints: Collection[tuple[IPAddress, int]],
    timeout: float,
) -> Second | None:
    """Connect, and wait until the proxy's own connection is answered, `timeout` seconds; None where it has none."""
    with inside(namespace):
        client = socket.socket(FAMILIES[observers.match.family], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with client:
        if client.connect_ex((str(destination.address), destination.port)) not in (0, errno.EINPROGRESS):
            return None
        seen = _until_answered(observers, endpoints, timeout)
    opening = _opening(seen, endpoints)
    if opening is None:
        return None
    return Second(replace(observers.match, token=opening.sequence), observers.record(seen))


def joined(first: Sequence[Visit], second: Sequence[Visit]) -> list[Visit]:
    """Both connections as one journey: there by the first and the second, back by the second and the first."""
    return [
        *(stay for stay in first if stay.way is Way.REQUEST),
        *(stay for stay in second if stay.way is Way.REQUEST),
        *(stay for stay in second if stay.way is Way.REPLY),
        *(stay for stay in first if stay.way is Way.REPLY),
    ]


def _until_answered(
    observers: Observers, endpoints: Collection[tuple[IPAddress, int]], timeout: float
) -> list[Sighting]:
    deadline = time.monotonic() + timeout
    seen: list[Sighting] = []
    with selectors.DefaultSelector() as selector:
        for watch in observers.watches:
            selector.register(watch.socket, selectors.EVENT_READ, watch)
        while (left := deadline - time.monotonic()) > 0 and not _is_answered(seen, endpoints):
            for key, _ in selector.select(left):
                seen += key.data.sightings()
    return seen


def _is_answered(seen: Sequence[Sighting], endpoints: Collection[tuple[IPAddress, int]]) -> bool:
    """Whether the answer has come back to the place that opened the connection."""
    opening = _opening(seen, endpoints)
    if opening is None:
        return False
    start = next(each.where for each in seen if each.headers == opening)
    return any(each.where == start and each.headers.ends == opening.reversed_ends for each in seen)


def _opening(seen: Sequence[Sighting], endpoints: Collection[tuple[IPAddress, int]]) -> Headers | None:
    """The first packet of the connection to an endpoint; a kubelet that probes another port of the Pod is not it."""
    for headers in (each.headers for each in seen):
        if headers.flags == OPENS and (headers.destination, headers.destination_port) in endpoints:
            return headers
    return None
