"""What goes on in a lab: two looks at all nodes' connection tracking, and what came about in between.

A flow to a Service is tracked as one on the node that translates it alone; conntrack remembers it for ten seconds at
least (thirty for UDP) after its last packet, so that looks a second apart miss none.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netlab.lab import questions
from netlab.lab.status import status
from netlab.model.activity import Activity, EndpointActivity, NodeActivity, ServiceActivity
from netlab.model.connections import FlowTable, TrackedFlow
from netlab.model.paths import LabPaths
from netlab.model.status import LabStatus

UNANSWERED = frozenset({"UNREPLIED", "SYN_SENT"})
NOBODY = "nobody"
FlowKey = tuple[str, str, str, int, str, int]


@dataclass(frozen=True, slots=True)
class Look:
    """All flows at one moment, by node and by what tells a flow from another."""

    moment: float
    flows: Mapping[str, Mapping[FlowKey, TrackedFlow]]


def look(paths: LabPaths) -> Look:
    """What all nodes track now."""
    tables = questions.flow_tables(paths)
    return Look(time.monotonic(), {table.node: by_key(table) for table in tables})


def between(paths: LabPaths, before: Look, after: Look) -> Activity:
    """What came about in between, and how the kube-proxies are now."""
    return activity(status(paths), before, after)


def activity(lab: LabStatus, before: Look, after: Look) -> Activity:
    """The same from what was seen."""
    seconds = after.moment - before.moment
    new = {node: _new(flows, before.flows.get(node, {})) for node, flows in after.flows.items()}
    everything = [flow for flows in after.flows.values() for flow in flows.values()]
    fresh = [flow for flows in new.values() for flow in flows]
    services = [f"service/{_full(row.namespace, row.name)}" for row in lab.services]
    return Activity(
        lab=lab.lab,
        seconds=round(seconds, 3),
        services=tuple(_services(services, everything, fresh, seconds)),
        nodes=tuple(
            NodeActivity(
                node=node.name,
                mode=node.proxy_mode,
                tracked=len(after.flows.get(node.name, ())),
                new_per_second=_rate(len(new.get(node.name, ())), seconds),
                proxy=node.proxy,
            )
            for node in lab.nodes
        ),
    )


def _full(namespace: str, name: str) -> str:
    return name if namespace == "default" else f"{namespace}/{name}"


def by_key(table: FlowTable) -> dict[FlowKey, TrackedFlow]:
    """The flows of a node, each by what tells it from another."""
    return {_key(flow): flow for flow in table.flows}


def _key(flow: TrackedFlow) -> FlowKey:
    source, destination = flow.original.source, flow.original.destination
    return (flow.family, flow.protocol, source.address, source.port, destination.address, destination.port)


def _new(flows: Mapping[FlowKey, TrackedFlow], before: Mapping[FlowKey, TrackedFlow]) -> list[TrackedFlow]:
    """Those that were not there before."""
    return [flow for key, flow in flows.items() if key not in before]


def _services(
    names: Sequence[str], everything: Iterable[TrackedFlow], fresh: Iterable[TrackedFlow], seconds: float
) -> Iterator[ServiceActivity]:
    tracked, new = _of_services(everything), _of_services(fresh)
    for name in names:
        flows, begun = tracked[name], new[name]
        pods = Counter(flow.pod or NOBODY for flow in flows)
        begun_pods = Counter(flow.pod or NOBODY for flow in begun)
        yield ServiceActivity(
            service=name,
            new_per_second=_rate(len(begun), seconds),
            tracked=len(flows),
            unanswered=sum(flow.state in UNANSWERED for flow in flows),
            endpoints=tuple(
                EndpointActivity(pod=pod, new_per_second=_rate(begun_pods[pod], seconds), tracked=count)
                for pod, count in sorted(pods.items())
            ),
        )


def _of_services(flows: Iterable[TrackedFlow]) -> defaultdict[str, list[TrackedFlow]]:
    found: defaultdict[str, list[TrackedFlow]] = defaultdict(list)
    for flow in flows:
        if flow.service:
            found[flow.service].append(flow)
    return found


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0
