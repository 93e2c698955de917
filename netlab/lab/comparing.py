"""`netlab compare`: the same packets through two nodes' proxies, or through two labs, and what fares otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.dns.addon import DNS_SERVICE
from netlab.errors import NotFound
from netlab.lab import questions
from netlab.lab.view import running_view
from netlab.lab.ways_in import entrances
from netlab.model.cluster import ClusterView, pod_place
from netlab.model.faring import Comparison, Difference, Fate, Way
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import SERVICE_NAME_LABEL, Pod
from netlab.model.paths import LabPaths


@dataclass(frozen=True, slots=True)
class Pair:
    """The same packets on either side."""

    packets: str
    a: Way
    b: Way


def compare_nodes(paths: LabPaths, a: str, b: str) -> Comparison:
    """Send the same packets through the proxies of two nodes of a lab. NotFound: there is no such node."""
    view = running_view(paths)
    for name in (a, b):
        view.network_namespace(Place(PlaceKind.NODE, name))
    pairs, notes = list(_of_nodes(view, a, b)), list(_unlike(view, a, b))
    first, second = (questions.fates(paths, [getattr(pair, side) for pair in pairs]) for side in ("a", "b"))
    return _comparison((f"node/{a}", f"node/{b}"), pairs, (first, second), notes)


def compare_labs(a: LabPaths, b: LabPaths) -> Comparison:
    """Send the same packets through two labs. NotFound: they have no node, or no Service, in common."""
    one, other = dict(_of_lab(running_view(a))), dict(_of_lab(running_view(b)))
    pairs = [Pair(words, way, other[words]) for words, way in one.items() if words in other]
    if not pairs:
        raise NotFound(f"labs {a.lab} and {b.lab} have no nodes and Services of the same names")
    alone = len(one.keys() ^ other.keys())
    notes = [f"{alone} kinds of packets can be sent in one of the labs alone"] if alone else []
    fates = questions.fates(a, [pair.a for pair in pairs]), questions.fates(b, [pair.b for pair in pairs])
    return _comparison((a.lab, b.lab), pairs, fates, notes)


def _comparison(
    names: tuple[str, str], pairs: Sequence[Pair], fates: tuple[list[Fate], list[Fate]], notes: Sequence[str]
) -> Comparison:
    found = zip(pairs, *fates, strict=True)
    return Comparison(
        a=names[0],
        b=names[1],
        compared=len(pairs),
        differences=tuple(
            Difference(packets=pair.packets, a=str(one), b=str(other)) for pair, one, other in found if one != other
        ),
        notes=tuple(notes),
    )


# --- two nodes


def _of_nodes(view: ClusterView, a: str, b: str) -> Iterator[Pair]:
    """What the nodes themselves send, a Pod on each, and to each node's ports a machine outside."""
    senders = [("the node", f"node/{a}", f"node/{b}")]
    if pods := _alike(view, a, b):
        senders.append(("a Pod of the node", str(pod_place(pods[0])), str(pod_place(pods[1]))))
    machines = [f"external/{each.name}" for each in view.topology.spec.externals[:1]]
    outside = [(machine, machine, machine) for machine in machines]
    for entrance in entrances(view):
        for words, first, second in (*senders, *(outside if entrance.at_node else ())):
            yield Pair(f"{words} -> {entrance.words}", entrance.way(first, a), entrance.way(second, b))


def _alike(view: ClusterView, a: str, b: str) -> tuple[Pod, Pod] | None:
    """A Pod on either node, both behind the same Services: best behind none."""
    found = sorted(((_services_of(view, pod), pod) for pod in view.pods if _sends(pod)), key=lambda each: len(each[0]))
    for behind, one in found:
        for also, other in found:
            if (one.spec.node_name, other.spec.node_name) == (a, b) and behind == also:
                return one, other
    return None


def _unlike(view: ClusterView, a: str, b: str) -> Iterator[str]:
    if not _alike(view, a, b):
        yield f"no two Pods of {a} and {b} stand behind the same Services: what Pods send was not compared"
    if not view.topology.spec.externals:
        yield "the lab has no machine outside: what comes from there was not compared"


def _sends(pod: Pod) -> bool:
    ready = pod.condition("Ready") and not pod.spec.host_network
    return ready and pod.metadata.namespace != DNS_SERVICE[0]


def _services_of(view: ClusterView, pod: Pod) -> frozenset[str]:
    """The Services that the Pod stands behind."""
    return frozenset(
        piece.metadata.labels.get(SERVICE_NAME_LABEL, "")
        for piece in view.endpoint_slices
        for endpoint in piece.endpoints
        if endpoint.target_ref and endpoint.target_ref.name == pod.metadata.name
    )


# --- two labs


def _of_lab(view: ClusterView) -> Iterator[tuple[str, Way]]:
    """By words for what is sent: everything that a node, a Pod of its own and a machine outside can send."""
    for node in view.nodes:
        name = node.metadata.name
        pods = [pod for pod in view.pods if _sends(pod) and pod.spec.node_name == name][:1]
        inside = [Place(PlaceKind.NODE, name), *map(pod_place, pods)]
        outside = [Place(PlaceKind.EXTERNAL, each.name) for each in view.topology.spec.externals]
        for entrance in entrances(view):
            for place in (*inside, *(outside if entrance.at_node or entrance.outside else ())):
                way = entrance.way(str(place), name)
                at = f" of {name}" if entrance.at_node else ""
                sender = f"a Pod of {name}" if place.kind is PlaceKind.POD else str(place)
                yield f"{sender} -> {entrance.words}{at}", way
