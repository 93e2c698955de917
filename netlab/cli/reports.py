"""What reports look like to a person: the tables of `status`, `probe` and `check`."""

from __future__ import annotations

from pathlib import Path

from netlab.cli.output import columns
from netlab.model.journey import CheckResult, Flow, ProbeResult
from netlab.model.machine import Check, MachineReport
from netlab.model.modes import ProxyMode
from netlab.model.rules import Backend
from netlab.model.status import LabStatus, NodeStatus, PodRow, ServiceRow
from netlab.plan.control_plane import KUBERNETES

SYSTEM = "kube-system"
"""The Kubernetes namespace of what a lab brings itself."""


def lab_status(status: LabStatus) -> str:
    """A lab's nodes, Pods and Services, one table each; and what of it is broken on purpose."""
    owner = "without root" if status.rootless else "as root"
    parts = [f"lab {status.lab}: {status.phase} ({owner})\n"]
    nodes = [_node(node) for node in status.nodes]
    parts.append(columns(("NODE", "ADDRESS", "POD CIDR", "MODE", "PROXY", "RULES", "LAST SYNC"), nodes))
    if status.pods:
        pods = [_pod(pod) for pod in status.pods]
        parts.append(columns(("POD", "NODE", "ADDRESS", "READY"), pods))
    if status.services:
        services = [_service(service) for service in status.services]
        parts.append(columns(("SERVICE", "TYPE", "CLUSTER-IP", "PORT(S)", "ENDPOINTS"), services))
    parts += _complaints(status.nodes)
    if status.faults:
        faults = [(fault.name, fault.victim, fault.remedy) for fault in status.faults]
        parts.append(columns(("FAULT IN FORCE", "IN", "TAKEN OUT BY"), faults))
    return "\n".join(parts)


def _complaints(nodes: tuple[NodeStatus, ...]) -> list[str]:
    """What is not served, each said once with the nodes that say so."""
    by_text: dict[str, list[str]] = {}
    for node in nodes:
        for text in node.proxy.complaints:
            by_text.setdefault(text, []).append(node.name)
    rows = [(text, ", ".join(names)) for text, names in by_text.items()]
    return [columns(("NOT SERVED", "ON"), rows)] if rows else []


def _node(node: NodeStatus) -> tuple[str, ...]:
    proxy = node.proxy
    following = "cut off" if proxy.lost else "synced" if proxy.synced else "behind"
    state = "stopped" if not proxy.running else "running" if node.proxy_command else following
    rules = "" if proxy.rules is None else str(proxy.rules)
    lasted = "" if proxy.last_sync_seconds is None else f"{proxy.last_sync_seconds * 1000:.0f} ms"
    by_nft = proxy.backend is Backend.NFT and node.proxy_mode != ProxyMode.NFTABLES
    mode = f"{node.proxy_mode} (nft)" if by_nft else node.proxy_mode
    mode = Path(node.proxy_command[0]).name if node.proxy_command else mode
    return (node.name, node.address, node.pod_cidr, mode, state, rules, lasted)


def _pod(pod: PodRow) -> tuple[str, ...]:
    return (_named(pod), pod.node or "", pod.address or "", "yes" if pod.ready else "no")


def _service(service: ServiceRow) -> tuple[str, ...]:
    return (_named(service), service.type, service.cluster_ip or "", ",".join(service.ports), str(service.endpoints))


def _named(row: PodRow | ServiceRow) -> str:
    return row.name if row.namespace == "default" else f"{row.namespace}/{row.name}"


def next_command(status: LabStatus) -> str:
    """Something worth trying in a lab that has just come up."""
    lab = f" -l {status.lab}"
    pods = (f"pod/{_named(pod)}" for pod in status.pods if pod.ready and pod.namespace != SYSTEM)
    source = next(pods, f"node/{status.nodes[0].name}")
    for service in status.services:
        ours = service.namespace == SYSTEM or (service.namespace, service.name) == KUBERNETES
        if not ours and service.endpoints and service.ports and service.cluster_ip != "None":
            port = service.ports[0].split("/")[0].split(":")[0]
            return f"netlab probe{lab} {source} service/{_named(service)}:{port} --count 10"
    return f"netlab shell{lab} {source}"


def probe_result(result: ProbeResult) -> str:
    """One line a packet, then the spread over verdicts and Pods."""
    rows = [(str(number), *_flow(flow)) for number, flow in enumerate(result.flows, start=1)]
    table = columns(("#", "VERDICT", "POD", "SOURCE SEEN", "TRANSLATED", "TIME"), rows)
    notes = "".join(f"note: {note}\n" for note in result.notes)
    return f"{result.from_} -> {result.to}\n{table}\n{_summary(result)}\n{notes}"


def _flow(flow: Flow) -> tuple[str, ...]:
    translated = f"{flow.translated.from_} -> {flow.translated.to}" if flow.translated else ""
    lasted = "" if flow.milliseconds is None else f"{flow.milliseconds:.2f} ms"
    return (flow.verdict.value, flow.pod or "", flow.source_seen or "", translated, lasted)


def _summary(result: ProbeResult) -> str:
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in result.summary.verdicts.items())
    pods = ", ".join(f"{pod} {count}" for pod, count in sorted(result.summary.pods.items()))
    return f"{verdicts} ({pods})" if pods else verdicts


def check_result(result: CheckResult) -> str:
    """One line an expectation; what was seen where it is not what was expected."""
    if not result.results:
        return f"lab {result.lab} expects nothing: write spec.expect into its file\n"
    lines = [
        f"{'ok    ' if each.passed else 'FAILED'}   {each.expectation}{_seen(each.observed, ok=each.passed)}"
        for each in result.results
    ]
    failed = sum(not each.passed for each in result.results)
    verdict = f"{failed} of {len(lines)} failed" if failed else f"all {len(lines)} hold"
    return "\n".join([*lines, f"lab {result.lab}: {verdict}", ""])


def _seen(observed: str, *, ok: bool) -> str:
    return "" if ok else f"\n         saw: {observed}"


def machine_report(report: MachineReport) -> str:
    """One line a thing that was tried, and whether a lab can run."""
    lines = [_check(check) for check in report.checks]
    who = "an ordinary user" if report.rootless else "root"
    verdict = "a lab can run here" if report.ready else "no lab can run here"
    return "\n".join([f"{report.kernel}, as {who}", *lines, f"{verdict}, started by {who}", ""])


def _check(check: Check) -> str:
    mark = "ok" if check.ok else "MISSING" if check.required else "not here"
    why = ": ".join(filter(None, (check.detail, check.remedy)))
    return f"{mark:<9}{check.name}" + (f" ({why})" if why else "")
