"""Waiting until packets can flow: the Pods serve, and every kube-proxy has written what follows from the objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pydantic import TypeAdapter

from netlab.api.journal import EventType
from netlab.api.sync_client import SyncClient
from netlab.errors import Incomplete
from netlab.lab import control
from netlab.lab.messages import AgentKind, TaskName
from netlab.model.modes import ProxyMode
from netlab.model.objects import NETWORK_READY, Deployment, EndpointSlice, KubernetesObject, Node, Pod, Service
from netlab.model.paths import LabPaths
from netlab.model.status import ProxyReport
from netlab.model.topology import Topology

PODS_WITHIN = 60
"""Seconds for all Pods to serve; 1000 take about ten."""
PROBED_WITHIN = 3
"""Seconds for Pods to pass their readiness probes, or to end, once nothing else is waited for; some never do."""
PROXIES_WITHIN = 60.0
_reports: TypeAdapter[dict[str, ProxyReport | None]] = TypeAdapter(dict[str, ProxyReport | None])


def wait(paths: LabPaths, client: SyncClient, progress: Callable[[str], None]) -> None:
    """Return when every Pod that can serve does and every running kube-proxy has followed.

    Incomplete where Pods did not get their network or a kube-proxy did not follow in time. Pods that fail their
    readiness probes are no error: a lab may want them to.
    """
    client.settle()  # else the Pods of a Deployment may not have been made yet
    pods = wait_for_pods(client, progress)
    if wait_for_rollouts(client, progress):
        pods = wait_for_pods(client, progress)
    stranded = [pod.key for pod in pods if pod.spec.node_name and not pod.condition(NETWORK_READY)]
    if stranded:
        raise Incomplete(f"Pods without a network: {', '.join(stranded[:5])}; {paths.log('fabric')} says why")
    progress("waiting for the kube-proxies")
    client.settle()  # else the last Pod may not stand in its Service's slice yet
    wanted = followed_versions(client)
    spec = client.get(Topology, paths.lab).spec
    stopped = {agent.name for agent in control.agents(paths) if not agent.wanted}
    modes = {node.metadata.name: spec.proxy_mode(node.metadata.name) for node in client.list(Node)[0]}
    reports = ask_proxies(paths, wanted, modes=modes, within=PROXIES_WITHIN, stopped=stopped)
    behind = [
        node
        for node, report in reports.items()
        if f"{AgentKind.KUBE_PROXY}-{node}" not in stopped and not has_followed(report, wanted, mode=modes.get(node))
    ]
    if behind:
        log = paths.log(f"{AgentKind.KUBE_PROXY}-{behind[0]}")
        raise Incomplete(f"kube-proxy has not followed on {', '.join(behind)}; {log} says why")


def ask_proxies(
    paths: LabPaths,
    wanted: Mapping[str, int],
    *,
    modes: Mapping[str, ProxyMode] | None = None,
    within: float = 0.0,
    stopped: Iterable[str] = (),
) -> dict[str, ProxyReport | None]:
    """What each node's kube-proxy says of itself once it has followed, or `within` seconds later; None: no answer.

    With `modes`, by node, it has followed only once it is in that proxy mode.

    Within that time those that do not listen yet are asked again, but for the agents that are named in `stopped`.
    """
    spelled = ",".join(f"{node}={mode}" for node, mode in (modes or {}).items())
    text = control.run_task(paths, TaskName.PROXIES, **wanted, modes=spelled, within=within, stopped=",".join(stopped))
    return _reports.validate_json(text)


def has_followed(report: ProxyReport | None, wanted: Mapping[str, int], *, mode: ProxyMode | None = None) -> bool:
    """Whether a kube-proxy's rules follow from those resourceVersions, or newer ones, and are of that proxy mode."""
    if report is None or (mode and report.mode != mode):
        return False
    return all(report.followed.get(kind, 0) >= version for kind, version in wanted.items())


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


def wait_for_pods(
    client: SyncClient,
    progress: Callable[[str], None],
    *,
    within: int = PODS_WITHIN,
    probed_within: int = PROBED_WITHIN,
) -> tuple[Pod, ...]:
    """Follow the Pods until each of them serves, or time is up: some are made to fail their readiness probes."""
    listed, version = client.list(Pod)
    pods = {pod.key: pod for pod in listed}
    for settled, seconds in ((_started, within), (_settled, probed_within)):
        version = _follow(client, pods, version=version, settled=settled, seconds=seconds, progress=progress)
    return tuple(pods.values())


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


def wait_for_rollouts(client: SyncClient, progress: Callable[[str], None]) -> bool:
    """Follow the Deployments until each has Pods of its present template alone, or time is up; whether any had not."""
    client.settle()
    listed, version = client.list(Deployment)
    going = {each.key for each in listed if _is_rolling(each)}
    if not going:
        return False
    for event in client.watch(Deployment, version=version, timeout_seconds=PODS_WITHIN):
        if event.object is None:
            continue
        gone = event.type is EventType.DELETED or not _is_rolling(event.object)
        going = going - {event.object.key} if gone else going | {event.object.key}
        if not going:
            break
        progress(f"Deployments whose Pods are being replaced: {len(going)}")
    return True


def _is_rolling(deployment: Deployment) -> bool:
    status = deployment.status
    behind = (status.observed_generation or 0) < (deployment.metadata.generation or 0)
    return not deployment.spec.paused and (behind or status.updated_replicas < status.replicas)


def _ready(pod: Pod) -> bool:
    return pod.condition("Ready") or pod.has_ended or not pod.spec.node_name


def _settled(pod: Pod) -> bool:
    """Whether the Pod serves, and is not on its way out."""
    return _ready(pod) and not pod.metadata.deletion_timestamp


def _started(pod: Pod) -> bool:
    """Whether the Pod serves, or waits for nothing but its readiness probes."""
    probed = any(container.readiness_probe for container in pod.spec.containers)
    return _ready(pod) or (probed and pod.status.phase == "Running")
