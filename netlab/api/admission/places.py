"""Whose name makes which network namespace: no two places of a lab may share one."""

from __future__ import annotations

from collections import Counter

from netlab.api.admission.causes import Causes, duplicate, wrong
from netlab.api.journal import EventType
from netlab.api.store import Change
from netlab.model.names import FABRIC, Place, PlaceKind, fabric_namespace, network_namespace
from netlab.model.objects import Pod
from netlab.model.topology import Topology

NAME_LIMIT = 255
"""Characters of a file name, which a namespace's is (NAME_MAX, <linux/limits.h>)."""


def pod_place(pod: Pod) -> Place:
    """The Pod as a place."""
    return Place(PlaceKind.POD, pod.metadata.name, pod.metadata.namespace or "default")


class Places:
    """Nodes, externals and Pods by network namespace; `note` keeps it up to date."""

    def __init__(self) -> None:
        self._lab = "lab"
        self._fixed: dict[str, str] = {}
        self._pods: dict[str, Place] = {}

    def note(self, change: Change) -> None:
        """Take in a write of a Pod or of the Topology."""
        value = change.object
        if isinstance(value, Topology):
            gone = change.type is EventType.DELETED
            self._lab, self._fixed = value.metadata.name, {} if gone else dict(_fixed_places(value))
        elif isinstance(value, Pod):
            place = pod_place(value)
            if change.type is EventType.DELETED:
                self._pods.pop(_short_name(place), None)
            else:
                self._pods[_short_name(place)] = place

    def check_pod(self, pod: Pod) -> Causes:
        """The causes against a new Pod on account of its name."""
        place = pod_place(pod)
        name = network_namespace(self._lab, place)
        if len(name) > NAME_LIMIT:
            why = f"its network namespace {name} would have a name of more than {NAME_LIMIT} characters"
            yield wrong("metadata.name", pod.metadata.name, why)
        taken = FABRIC if _short_name(place) == FABRIC else self._fixed.get(_short_name(place))
        holder = self._pods.get(_short_name(place))
        if taken is None and holder is not None and holder != place:
            taken = str(holder)
        if taken is not None:
            why = f"its network namespace would be {name}, which is that of {taken}"
            yield wrong("metadata.name", pod.metadata.name, why)

    def check_topology(self, topology: Topology) -> Causes:
        """The causes against a Topology on account of the names in it."""
        lab, spec = topology.metadata.name, topology.spec
        entries = (
            *((f"spec.nodes[{index}].name", node.name) for index, node in enumerate(spec.nodes)),
            *((f"spec.externals[{index}].name", external.name) for index, external in enumerate(spec.externals)),
        )
        names = Counter(name for _, name in entries)
        for field, name in entries:
            if names[name] > 1:
                yield duplicate(field, name)
            elif name == FABRIC:
                yield wrong(field, name, f"{fabric_namespace(lab)} is the network namespace of the wire")
            elif name in self._pods:
                yield wrong(field, name, f"its network namespace would be that of {self._pods[name]}")


def _short_name(place: Place) -> str:
    """The network namespace's name without the lab's."""
    return network_namespace("", place)[1:]


def _fixed_places(topology: Topology) -> tuple[tuple[str, str], ...]:
    return (
        *((node.name, f"node/{node.name}") for node in topology.spec.nodes),
        *((external.name, f"external/{external.name}") for external in topology.spec.externals),
    )
