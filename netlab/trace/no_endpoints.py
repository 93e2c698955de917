"""Why a Service has nobody to send a packet to, in a sentence. From objects alone: no packet is needed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from netlab.model.cluster import ClusterView, pod_addresses, pod_name
from netlab.model.objects import Pod, Service
from netlab.model.objects.service import ServicePort
from netlab.model.rules import Family


class Lack(StrEnum):
    """Of what kind the reason is."""

    NO_SELECTOR = "no selector"
    NO_POD = "no Pod matches"
    NAMED_PORT = "no Pod has the named port"
    NO_ADDRESS = "no address"
    NOT_READY = "not ready"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class WithoutEndpoint:
    """Why there is none: in a sentence, and what was probably meant (a selector, a port's name), where that shows."""

    lack: Lack
    text: str
    meant: str | None = None


def why_no_endpoint(view: ClusterView, service: Service, *, port: str = "", family: Family = Family.IPV4) -> str:
    """The sentence about the Service's port of that name."""
    return without_endpoint(view, service, port=port, family=family).text


def without_endpoint(
    view: ClusterView, service: Service, *, port: str = "", family: Family = Family.IPV4
) -> WithoutEndpoint:
    """The same, and of what kind it is."""
    name = f"Service {key_of(service)}"
    selector = service.spec.selector
    if not selector:
        text = f"{name} has no endpoint: it has no selector, and nobody wrote an EndpointSlice for it."
        return WithoutEndpoint(Lack.NO_SELECTOR, text)
    pods = chosen(view.pods, service.metadata.namespace or "default", selector)
    text = f"{name} has no ready endpoint"
    if not pods:
        meant = _meant(view, service)
        text += f"; selector {_spelled(selector)} matches no Pod{_instead(view, service, meant)}"
        return WithoutEndpoint(Lack.NO_POD, text, meant)
    if missing := _named_port_missing(pods, _port(service, port)):
        near, said = missing
        return WithoutEndpoint(Lack.NAMED_PORT, f"{text}: {said}", near)
    lack, said = _not_ready(pods, family)
    return WithoutEndpoint(lack, f"{text}: {said}")


def key_of(service: Service) -> str:
    """`default/web`."""
    return f"{service.metadata.namespace or 'default'}/{service.metadata.name}"


def _port(service: Service, name: str) -> ServicePort | None:
    return next((port for port in service.spec.ports if (port.name or "") == name), None)


def chosen(pods: Iterable[Pod], namespace: str, selector: Mapping[str, str]) -> list[Pod]:
    """The Pods of that namespace that a selector matches."""
    return [
        pod
        for pod in pods
        if (pod.metadata.namespace or "default") == namespace and selector.items() <= pod.metadata.labels.items()
    ]


def _spelled(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _instead(view: ClusterView, service: Service, meant: str | None) -> str:
    """The namespace that has such Pods, or the labels that were probably meant."""
    namespace, selector = service.metadata.namespace or "default", service.spec.selector or {}
    elsewhere = sorted(
        {other for pod in view.pods if (other := pod.metadata.namespace or "default") != namespace}
        & {pod.metadata.namespace or "default" for pod in view.pods if selector.items() <= pod.metadata.labels.items()}
    )
    if elsewhere:
        return f" in namespace {namespace}; namespace {elsewhere[0]} has such Pods."
    return f"; did you mean {meant}?" if meant else "."


def _meant(view: ClusterView, service: Service) -> str | None:
    """The nearest labels that some Pod of the namespace has."""
    namespace = service.metadata.namespace or "default"
    pods = [pod for pod in view.pods if (pod.metadata.namespace or "default") == namespace]
    return _nearest(service.spec.selector or {}, pods)


def _nearest(selector: Mapping[str, str], pods: Iterable[Pod]) -> str | None:
    """The selector with each term that no Pod has put right."""
    there = {f"{key}={value}" for pod in pods for key, value in pod.metadata.labels.items()}
    wanted = [f"{key}={value}" for key, value in selector.items()]
    terms = [
        term if term in there else next(iter(difflib.get_close_matches(term, sorted(there), n=1)), None)
        for term in wanted
    ]
    found = [term for term in terms if term]
    return ",".join(found) if len(found) == len(wanted) and found != wanted else None


def _named_port_missing(pods: Iterable[Pod], port: ServicePort | None) -> tuple[str | None, str] | None:
    """The name that was probably meant, and what is said of the one that is not there."""
    if port is None or not isinstance(port.target_port, str):
        return None
    named = {each.name for pod in pods for container in pod.spec.containers for each in container.ports if each.name}
    if port.target_port in named:
        return None
    near = next(iter(difflib.get_close_matches(port.target_port, sorted(named), n=1)), None)
    said = f"none of its Pods has a port called {port.target_port}" + (f"; did you mean {near}?" if near else ".")
    return near, said


def _not_ready(pods: list[Pod], family: Family) -> tuple[Lack, str]:
    version = 4 if family is Family.IPV4 else 6
    waiting = [pod for pod in pods if not pod_addresses(pod)]
    without = [pod for pod in pods if all(address.version != version for address in pod_addresses(pod))]
    unready = [pod for pod in pods if not pod.condition("Ready")]
    for found, what in ((waiting, "no address yet"), (without, f"no {family} address")):
        if len(found) == len(pods):
            return Lack.NO_ADDRESS, f"{_these(found)} {'has' if len(found) == 1 else 'have'} {what}."
    if unready:
        return Lack.NOT_READY, f"{_these(unready)} {'is' if len(unready) == 1 else 'are'} not ready."
    return Lack.UNUSABLE, "none of its Pods can be used."


def _these(pods: list[Pod]) -> str:
    names = [pod_name(pod) for pod in pods]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
    return f"its Pod {shown}" if len(names) == 1 else f"its Pods {shown}"
