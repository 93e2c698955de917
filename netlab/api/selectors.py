"""Label and field selectors, as in `?labelSelector=app=web,tier!=db&fieldSelector=spec.nodeName=node1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netlab.api.statuses import bad_request
from netlab.model.objects import Event, KubernetesObject, Node, Pod, Service

Predicate = Callable[[KubernetesObject], bool]
"""Whether an object is among those asked for."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. `values` None asks for the key's presence; `positive` False turns the term round."""

    key: str
    values: frozenset[str] | None
    positive: bool = True

    def matches(self, labels: Mapping[str, str]) -> bool:
        """A key that is absent satisfies `!=`, `notin` and `!key`, as in Kubernetes."""
        if self.values is None:
            return (self.key in labels) is self.positive
        return (labels.get(self.key) in self.values if self.key in labels else False) is self.positive


_KEY = r"[A-Za-z0-9][A-Za-z0-9_./-]*"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<absent_key>{_KEY})"
    rf"|(?P<set_key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)"
    rf"|(?P<key>{_KEY})\s*(?:(?P<equality>==|=|!=)\s*(?P<value>[A-Za-z0-9_.-]*))?)\s*(?:,|\Z)"
)


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """The terms of a label selector, all of which must hold. Raises Refusal 400."""
    requirements = []
    position = 0
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None:
            raise bad_request(f"unable to parse requirement: {text[position:]!r} is no label selector")
        requirements.append(_requirement(term))
        position = term.end()
    if text.rstrip().endswith(","):
        raise bad_request(f"unable to parse requirement: {text!r} ends with a comma")
    return tuple(requirements)


def _requirement(term: re.Match[str]) -> Requirement:
    if term["absent"]:
        return Requirement(term["absent_key"], None, positive=False)
    if term["operator"]:
        values = frozenset(value.strip() for value in term["values"].split(","))
        return Requirement(term["set_key"], values, positive=term["operator"] == "in")
    if term["equality"]:
        return Requirement(term["key"], frozenset((term["value"],)), positive=term["equality"] != "!=")
    return Requirement(term["key"], None)


def _pod_field(select: Callable[[Pod], str | None]) -> Callable[[KubernetesObject], str]:
    return lambda value: (select(value) or "") if isinstance(value, Pod) else ""


def _service_field(select: Callable[[Service], str | None]) -> Callable[[KubernetesObject], str]:
    return lambda value: (select(value) or "") if isinstance(value, Service) else ""


def _event_field(select: Callable[[Event], str | None]) -> Callable[[KubernetesObject], str]:
    return lambda value: (select(value) or "") if isinstance(value, Event) else ""


def _reference_fields(name: str) -> dict[str, Callable[[KubernetesObject], str]]:
    """What an Event is about, under the name that one of its two APIs has for it."""
    return {
        f"{name}.kind": _event_field(lambda event: event.involved_object.kind),
        f"{name}.namespace": _event_field(lambda event: event.involved_object.namespace),
        f"{name}.name": _event_field(lambda event: event.involved_object.name),
        f"{name}.uid": _event_field(lambda event: event.involved_object.uid),
        f"{name}.apiVersion": _event_field(lambda event: event.involved_object.api_version),
        f"{name}.resourceVersion": _event_field(lambda event: event.involved_object.resource_version),
        f"{name}.fieldPath": _event_field(lambda event: event.involved_object.field_path),
    }


def _unschedulable(value: KubernetesObject) -> str:
    return str(bool(isinstance(value, Node) and value.spec.unschedulable)).lower()


_COMMON_FIELDS: dict[str, Callable[[KubernetesObject], str]] = {
    "metadata.name": lambda value: value.metadata.name,
    "metadata.namespace": lambda value: value.metadata.namespace or "",
}
_FIELDS: dict[str, dict[str, Callable[[KubernetesObject], str]]] = {
    "pods": {
        "spec.nodeName": _pod_field(lambda pod: pod.spec.node_name),
        "spec.restartPolicy": _pod_field(lambda pod: pod.spec.restart_policy),
        "spec.hostNetwork": _pod_field(lambda pod: str(bool(pod.spec.host_network)).lower()),
        "status.phase": _pod_field(lambda pod: pod.status.phase),
        "status.podIP": _pod_field(lambda pod: pod.status.pod_ip),
    },
    "services": {
        "spec.clusterIP": _service_field(lambda service: service.spec.cluster_ip),
        "spec.type": _service_field(lambda service: service.spec.type),
    },
    "nodes": {"spec.unschedulable": _unschedulable},
    "events": {
        **_reference_fields("involvedObject"),
        **_reference_fields("regarding"),
        "reason": _event_field(lambda event: event.reason),
        "type": _event_field(lambda event: event.type),
        "source": _event_field(lambda event: event.source.component or event.reporting_component),
        "reportingComponent": _event_field(lambda event: event.reporting_component),
        "reportingController": _event_field(lambda event: event.reporting_component),
    },
}
"""The fields that Kubernetes 1.36 lets a client select by."""


def _field_terms(kind: type[KubernetesObject], text: str) -> list[Callable[[KubernetesObject], bool]]:
    terms = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        parts = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", term)
        if parts is None:
            raise bad_request(f"invalid selector: {term!r}; can't understand {term!r}")
        field, operator, wanted = parts.groups()
        read = _COMMON_FIELDS.get(field) or _FIELDS.get(kind.PLURAL, {}).get(field)
        if read is None:
            raise bad_request(f"field label not supported: {field}")
        terms.append(_field_term(read, wanted, positive=operator != "!="))
    return terms


def _field_term(read: Callable[[KubernetesObject], str], wanted: str, *, positive: bool) -> Predicate:
    return lambda value: (read(value) == wanted) is positive


def predicate(kind: type[KubernetesObject], *, labels: str = "", fields: str = "") -> Predicate | None:
    """Whether an object matches both selectors; None where both are empty. Raises Refusal 400."""
    requirements = parse_labels(labels)
    terms = _field_terms(kind, fields)
    if not requirements and not terms:
        return None

    def matches(value: KubernetesObject) -> bool:
        found = value.metadata.labels
        return all(term(value) for term in terms) and all(term.matches(found) for term in requirements)

    return matches


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every pair of `selector` is among `labels`. An empty selector selects everything."""
    return all(labels.get(key) == value for key, value in selector.items())
