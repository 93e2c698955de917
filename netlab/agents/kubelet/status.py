"""A Pod's status, computed from what its containers do. Pure: no clock, no socket, no process.

Sources: the Pod lifecycle page of the Kubernetes documentation; the kubelet's own status for the same containers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from netlab.agents.kubelet.environment import runs_command
from netlab.model.objects import Condition, Container, ContainerStatus, Pod, PodStatus

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]
FIRST_BACKOFF_SECONDS = 10.0
LAST_BACKOFF_SECONDS = 300.0
HEALTHY_AFTER_SECONDS = 600.0
"""A container that has run so long starts anew at the first back-off."""


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    started_at: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """Times as the API writes them: RFC 3339, in seconds."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""


ContainerState = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerReport:
    """What one container does now, and how it ended before."""

    name: str
    image: str
    state: ContainerState = Waiting()
    last: Terminated | None = None
    ready: bool = False
    restarts: int = 0
    final: bool = False
    """It has ended and is not started again."""


def restart_delay(failures: int) -> float:
    """Seconds to wait before a container that ended so often in a row is started again: 0, 10, 20, ... 300."""
    if failures <= 1:
        return 0.0
    return float(min(FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 2, 10), LAST_BACKOFF_SECONDS))


def restarts(policy: str | None, exit_code: int) -> bool:
    """Whether a container that ended so is started again under this restartPolicy (absent: Always)."""
    return policy in (None, "Always") or (policy == "OnFailure" and exit_code != 0)


def end_reason(exit_code: int) -> str:
    return "Completed" if exit_code == 0 else "Error"


def phase(reports: tuple[ContainerReport, ...]) -> Phase:
    """Pending until every container has started once; Succeeded or Failed when none is started again."""
    if any(isinstance(report.state, Waiting) and report.last is None for report in reports):
        return "Pending"
    if not reports or not all(report.final for report in reports):
        return "Running"
    failed = any(isinstance(report.state, Terminated) and report.state.exit_code != 0 for report in reports)
    return "Failed" if failed else "Succeeded"


def pod_status(pod: Pod, reports: tuple[ContainerReport, ...], *, now: str) -> PodStatus:
    """The Pod's status as it should be: what others have written there is kept.

    `now` becomes the transition time of the conditions that change, and the start time where there is none.
    """
    current = phase(reports)
    unready = [report.name for report in reports if not report.ready]
    ready: dict[str, str] = {"status": "False" if unready else "True"}
    if current == "Succeeded":
        ready["reason"] = "PodCompleted"
    elif unready:
        ready |= {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    wanted: dict[str, dict[str, str]] = {"Initialized": {"status": "True"}, "Ready": ready, "ContainersReady": ready}
    return pod.status.model_copy(
        update={
            "phase": current,
            "conditions": _conditions(pod.status.conditions, wanted, now=now),
            "container_statuses": tuple(container_status(report) for report in reports),
            "start_time": pod.status.start_time or now,
        }
    )


def _conditions(
    present: tuple[Condition, ...], wanted: dict[str, dict[str, str]], *, now: str
) -> tuple[Condition, ...]:
    """Those present, in their order, with the wanted ones changed or added at the end."""
    kept = {condition.type: condition for condition in present}
    for type_, fields in wanted.items():
        before = kept.get(type_)
        since = before.last_transition_time if before and before.status == fields["status"] else now
        kept[type_] = Condition.model_validate({"type": type_, **fields, "lastTransitionTime": since or now})
    return tuple(kept.values())


def container_status(report: ContainerReport) -> ContainerStatus:
    """One container's entry in the Pod's status."""
    status = ContainerStatus(
        name=report.name,
        image=report.image,
        image_id="",  # there is no image; Kubernetes' clients insist on the field
        ready=report.ready,
        started=isinstance(report.state, Running),
        restart_count=report.restarts,
        state=_state(report.state),
    )
    return status.model_copy(update={"last_state": _state(report.last)}) if report.last else status


def _state(state: ContainerState) -> dict[str, dict[str, str | int]]:
    match state:
        case Waiting():
            fields: dict[str, str | int] = {"reason": state.reason}
            return {"waiting": fields | ({"message": state.message} if state.message else {})}
        case Running():
            return {"running": {"startedAt": state.started_at}}
        case Terminated():
            fields = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": state.started_at,
                "finishedAt": state.finished_at,
            }
            return {"terminated": fields | ({"message": state.message} if state.message else {})}


def restarting(report: ContainerReport) -> ContainerReport:
    """The report of a container that was ended in order to be started again."""
    last = report.state if isinstance(report.state, Terminated) else report.last
    return replace(report, state=Waiting(), last=last, ready=False, final=False)


def remembered(pod: Pod, container: Container, *, now: str) -> ContainerReport:
    """What the Pod's status says of a container: where a kubelet that was started again takes it up.

    A built-in server goes on as if nothing had happened. A command has ended with the kubelet before (exit code 137).
    """
    image = container.image or ""
    status = next((s for s in pod.status.container_statuses if s.name == container.name), None)
    if status is None:
        return ContainerReport(container.name, image)
    before = ContainerReport(
        container.name,
        image,
        _read_state(status.state),
        _read_terminated(status.last_state),
        status.ready,
        status.restart_count,
    )
    return _after_kubelet_death(before, pod.spec.restart_policy, command=runs_command(container), now=now)


def _after_kubelet_death(before: ContainerReport, policy: str | None, *, command: bool, now: str) -> ContainerReport:
    state, last, restart_count, ready = before.state, before.last, before.restarts, before.ready
    if isinstance(state, Running) and command:
        state = Terminated(137, "Error", state.started_at, now, "ended with its kubelet")
    if isinstance(state, Terminated):
        if not restarts(policy, state.exit_code):
            return ContainerReport(before.name, before.image, state, last, False, restart_count, final=True)
        return ContainerReport(before.name, before.image, Waiting(), state, False, restart_count + 1)
    if isinstance(state, Waiting) and last is not None:
        restart_count += 1
    return ContainerReport(before.name, before.image, state, last, ready, restart_count)


def _read_state(state: dict[str, dict[str, str | int]]) -> ContainerState:
    if "running" in state:
        return Running(str(state["running"].get("startedAt", "")))
    return _read_terminated(state) or Waiting()


def _read_terminated(state: dict[str, dict[str, str | int]]) -> Terminated | None:
    fields = state.get("terminated")
    if fields is None:
        return None
    texts = [str(fields.get(name, "")) for name in ("reason", "startedAt", "finishedAt", "message")]
    return Terminated(int(fields.get("exitCode", 0)), *texts)
