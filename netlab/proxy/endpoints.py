"""Which endpoints a packet may reach from one node: readiness, termination, hints, traffic policies."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from netlab.proxy.config import NodeFacts
from netlab.proxy.ports import ServicePort
from netlab.proxy.slices import Endpoint

Endpoints = tuple[Endpoint, ...]
_is_ready: Callable[[Endpoint], bool] = attrgetter("ready")
_nodes: Callable[[Endpoint], frozenset[str]] = attrgetter("nodes")
_zones: Callable[[Endpoint], frozenset[str]] = attrgetter("zones")


class Usable(NamedTuple):
    """The endpoints of one Service port that are in use, each group sorted by name.

    `cluster` serves traffic of the policy Cluster and is empty where nothing follows it; `local` likewise for the
    policy Local. `anywhere` tells whether any node has an endpoint: only without one is a client refused.
    """

    cluster: Endpoints = ()
    local: Endpoints = ()
    anywhere: bool = False

    @property
    def reachable(self) -> Endpoints:
        """Both groups together, each endpoint once."""
        if not self.local or self.local == self.cluster:
            return self.cluster
        if not self.cluster:
            return self.local
        by_name = {endpoint.name: endpoint for endpoint in self.cluster + self.local}
        return tuple([by_name[name] for name in sorted(by_name)])


def usable_endpoints(
    port: ServicePort, endpoints: Endpoints, *, node: NodeFacts, local_falls_back: bool = False
) -> Usable:
    """Choose out of all endpoints of a port those that this node sends packets to.

    Each policy falls back by itself: where none of its endpoints is ready, those that terminate but still serve. With
    `local_falls_back` what is bound to its node uses all endpoints where the node has none.
    """
    if not endpoints:
        return Usable()
    cluster = _cluster(endpoints, node=node) if port.uses_cluster or local_falls_back else ()
    if not port.uses_local:
        return Usable(cluster=cluster, anywhere=bool(cluster))
    anywhere = any(_is_ready(endpoint) or _is_last_resort(endpoint) for endpoint in endpoints)
    local = tuple([endpoint for endpoint in endpoints if endpoint.local])
    return Usable(cluster=cluster, local=_ready_or_last_resort(local), anywhere=anywhere)


def alike(endpoints: Endpoints) -> Usable:
    """Choose where neither traffic policies nor hints matter: in mode userspace, which is older than both."""
    found = _ready_or_last_resort(endpoints)
    return Usable(cluster=found, anywhere=bool(found))


def _cluster(endpoints: Endpoints, *, node: NodeFacts) -> Endpoints:
    """Hints narrow the ready endpoints only; in the fall-back they are ignored."""
    found = _ready_or_last_resort(endpoints)
    return _hinted(found, node=node) if found and found[0].ready else found


def _hinted(ready: Endpoints, *, node: NodeFacts) -> Endpoints:
    """The endpoints meant for this node, else those for its zone, else all.

    A kind of hint counts only if every ready endpoint has one and at least one matches; so a node without a zone sees
    no zone hints.
    """
    if not (ready[0].nodes or ready[0].zones):
        return ready
    hints: tuple[tuple[Callable[[Endpoint], frozenset[str]], str], ...] = ((_nodes, node.name), (_zones, node.zone))
    for hint_of, wanted in hints:
        if all(map(hint_of, ready)) and (matching := tuple([e for e in ready if wanted in hint_of(e)])):
            return matching
    return ready


def _ready_or_last_resort(endpoints: Endpoints) -> Endpoints:
    if all(map(_is_ready, endpoints)):
        return endpoints
    ready = tuple(filter(_is_ready, endpoints))
    return ready or tuple(filter(_is_last_resort, endpoints))


def _is_last_resort(endpoint: Endpoint) -> bool:
    return endpoint.serving and endpoint.terminating
