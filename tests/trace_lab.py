"""The model against the kernel: what real probes of a running lab saw that its prediction does not allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netlab.lab import questions
from netlab.lab.view import running_view
from netlab.model.cluster import ClusterView, node_addresses, pod_name, pod_place, spell
from netlab.model.journey import Flow
from netlab.model.names import Place, PlaceKind
from netlab.model.paths import LabPaths
from netlab.model.targets import Target
from netlab.trace import Foretold, Prediction, TracedLab, compare, foretell

Pair = tuple[str, str]
SYSTEM = "kube-system"


def disagreements(paths: LabPaths, pairs: Iterable[Pair], *, count: int = 4) -> list[str]:
    """A line for each pair of places whose probes fared otherwise than foretold."""
    lab = TracedLab(running_view(paths))
    found = []
    for from_, to in pairs:
        prediction = foretell(lab, Place.parse(from_), Target.parse(to))
        protocol = Target.parse(to).protocol.value
        result = questions.probe(paths, from_, to, protocol=protocol, count=count, timeout=0.4)
        told = result.flows[:1] if result.notes else result.flows  # ICMP errors are rationed
        if wrong := [flow for flow in told if not any(_fits(flow, way) for way in prediction.ways)]:
            found.append(f"{from_} -> {to}: {_flow(wrong[0])}, foretold {_ways(prediction)}")
    return found


def differences(paths: LabPaths, pairs: Iterable[Pair]) -> list[str]:
    """A line for each pair of places between which a traced packet went otherwise than foretold, hop by hop."""
    lab, found = TracedLab(running_view(paths)), []
    for from_, to in pairs:
        prediction = foretell(lab, Place.parse(from_), Target.parse(to))
        journey = compare(questions.trace(paths, from_, to, timeout=0.5), prediction)
        if not journey.agrees:
            found.append(f"{from_} -> {to}: {journey.first_difference}")
    return found


def _fits(flow: Flow, way: Foretold) -> bool:
    """Nobody who probes TCP through a kube-proxy in mode userspace sees the Pod behind it."""
    if flow.verdict is not way.verdict:
        return False
    if any(hop.hook == "proxy" for hop in way.hops) and flow.pod is None:
        return True
    translated = flow.translated.to if flow.translated else None
    known = translated is None or way.translated is None or translated == way.translated
    return known and (flow.pod, flow.source_seen) == (way.pod, way.source_seen)


def _flow(flow: Flow) -> str:
    return f"saw {flow.verdict.value}, {flow.pod} from {flow.source_seen}, {flow.translated and flow.translated.to}"


def _ways(prediction: Prediction) -> str:
    return "; ".join(
        f"{way.verdict.value}, {way.pod} from {way.source_seen}, {way.translated}" for way in prediction.ways
    )


def expected_pairs(view: ClusterView) -> list[Pair]:
    """Every pair of places that the lab's file expects something of."""
    return [(each.from_, each.to) for each in view.topology.spec.expect]


def all_pairs(view: ClusterView) -> list[Pair]:
    """From every place to everything that a packet can be sent to, and to a few things that are not there.

    A Pod's own loopback is left out: who answers there a probe does not see.
    """
    return [
        (str(place), target)
        for place in _places(view)
        for target in dict.fromkeys(_targets(view))
        if place.kind is not PlaceKind.POD or not target.startswith("127.")
    ]


def _places(view: ClusterView) -> Iterator[Place]:
    yield from (Place(PlaceKind.NODE, node.metadata.name) for node in view.nodes)
    yield from (Place(PlaceKind.EXTERNAL, external.name) for external in view.topology.spec.externals)
    yield from (pod_place(pod) for pod in view.pods if pod.metadata.namespace != SYSTEM)


def _targets(view: ClusterView) -> Iterator[str]:
    for service in view.services:
        addresses = [*service.spec.cluster_ips, *service.spec.external_ips]
        addresses += [each.ip for each in service.status.load_balancer.ingress if each.ip]
        for port in service.spec.ports:
            suffix = f"/{port.protocol.lower()}"
            for address in addresses:
                if address != "None":
                    yield _at(address, port.port, suffix)
                    yield _at(address, port.port + 1, suffix)
            for node in view.nodes if port.node_port else ():
                yield from (_at(str(each), port.node_port or 0, suffix) for each in node_addresses(node))
            if port.node_port:
                yield _at("127.0.0.1", port.node_port, suffix)
    for pod in view.pods:
        for container in pod.spec.containers:
            yield from (f"pod/{pod_name(pod)}:{p.container_port}/{p.protocol.lower()}" for p in container.ports[:1])
        yield f"pod/{pod_name(pod)}:9/udp"
        yield f"pod/{pod_name(pod)}/icmp"
    for address in (view.topology.spec.network.pod_cidrs[0][-2], view.topology.spec.network.service_cidrs[0][-2]):
        yield _at(str(address), 80, "/tcp")
    yield from (f"node/{node.metadata.name}:9/tcp" for node in view.nodes)


def _at(address: str, port: int, suffix: str) -> str:
    return f"{spell(ip_address(address), port)}{suffix}"
