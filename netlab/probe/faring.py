"""How the packets of many ways fare, in words that are the same on two nodes, or in two labs, that do the same."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from netlab.model.cluster import ClusterView, node_addresses, pod_addresses, pod_name
from netlab.model.faring import Fate, Way
from netlab.model.journey import Flow, PacketVerdict
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Pod
from netlab.model.rules import IPAddress
from netlab.model.targets import Target
from netlab.probe.check import SAMPLE, Send, asked_again

THE_SENDER, THE_NODE = "the sender", "the node"
ANY_POD, OWN_POD = "one of its Pods", "a Pod of that node"


def fate(way: Way, *, view: ClusterView, send: Send) -> Fate:
    """Send the way's packets. NotFound: a place or a target is not there."""
    source, target = Place.parse(way.source), Target.parse(way.target)

    def sample(count: int) -> tuple[Flow, ...]:
        return send(source, target, count=count, family=way.family).flows

    flows = sample(min(SAMPLE, way.flows))
    if any(flow.verdict is PacketVerdict.REACHED for flow in flows) and way.flows > len(flows):
        flows += sample(way.flows - len(flows))
    else:
        flows = asked_again(flows, sample)
    return Fate(
        verdicts=tuple(sorted({flow.verdict for flow in flows})),
        pods=tuple(sorted({_pod(view, way, flow.pod) for flow in flows if flow.pod})),
        sources=tuple(
            sorted({_source(view, way, source, ip_address(flow.source_seen)) for flow in flows if flow.source_seen})
        ),
    )


def _pod(view: ClusterView, way: Way, name: str) -> str:
    if way.loyal:
        return ANY_POD
    pod = next(pod for pod in view.pods if pod_name(pod) == name)
    if way.local and pod.spec.node_name == way.node:
        return OWN_POD
    owner = next(iter(pod.metadata.owner_references), None)
    return f"a Pod of {owner.kind.lower()}/{owner.name}" if owner else name


def _source(view: ClusterView, way: Way, sender: Place, seen: IPAddress) -> str:
    if seen in _addresses(view, sender):
        return THE_SENDER
    for node in view.nodes:
        if seen in node_addresses(node) or _is_of_bridge(view, node.spec.pod_cidrs, seen):
            return THE_NODE if node.metadata.name == way.node else f"node/{node.metadata.name}"
    return str(seen)


def _addresses(view: ClusterView, place: Place) -> tuple[IPAddress, ...]:
    """A node's own address is told as the node's: whether it was put there nobody can see."""
    if place.kind is PlaceKind.POD:
        return pod_addresses(view.pod(place.name, namespace=place.namespace))
    return view.external_addresses.get(place.name, ()) if place.kind is PlaceKind.EXTERNAL else ()


def _is_of_bridge(view: ClusterView, ranges: Iterable[str], seen: IPAddress) -> bool:
    """Whether it is the node's address among its Pods."""
    pod: Pod | None = view.pod_at(seen)
    return pod is None and any(seen in ip_network(text) for text in ranges)
