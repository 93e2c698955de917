"""Waiting until packets can flow: the Pods serve, and every kube-proxy has written what follows from the objects."""

from __future__ import annotations

from collections.abc import Callable

from netlab.api.journal import EventType
from netlab.api.sync_client import SyncClient
from netlab.lab import control
from netlab.lab.messages import TaskName
from netlab.model.objects import EndpointSlice, KubernetesObject, Pod, Service
from netlab.model.paths import LabPaths

PODS_WITHIN = 60
"""Seconds for all Pods to serve; 1000 take about ten."""
PROBED_WITHIN = 10
"""Seconds for Pods to pass their readiness probes once nothing else is waited for; some are meant to fail."""
PROXIES_WITHIN = 30.0


def wait(paths: LabPaths, client: SyncClient, progress: Callable[[str], None]) -> None:
    """Return when every Pod that can serve does and every running kube-proxy has followed, or time is up."""
    wait_for_pods(client, progress)
    progress("waiting for the kube-proxies")
    control.run_task(
        paths,
        TaskName.PROXIES,
        **followed_versions(client),
        within=PROXIES_WITHIN,
    )


def followed_versions(client: SyncClient) -> dict[str, int]:
    """How far a kube-proxy must have followed to have seen everything: by kind, the newest resourceVersion.

    Of what a kube-proxy watches: it leaves out Services of other proxies, and the slices of headless ones.
    """
    return {
        "services": _newest(client, Service, "!service.kubernetes.io/service-proxy-name"),
        "endpointslices": _newest(client, EndpointSlice, "!service.kubernetes.io/headless"),
    }


def _newest(client: SyncClient, kind: type[KubernetesObject], label_selector: str) -> int:
    """The newest resourceVersion among the objects of a kind."""
    versions = [value.metadata.resource_version for value in client.list(kind, label_selector=label_selector)[0]]
    return max((int(version) for version in versions if version), default=0)


def wait_for_pods(client: SyncClient, progress: Callable[[str], None]) -> None:
    """Follow the Pods until each of them serves, or time is up: some are made to fail their readiness probes."""
    listed, version = client.list(Pod)
    pods = {pod.key: pod for pod in listed}
    for settled, seconds in ((_started, PODS_WITHIN), (_ready, PROBED_WITHIN)):
        version = _follow(client, pods, version=version, settled=settled, seconds=seconds, progress=progress)


def _follow(
    client: SyncClient,
    pods: dict[str, Pod],
    *,
    version: str,
    settled: Callable[[Pod], bool],
    seconds: int,
    progress: Callable[[str], None],
) -> str:
    """Keep `pods` current until all of them are settled; the resourceVersion up to which they are."""
    if all(map(settled, pods.values())):
        return version
    for event in client.watch(Pod, version=version, timeout_seconds=seconds):
        version = event.version
        if event.object is None:
            continue
        if event.type is EventType.DELETED:
            pods.pop(event.object.key, None)
        else:
            pods[event.object.key] = event.object
        progress(f"Pods ready: {sum(map(_ready, pods.values()))} of {len(pods)}")
        if all(map(settled, pods.values())):
            break
    return version


def _ready(pod: Pod) -> bool:
    return pod.condition("Ready") or pod.status.phase in ("Succeeded", "Failed") or not pod.spec.node_name


def _started(pod: Pod) -> bool:
    """Whether the Pod serves, or waits for nothing but its readiness probes."""
    probed = any(container.readiness_probe for container in pod.spec.containers)
    return _ready(pod) or (probed and pod.status.phase == "Running")
