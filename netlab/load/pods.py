"""The rules for Pods, and for the Deployments that make them, which go beyond single fields."""

from __future__ import annotations

from netlab.load.documents import Document, Documents
from netlab.load.matching import chooses, is_empty
from netlab.load.tree import Cursor, Mapping, Sequence

_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def check_pods(documents: Documents) -> None:
    """Report what kube-apiserver would refuse in a Pod or a Deployment, as far as netlab acts on it."""
    for document in documents.of("Pod"):
        _check_containers(document.cursor.get("spec"))
    for document in documents.of("Deployment"):
        _check_containers(document.cursor.get("spec", "template", "spec"))
        _check_selector(document)


def containers(spec: Cursor) -> tuple[Cursor, ...]:
    """A Pod's containers; those that run before them have no part in the Service network."""
    return spec.get("containers").items()


def port_names(spec: Cursor) -> set[str]:
    """The names of a Pod's ports."""
    return {port.get("name").text for each in containers(spec) for port in each.get("ports").items()} - {""}


def _check_containers(spec: Cursor) -> None:
    if not isinstance(spec.node, Mapping):
        return
    listed = spec.get("containers")
    if isinstance(listed.node, Sequence) and not listed.items():
        listed.error("a Pod needs a container", "add - {name: web, ports: [{containerPort: 8080}]}")
    names: set[str] = set()
    ports: dict[str, Cursor] = {}
    for container in containers(spec):
        name = container.get("name")
        if name.text in names:
            name.error(f'two containers are called "{name.text}"')
        names |= {name.text} - {""}
        _check_ports(container, ports)
    _check_probes(spec)


def _check_ports(container: Cursor, names: dict[str, Cursor]) -> None:
    numbers: set[tuple[int, str]] = set()
    for port in container.get("ports").items():
        name, number = port.get("name"), port.get("containerPort").number
        first = names.setdefault(name.text, name)
        if name.text and first is not name:
            name.error(f'two ports of this Pod are called "{name.text}"', f"the first is in line {first.mark.line}")
        if number is None:
            continue
        protocol = port.get("protocol").text or "TCP"
        if (number, protocol) in numbers:
            port.get("containerPort").warn(f"port {number} over {protocol} is here a second time")
        numbers.add((number, protocol))


def _check_probes(spec: Cursor) -> None:
    names = port_names(spec)
    for container in containers(spec):
        for probe in map(container.get, _PROBES):
            handlers = [handler for handler in map(probe.get, _HANDLERS) if handler.present]
            if isinstance(probe.node, Mapping) and not handlers:
                probe.error("says no way to probe", f"add one of {', '.join(_HANDLERS)}")
            for another in handlers[1:]:
                another.error(
                    f"may not stand beside {handlers[0].path.rsplit('.', 1)[-1]}: a probe has one way to probe"
                )
            for port in (handler.get("port") for handler in handlers):
                if port.text and not port.text.isdigit() and port.text not in names:
                    port.error(f'no port of this Pod is called "{port.text}"', _listed(names))


def _listed(names: set[str]) -> str:
    return f"named are {', '.join(sorted(names))}" if names else "give the port's number, or name it under ports"


def _check_selector(document: Document) -> None:
    selector, template = document.cursor.get("spec", "selector"), document.cursor.get("spec", "template")
    labels = template.get("metadata", "labels")
    if not isinstance(selector.node, Mapping) or not isinstance(template.node, Mapping):
        return
    if is_empty(selector):
        selector.error("an empty selector would choose every Pod", "write the labels of spec.template.metadata there")
    elif not chooses(selector, labels.labels):
        remedy = "give spec.selector.matchLabels and spec.template.metadata.labels the same labels"
        selector.error("does not choose the labels of spec.template.metadata", remedy)
