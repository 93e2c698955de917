"""What a container's command is given: its arguments, environment and folder, as Kubernetes makes them of a Pod."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.objects import Container, EnvVar, Pod
from netlab.workload.expansion import expand

TOOLBOXES = frozenset(
    ("alpine", "busybox", "curl", "debian", "dnsutils", "fedora", "jessie-dnsutils", "netshoot", "toolbox", "ubuntu")
)
"""Images that hold tools and serve nothing: what stands in `args` alone is a command, as in `kubectl run -- CMD`."""
SHELL = ("sh",)
"""What they run where nothing is said and somebody wants to type: `kubectl run -it tmp --image=busybox`."""


def environment(container: Container, pod: Pod, *, hostname: str) -> dict[str, str]:
    """HOSTNAME and the container's own variables; a later one may refer to an earlier one as $(NAME)."""
    env = {"HOSTNAME": hostname} | ({"TERM": "xterm"} if container.tty else {})
    for variable in container.env:
        value = expand(variable.value, env) if variable.value is not None else field_value(variable, pod)
        if value is not None:
            env[variable.name] = value
    return env


def runs_command(container: Container) -> bool:
    """Whether the container runs a command, and not the built-in server."""
    name = (container.image or "").rpartition("/")[2].partition("@")[0].partition(":")[0]
    return bool(container.command) or (name in TOOLBOXES and bool(container.args or container.stdin))


def arguments(container: Container, env: Mapping[str, str]) -> tuple[str, ...]:
    """The command and its arguments, with $(NAME) replaced by variables."""
    return tuple(expand(argument, env) for argument in (*container.command, *container.args)) or SHELL


def field_value(variable: EnvVar, pod: Pod) -> str | None:
    """What `valueFrom.fieldRef` refers to; None for what a lab does not have (ConfigMaps, Secrets, resources)."""
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace or "default",
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "status.hostIP": pod.status.host_ip,
        "status.podIP": pod.status.pod_ip,
        "status.podIPs": ",".join(address.ip for address in pod.status.pod_ips),
    }
    reference = variable.value_from.field_ref if variable.value_from else None
    return fields.get(reference.field_path) if reference else None
