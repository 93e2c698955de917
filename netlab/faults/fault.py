"""What a fault is: its name, what it leaves to be seen, what it can be put into, and the steps for each of these."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from netlab.errors import InvalidInput, Problem
from netlab.faults.names import FaultName, Scope
from netlab.faults.steps import Steps
from netlab.model.cluster import HEADLESS, ClusterView, pod_place
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Node, Pod, Service, ServiceType

SYSTEM = "kube-system"
"""The namespace of what a cluster needs itself: faults go there only when told to."""
KUBERNETES = "kubernetes"
Make = Callable[[], Steps]
"""The steps for one victim. InvalidInput: the fault cannot be put into it, and why."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault. `summary` says what is done, `evidence` what packets and commands show of it, both in a sentence."""

    name: FaultName
    summary: str
    evidence: str
    scope: ClassVar[Scope]

    @abstractmethod
    def victims(self, view: ClusterView) -> Iterator[tuple[str, Make]]:
        """What the fault could be put into, by name (`node/n1`, `service/web`), and the steps for it."""

    def is_own(self, victim: str) -> bool:
        """Whether the victim is the user's, and may be chosen without being named."""
        return f"/{SYSTEM}/" not in victim and victim != f"{Scope.SERVICE}/{KUBERNETES}"


@dataclass(frozen=True, kw_only=True)
class NodeFault(Fault):
    """Put into one node."""

    scope = Scope.NODE
    steps: Callable[[ClusterView, Node], Steps]

    def victims(self, view: ClusterView) -> Iterator[tuple[str, Make]]:
        for node in view.nodes:
            yield str(node_place(node)), partial(self.steps, view, node)


@dataclass(frozen=True, kw_only=True)
class ServiceFault(Fault):
    """Put into one Service."""

    scope = Scope.SERVICE
    steps: Callable[[ClusterView, Service], Steps]

    def victims(self, view: ClusterView) -> Iterator[tuple[str, Make]]:
        for service in view.services:
            yield service_name(service), partial(self._steps, view, service)

    def _steps(self, view: ClusterView, service: Service) -> Steps:
        spec = service.spec
        if spec.type is ServiceType.EXTERNAL_NAME or spec.cluster_ip == HEADLESS:
            raise unfit("it has no ClusterIP: kube-proxy makes no rules for it")
        return self.steps(view, service)


@dataclass(frozen=True, kw_only=True)
class PodFault(Fault):
    """Put into one Pod."""

    scope = Scope.POD
    steps: Callable[[ClusterView, Pod], Steps]

    def victims(self, view: ClusterView) -> Iterator[tuple[str, Make]]:
        for pod in view.pods:
            yield str(pod_place(pod)), partial(self._steps, view, pod)

    def _steps(self, view: ClusterView, pod: Pod) -> Steps:
        if pod.spec.host_network:
            raise unfit("it has its node's network")
        if not pod.status.pod_ips:
            raise unfit("it has no address yet")
        return self.steps(view, pod)


def node_place(node: Node) -> Place:
    """The node as a place."""
    return Place(PlaceKind.NODE, node.metadata.name)


def service_name(service: Service) -> str:
    """`service/web`; `service/NAMESPACE/NAME` outside the namespace default."""
    namespace = service.metadata.namespace or "default"
    return f"service/{service.metadata.name}" if namespace == "default" else f"service/{service.key}"


def unfit(reason: str) -> InvalidInput:
    """A fault cannot be put into a victim: why."""
    return InvalidInput([Problem("", 0, 0, "", reason)])
