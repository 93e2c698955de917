"""Clients of UDP Services meet new rules: flows that conntrack would go on sending elsewhere are deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from netlab.kernel import conntrack
from netlab.kernel.local_addresses import local_addresses
from netlab.model.rules import IPAddress, Protocol
from netlab.proxy.stale import StaleFlows

ByPort = dict[int, list[StaleFlows]]


def delete_stale_flows(stale: Iterable[StaleFlows]) -> int:
    """Delete the conntrack entries of this namespace that any of them condemns; how many there were."""
    by_port: ByPort = defaultdict(list)
    for found in stale:
        by_port[found.port].append(found)
    if not by_port:
        return 0
    condemned = list(_condemned(by_port, frozenset(local_addresses())))
    return conntrack.delete(condemned) if condemned else 0


def _condemned(by_port: ByPort, here: Collection[IPAddress]) -> Iterator[conntrack.Flow]:
    for family in {found.family for stale in by_port.values() for found in stale}:
        for flow in conntrack.flows(family):
            candidates = by_port.get(flow.original.destination_port, ())
            if flow.protocol == Protocol.UDP.value and any(_is_stale(flow, found, here) for found in candidates):
                yield flow


def _is_stale(flow: conntrack.Flow, stale: StaleFlows, here: Collection[IPAddress]) -> bool:
    return stale.condemns(
        destination=flow.original.destination,
        port=flow.original.destination_port,
        reply_source=flow.reply.source,
        local_addresses=here,
    )
