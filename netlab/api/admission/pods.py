"""A Pod's way in, and a Deployment's, whose template is a Pod."""

from __future__ import annotations

from netlab.api.admission.causes import Causes, duplicate, forbidden_field, required, unsupported, wrong
from netlab.api.admission.names import check_labels, check_metadata, label_problem, port_name_problem
from netlab.api.selectors import selects
from netlab.model.objects import (
    Container,
    Deployment,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplate,
    Probe,
    ReplicaSet,
    RollingUpdate,
)

QUARTER = "25%"
POD_UPDATES = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_with_defaults(pod: Pod) -> Pod:
    """A new Pod with Kubernetes' defaults spelled out, and waiting."""
    return pod.model_copy(update={"spec": _spec_with_defaults(pod.spec), "status": PodStatus(phase="Pending")})


def _spec_with_defaults(spec: PodSpec) -> PodSpec:
    changed = {
        "restart_policy": spec.restart_policy or "Always",
        "containers": tuple(_container_with_defaults(container) for container in spec.containers),
        # Nobody here reads it, but kubectl 1.36 takes it for granted (`kubectl debug` panics without).
        "securityContext": (spec.model_extra or {}).get("securityContext") or {},
    }
    return spec.model_copy(update=changed)


def _container_with_defaults(container: Container) -> Container:
    ports = tuple(port.model_copy(update={"protocol": port.protocol}) for port in container.ports)
    return container.model_copy(update={"ports": ports}) if ports else container


def check_pod(pod: Pod) -> Causes:
    """The causes against a Pod."""
    yield from check_metadata(pod)
    yield from check_pod_spec(pod.spec, "spec")


def check_pod_update(pod: Pod, before: Pod) -> Causes:
    """The causes against a change of a Pod: of its spec only images may change."""
    yield from check_metadata(pod)
    if _changeable(pod.spec, before.spec) != before.spec:
        yield forbidden_field("spec", POD_UPDATES)


def _changeable(spec: PodSpec, before: PodSpec) -> PodSpec:
    """`spec` with what may change as it was."""
    images = tuple(container.image for container in before.containers)
    if len(images) == len(spec.containers):
        pairs = zip(spec.containers, images, strict=True)
        containers = tuple(container.model_copy(update={"image": image}) for container, image in pairs)
        spec = spec.model_copy(update={"containers": containers})
    changeable = {"termination_grace_period_seconds": before.termination_grace_period_seconds}
    return spec.model_copy(update=changeable)


def check_pod_spec(spec: PodSpec, field: str) -> Causes:
    """The causes against a Pod's spec, which stands at `field`."""
    if not spec.containers:
        yield required(f"{field}.containers")
    names: set[str] = set()
    for index, container in enumerate(spec.containers):
        place = f"{field}.containers[{index}]"
        if not container.name:
            yield required(f"{place}.name")
        elif why := label_problem(container.name):
            yield wrong(f"{place}.name", container.name, why)
        elif container.name in names:
            yield duplicate(f"{place}.name", container.name)
        names.add(container.name)
        yield from _check_ports(container, place)
        if container.readiness_probe:
            yield from _check_probe(container.readiness_probe, f"{place}.readinessProbe")
    if spec.hostname and (why := label_problem(spec.hostname)):
        yield wrong(f"{field}.hostname", spec.hostname, why)
    yield from check_labels(f"{field}.nodeSelector", spec.node_selector)


def _check_ports(container: Container, field: str) -> Causes:
    names: set[str] = set()
    for index, port in enumerate(container.ports):
        if not port.name:
            continue
        place = f"{field}.ports[{index}].name"
        if why := port_name_problem(port.name):
            yield wrong(place, port.name, why)
        elif port.name in names:
            yield duplicate(place, port.name)
        names.add(port.name)


def _check_probe(probe: Probe, field: str) -> Causes:
    handlers = {"exec": probe.exec, "httpGet": probe.http_get, "tcpSocket": probe.tcp_socket}
    given = [name for name, handler in handlers.items() if handler is not None]
    if not given and "grpc" not in (probe.model_extra or {}):
        yield required(field, "must specify a handler type")
    for name in given[1:]:
        yield forbidden_field(f"{field}.{name}", "may not specify more than 1 handler type")
    for name, handler in (("httpGet", probe.http_get), ("tcpSocket", probe.tcp_socket)):
        if handler and isinstance(handler.port, str) and (why := port_name_problem(handler.port)):
            yield wrong(f"{field}.{name}.port", handler.port, why)
    if probe.exec and not probe.exec.command:
        yield required(f"{field}.exec.command")


def deployment_with_defaults(deployment: Deployment) -> Deployment:
    """A Deployment with Kubernetes' defaults spelled out."""
    spec, strategy = deployment.spec, deployment.spec.strategy
    kind = strategy.type or "RollingUpdate"
    given = strategy.rolling_update or RollingUpdate()
    share = RollingUpdate(
        max_surge=QUARTER if given.max_surge is None else given.max_surge,
        max_unavailable=QUARTER if given.max_unavailable is None else given.max_unavailable,
    )
    rolling = share if kind == "RollingUpdate" else strategy.rolling_update
    changed = {
        "replicas": spec.replicas,
        "template": _template_with_defaults(spec.template),
        "strategy": strategy.model_copy(update={"type": kind, "rolling_update": rolling}),
        "revision_history_limit": 10 if spec.revision_history_limit is None else spec.revision_history_limit,
        "progress_deadline_seconds": spec.progress_deadline_seconds or 600,
    }
    return deployment.model_copy(update={"spec": spec.model_copy(update=changed)})


def replica_set_with_defaults(value: ReplicaSet) -> ReplicaSet:
    """A ReplicaSet with Kubernetes' defaults spelled out."""
    changed = {"replicas": value.spec.replicas, "template": _template_with_defaults(value.spec.template)}
    return value.model_copy(update={"spec": value.spec.model_copy(update=changed)})


def _template_with_defaults(template: PodTemplate) -> PodTemplate:
    return template.model_copy(update={"spec": _spec_with_defaults(template.spec)})


def check_workload(workload: Deployment | ReplicaSet, before: Deployment | ReplicaSet | None = None) -> Causes:
    """The causes against a Deployment or a ReplicaSet."""
    yield from check_metadata(workload)
    selector, template = workload.spec.selector, workload.spec.template
    expressions = selector.match_expressions
    yield from check_labels("spec.selector.matchLabels", selector.match_labels)
    yield from check_labels("spec.template.metadata.labels", template.metadata.labels)
    if not selector.match_labels and not expressions:
        yield required("spec.selector")
        yield wrong("spec.selector", {}, f"empty selector is invalid for {workload.kind.lower()}")
    elif not selects(selector.match_labels, template.metadata.labels):
        why = "`selector` does not match template `labels`"
        yield wrong("spec.template.metadata.labels", template.metadata.labels, why)
    if before is not None and selector != before.spec.selector:
        yield wrong("spec.selector", selector.model_dump(by_alias=True, exclude_unset=True), "field is immutable")
    yield from _check_restart_policy(template.spec)
    yield from check_pod_spec(template.spec, "spec.template.spec")


def _check_restart_policy(spec: PodSpec) -> Causes:
    if spec.restart_policy not in (None, "Always"):
        yield unsupported("spec.template.spec.restartPolicy", spec.restart_policy, ("Always",))
