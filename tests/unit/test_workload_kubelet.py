"""What a kubelet computes without a kernel: status, environment, back-off, probes' requests; and its logs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.agents.kubelet.environment import arguments, environment, runs_command
from netlab.agents.kubelet.log import ContainerLog
from netlab.agents.kubelet.probe import ProbeTarget, Readiness, outcome, request_text, watch_readiness
from netlab.agents.kubelet.status import (
    ContainerReport,
    Running,
    Terminated,
    Waiting,
    container_status,
    phase,
    pod_status,
    remembered,
    restart_delay,
    restarting,
    restarts,
)
from netlab.model.container_log import LogReader, Stream, last_lines, printed, timestamp, written
from netlab.model.objects import Container, HttpGetAction, Pod, Probe
from netlab.model.paths import previous_log

T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
RUNNING, WAITING = Running(T0), Waiting()
GOOD, BAD = Terminated(0, "Completed", T0, T1), Terminated(1, "Error", T0, T1)


def report(state: Any = RUNNING, **fields: Any) -> ContainerReport:
    return ContainerReport("main", "web", state, **fields)


def pod(**fields: Any) -> Pod:
    metadata = {"name": "web-1", "namespace": "default", "uid": "u"}
    return Pod.model_validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **fields})


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ((report(WAITING),), "Pending"),
        ((report(), report(WAITING)), "Pending"),
        ((report(),), "Running"),
        ((report(WAITING, last=BAD),), "Running"),
        ((report(BAD),), "Running"),
        ((report(), report(GOOD, final=True)), "Running"),
        ((report(GOOD, final=True),), "Succeeded"),
        ((report(GOOD, final=True), report(BAD, final=True)), "Failed"),
    ],
    ids=["none has started", "one has not started", "all run", "waiting for a restart", "about to be restarted",
         "one has finished", "all have finished well", "one has finished badly"],
)  # fmt: skip
def test_the_phase_follows_from_the_containers(reports: tuple[ContainerReport, ...], expected: str) -> None:
    assert phase(reports) == expected


def test_a_status_keeps_what_others_wrote_and_when_conditions_changed() -> None:
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": T0},
        {"type": "Ready", "status": "True", "lastTransitionTime": T0},
        {"type": "ContainersReady", "status": "False", "lastTransitionTime": T0},
    ]
    before = pod(status={"podIP": "10.244.0.2", "startTime": T0, "conditions": conditions})
    status = pod_status(before, (report(ready=True),), now=T1)
    assert (status.pod_ip, status.start_time, status.phase) == ("10.244.0.2", T0, "Running")
    assert [(c.type, c.status, c.last_transition_time) for c in status.conditions] == [
        ("PodScheduled", "True", T0),
        ("Ready", "True", T0),
        ("ContainersReady", "True", T1),
        ("Initialized", "True", T1),
    ]


def test_a_status_that_was_written_and_read_again_is_the_same() -> None:
    reports = (report(ready=True), report(WAITING, last=BAD, restarts=3))
    status = pod_status(pod(), reports, now=T0)
    read = pod(status=status.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert pod_status(read, reports, now=T1) == read.status


def test_a_condition_says_which_containers_are_not_ready() -> None:
    ready = next(c for c in pod_status(pod(), (report(),), now=T0).conditions if c.type == "Ready")
    assert (ready.status, ready.message) == ("False", "containers with unready status: [main]")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RUNNING, {"running": {"startedAt": T0}}),
        (Waiting("CrashLoopBackOff", "back-off"), {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
        (BAD, {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": T0, "finishedAt": T1}}),
    ],
    ids=["running", "waiting", "terminated"],
)
def test_a_containers_state_is_written_as_kubernetes_writes_it(state: Any, expected: dict[str, Any]) -> None:
    assert container_status(report(state)).state == expected


def test_waits_between_restarts_double_up_to_five_minutes() -> None:
    assert [restart_delay(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 8, 100_000)] == [
        0, 10, 20, 40, 80, 160, 300, 300, 300]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "after_success", "after_failure"),
    [(None, True, True), ("Always", True, True), ("OnFailure", False, True), ("Never", False, False)],
)
def test_the_restart_policy_decides(policy: str | None, after_success: bool, after_failure: bool) -> None:
    assert (restarts(policy, 0), restarts(policy, 7)) == (after_success, after_failure)


def taken_up(before: ContainerReport, *, policy: str = "Always", **container: Any) -> ContainerReport:
    """What a new kubelet makes of the status that the one before wrote."""
    status = container_status(before).model_dump(mode="json", by_alias=True)
    spec = {"containers": [{"name": "main", "image": "web", **container}], "restartPolicy": policy}
    value = pod(spec=spec, status={"containerStatuses": [status]})
    return remembered(value, value.spec.containers[0], now=T1)


KILLED = Terminated(137, "Error", T0, T1, "ended with its kubelet")


@pytest.mark.parametrize(
    ("before", "settings", "after"),
    [
        (report(ready=True, restarts=2), {}, report(ready=True, restarts=2)),
        (report(ready=True), {"command": ["a"]}, report(WAITING, last=KILLED, restarts=1)),
        (report(), {"command": ["a"], "policy": "Never"}, report(KILLED, final=True)),
        (report(GOOD), {"command": ["a"], "policy": "OnFailure"}, report(GOOD, final=True)),
        (report(Waiting("CrashLoopBackOff"), last=BAD, restarts=4), {"command": ["a"]},
         report(WAITING, last=BAD, restarts=5)),
    ],
    ids=["a built-in server goes on", "a command starts again", "a command that must not be restarted has failed",
         "what had finished stays finished", "a back-off is cut short"],
)  # fmt: skip
def test_a_new_kubelet_takes_a_container_up(
    before: ContainerReport, settings: dict[str, Any], after: ContainerReport
) -> None:
    assert taken_up(before, **settings) == after


def test_a_container_that_must_start_again_is_not_finished() -> None:
    again = restarting(report(GOOD, final=True, ready=True))
    assert (again.state, again.last, again.final, again.ready) == (WAITING, GOOD, False, False)


def test_variables_refer_to_earlier_ones_and_to_the_pod() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(C)-$$(A)"},
        {"name": "C", "value": "3"},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    container = Container.model_validate({"name": "main", "env": env, "command": ["echo"], "args": ["$(B)", "$(NO)"]})
    made = environment(container, pod(status={"podIP": "10.244.0.2"}), hostname="web-1")
    assert made == {"HOSTNAME": "web-1", "A": "1", "B": "1-$(C)-$(A)", "C": "3", "IP": "10.244.0.2"}
    assert arguments(container, made) == ("echo", "1-$(C)-$(A)", "$(NO)")


def test_a_log_keeps_its_newest_part_and_the_part_before(tmp_path: Path) -> None:
    path = tmp_path / "pods" / "a.log"
    log = ContainerLog(path, limit=100, clock=lambda: 0)
    for line in ("one", "two", "three", "four"):
        log.write(f"{line}\n".encode())
    assert printed(path.read_bytes()) == b"three\nfour\n"
    assert printed(path.with_name("a.log.1").read_bytes()) == b"one\ntwo\n"
    log.start_over()
    log.write(b"another life\n")
    assert printed(path.read_bytes()) == b"another life\n"
    assert printed(previous_log(path).read_bytes()) == b"three\nfour\n"
    log.discard()
    assert list((tmp_path / "pods").iterdir()) == []
    log.write(b"anew\n")
    log.close()
    assert path.read_text() == "1970-01-01T00:00:00.000000000Z stdout F anew\n"


def test_what_was_printed_is_read_from_a_log_as_it_was_whatever_it_is(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "a.log", clock=lambda: 1_767_225_600_000_000_007)
    for data, stream in ((b"$ ", Stream.STDOUT), (b"no\r\n\n", Stream.STDERR), (b"\xff F \n", Stream.STDOUT)):
        log.write(data, stream)
    assert [(entry.stream, entry.data) for entry in log.entries()] == [
        ("stdout", b"$ "), ("stderr", b"no\r\n"), ("stderr", b"\n"), ("stdout", b"\xff F \n")
    ]  # fmt: skip
    assert {entry.time for entry in log.entries()} == {"2026-01-01T00:00:00.000000007Z"}


@given(st.lists(st.binary(max_size=20)), st.integers(1, 50), st.integers(0, 5))
def test_a_log_may_be_read_in_pieces_and_from_its_last_lines(parts: list[bytes], size: int, count: int) -> None:
    data = b"".join(written(part, Stream.STDOUT, timestamp(1)) for part in parts)
    reader = LogReader()
    found = [entry for start in range(0, len(data), size) for entry in reader.feed(data[start : start + size])]
    text = b"".join(parts)
    assert b"".join(entry.data for entry in found) == printed(data) == text
    lines = [line for line in re.split(rb"(?<=\n)", text) if line]
    assert b"".join(entry.data for entry in last_lines(found, count)) == b"".join(
        lines[len(lines) - count :] if count < len(lines) else lines
    )


def test_a_log_that_cannot_be_written_does_not_stop_its_pod(tmp_path: Path) -> None:
    (tmp_path / "pods").write_text("a file where the folder should be")
    ContainerLog(tmp_path / "pods" / "a.log").write(b"lost\n")
    assert (tmp_path / "pods").read_text() == "a file where the folder should be"


async def nobody(command: tuple[str, ...]) -> int:
    raise AssertionError(f"nobody asked for {command}")


def probed(settings: dict[str, Any], answer: bytes | None, *, run: Callable[..., Awaitable[int]] = nobody) -> str:
    """The outcome of one probe of a server that gives this answer (None: none at all)."""

    connected, served = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        served.set()

    async def main() -> str:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            container = Container.model_validate({"name": "main", "ports": [{"containerPort": port, "name": "http"}]})
            why = await outcome(Probe.model_validate(settings), ProbeTarget(container, "127.0.0.1", run))
            if connected.is_set():
                await served.wait()
            return why

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
        (b"HTTP/1.1 503\r\n\r\n", "HTTP status 503"),
        (b"220 smtp.example\r\n", "the answer is not HTTP"),
        (b"", "the answer is not HTTP"),
        (b"HTTP/1.1 " + b"2" * 100_000, "Separator is found, but chunk is longer than limit"),
        (None, "no answer within 1 s"),
    ],
    ids=["200", "a redirection", "404", "503", "another protocol", "closed at once", "an endless line", "silence"],
)
def test_an_http_probe_succeeds_from_200_to_399(answer: bytes | None, expected: str) -> None:
    why = probed({"httpGet": {"port": "http"}}, answer)
    assert why == expected or (expected.startswith("Separator") and why.startswith("Separator"))


def test_a_probe_of_a_host_by_name_is_refused_since_nodes_resolve_none() -> None:
    settings = {"httpGet": {"port": "http", "host": "example.org"}}
    assert probed(settings, b"") == "'example.org' is not an address, and a node resolves no names"


def test_an_exec_probe_gives_the_commands_status() -> None:
    async def run(command: tuple[str, ...]) -> int:
        return {"good": 0, "bad": 4}[command[0]]

    assert probed({"exec": {"command": ["good"]}}, b"", run=run) == ""
    assert probed({"exec": {"command": ["bad"]}}, b"", run=run) == "the command ended with 4"


def test_a_probes_request_has_kubernetes_fields_and_the_manifests_own() -> None:
    action = HttpGetAction.model_validate({"port": 80, "path": "x", "httpHeaders": [{"name": "Host", "value": "web"}]})
    assert request_text(action, host="fd00::2", port=80).splitlines()[:3] == [
        "GET /x HTTP/1.1",
        "Host: web",
        "User-Agent: kube-probe/1.36",
    ]
    plain = HttpGetAction.model_validate({"port": 80})
    assert "Host: [fd00::2]:80" in request_text(plain, host="fd00::2", port=80)


@pytest.mark.parametrize(
    ("outcomes", "settings", "believed", "ready"),
    [
        ("+", {}, False, "+"),
        ("--+", {}, False, "--+"),
        ("++", {"successThreshold": 2}, False, "-+"),
        ("+-++", {"successThreshold": 2}, False, "---+"),
        ("-+", {}, True, "++"),
        ("--+--", {"failureThreshold": 3}, True, "+++++"),
        ("---", {"failureThreshold": 3}, True, "++-"),
        ("+-+", {"failureThreshold": 1}, False, "+-+"),
    ],
    ids=["the first success", "a success after failures", "two successes where two are asked",
         "two successes in a row", "one failure is not enough", "nor are three that are not in a row",
         "three in a row are", "off and on"],
)  # fmt: skip
def test_readiness_changes_after_as_many_probes_as_asked(
    outcomes: str, settings: dict[str, Any], believed: bool, ready: str
) -> None:
    readiness, seen = Readiness(Probe.model_validate(settings), ready=believed), ""
    for mark in outcomes:
        before = readiness.ready
        assert readiness.changed_by(success=mark == "+") == (readiness.ready != before)
        seen += "+" if readiness.ready else "-"
    assert seen == ready


def test_a_container_that_was_never_ready_is_probed_again_soon() -> None:
    readiness, gaps = Readiness(Probe(period_seconds=2), ready=False), []
    for success in (False, False, False, False, False, False, True, False):
        readiness.changed_by(success=success)
        gaps.append(readiness.gap)
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]


def test_a_change_of_readiness_is_told_with_its_reason() -> None:
    async def main() -> list[tuple[bool, str]]:
        told: list[tuple[bool, str]] = []
        statuses = iter((0, 7))
        done = asyncio.Event()

        async def run(command: tuple[str, ...]) -> int:
            return next(statuses)

        def tell(ready: bool, why: str) -> None:
            told.append((ready, why))
            if not ready:
                done.set()

        probe = Probe.model_validate({"exec": {"command": ["x"]}, "failureThreshold": 1, "periodSeconds": 1})
        target = ProbeTarget(Container(name="main"), "", run)
        watching = asyncio.ensure_future(watch_readiness(probe, target, tell, ready=False))
        async with asyncio.timeout(10):
            await done.wait()
        watching.cancel()
        return told

    assert asyncio.run(main()) == [(True, ""), (False, "the command ended with 7")]


@pytest.mark.parametrize(
    ("container", "runs"),
    [
        ({"command": ["sleep", "1"], "image": "nginx"}, True),
        ({"args": ["nslookup", "web"], "image": "busybox:1.28"}, True),
        ({"args": ["sh"], "image": "registry.example.com:5000/tools/alpine@sha256:0123"}, True),
        ({"args": ["-v"], "image": "nginx"}, False),
        ({"image": "busybox"}, False),
        ({}, False),
    ],
)
def test_arguments_alone_are_a_command_where_the_image_holds_nothing_but_tools(
    container: dict[str, Any], runs: bool
) -> None:
    assert runs_command(Container.model_validate({"name": "c", **container})) is runs
