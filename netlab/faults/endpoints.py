"""Who is behind a Service, as its objects say."""

from __future__ import annotations

from netlab.model.cluster import ClusterView
from netlab.model.objects import SERVICE_NAME_LABEL, Container, Pod, Service


def pods_of(view: ClusterView, service: Service) -> tuple[Pod, ...]:
    """The Pods that the Service selects, ready or not, that have an address."""
    selector = (service.spec.selector or {}).items()
    return tuple(
        pod
        for pod in view.pods
        if selector
        and pod.metadata.namespace == service.metadata.namespace
        and selector <= pod.metadata.labels.items()
        and pod.status.pod_ips
    )


def empty_nodes(view: ClusterView, service: Service) -> tuple[str, ...]:
    """The nodes without an endpoint of the Service."""
    slices = [
        each
        for each in view.endpoint_slices
        if each.metadata.namespace == service.metadata.namespace
        and each.metadata.labels.get(SERVICE_NAME_LABEL) == service.metadata.name
    ]
    full = {endpoint.node_name for each in slices for endpoint in each.endpoints}
    return tuple(node.metadata.name for node in view.nodes if node.metadata.name not in full)


def built_in_readiness(pod: Pod) -> str | None:
    """Where netlab's own server of the Pod is told whether it is ready: a URL. None where no HTTP probe asks it."""
    for container in pod.spec.containers:
        if container.command or not container.readiness_probe or not container.readiness_probe.http_get:
            continue
        if port := _number(container, container.readiness_probe.http_get.port):
            return f"http://127.0.0.1:{port}/readyz"
    return None


def _number(container: Container, port: int | str) -> int | None:
    if isinstance(port, int):
        return port
    return next((each.container_port for each in container.ports if each.name == port), None)
