"""A kubelet on a node of real namespaces, told by a real API server what to run."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netlab.agents import kubelet
from netlab.api.client import ApiClient
from netlab.api.cluster import Cluster
from netlab.api.http.server import listen, serving
from netlab.api.journal import EventType
from netlab.api.store import Store
from netlab.kernel.namespaces import inside, open_namespace
from netlab.kernel.syscalls import CLONE_NEWNET, setns
from netlab.model.container_log import printed
from netlab.model.objects import Pod
from netlab.model.paths import LabPaths, previous_log

pytestmark = pytest.mark.root
LAB, NODE = "nlkub", "node1"
NODE_NAMESPACE = f"{LAB}.{NODE}"
PODS = 4
DEADLINE = 15.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def add_pod_network(number: int) -> None:
    """A Pod's namespace: 10.79.N.2, on a cable of its own to the node."""
    name, near = f"{LAB}.pod-{number}", f"veth{number}"
    ip("netns", "add", name)
    ip("-n", NODE_NAMESPACE, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", name)
    for namespace, link, address in ((NODE_NAMESPACE, near, 1), (name, "eth0", 2)):
        ip("-n", namespace, "addr", "add", f"10.79.{number}.{address}/24", "dev", link)
        ip("-n", namespace, "link", "set", link, "up")
        ip("-n", namespace, "link", "set", "lo", "up")


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    ip("netns", "add", NODE_NAMESPACE)
    ip("-n", NODE_NAMESPACE, "link", "set", "lo", "up")
    for number in range(1, PODS + 1):
        add_pod_network(number)
    yield
    for name in (NODE_NAMESPACE, *(f"{LAB}.pod-{number}" for number in range(1, PODS + 1))):
        ip("netns", "del", name)


def fork(body: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        finally:
            os._exit(status)
    return pid


@dataclass
class Processes:
    """The API server and the kubelet, as processes that can be killed and started again."""

    paths: LabPaths
    listener: socket.socket
    running: dict[str, int] = field(default_factory=dict)

    def start_api(self) -> None:
        async def serve() -> None:
            store = Store(self.paths.database)
            async with serving(Cluster(store), self.listener.dup()):
                await asyncio.Event().wait()

        self.running["api"] = fork(lambda: asyncio.run(serve()))

    def start_kubelet(self) -> None:
        def body() -> None:
            logging.basicConfig(filename=self.paths.log("kubelet"), level=logging.INFO, force=True)
            namespace = open_namespace(NODE_NAMESPACE)
            setns(namespace, CLONE_NEWNET)
            kubelet.run(self.paths, NODE, LAB)

        self.running["kubelet"] = fork(body)

    def stop(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid = self.running.pop(name)
        os.kill(pid, number)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    paths = LabPaths(LAB, tmp_path)
    paths.logs.mkdir()
    started = Processes(paths, listen(paths.api_socket))
    started.listener.listen()
    started.start_api()
    started.start_kubelet()
    yield started
    for name in tuple(started.running):
        started.stop(name)
    started.listener.close()


@dataclass(frozen=True)
class Node:
    """What a test talks to: the API, and through it the kubelet."""

    client: ApiClient
    processes: Processes

    async def create(self, number: int, spec: dict[str, Any], **metadata: object) -> Pod:
        """Create pod-N, scheduled, with its address and its network there."""
        name = f"pod-{number}"
        pod = {"metadata": {"name": name, "namespace": "default", **metadata}, "spec": {**spec, "nodeName": NODE}}
        await self.client.create(Pod.model_validate({"apiVersion": "v1", "kind": "Pod", **pod}))
        address = f"10.79.{number}.2"
        conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "PodReadyToStartContainers")]
        status = {"podIP": address, "podIPs": [{"ip": address}], "hostIP": "10.79.0.1", "conditions": conditions}
        return await self.client.patch(Pod, name, {"status": status}, subresource="status")

    async def until(self, number: int, holds: Callable[[Pod], bool]) -> Pod:
        """The Pod as soon as that holds of it."""
        seen = "nothing"
        try:
            async with asyncio.timeout(DEADLINE):
                async for event in self.client.reflect(Pod, field_selector=f"metadata.name=pod-{number}"):
                    if event.object is not None and event.type is not EventType.DELETED:
                        seen = event.object.status.model_dump_json(by_alias=True, exclude_none=True)
                        if holds(event.object):
                            return event.object
        except TimeoutError as error:
            log = self.processes.paths.log("kubelet").read_text()
            raise AssertionError(f"not in time; last seen: {seen}\n{log}") from error
        raise AssertionError("the API server gave up")

    async def until_deleted(self, number: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                found, _ = await self.client.list(Pod, field_selector=f"metadata.name=pod-{number}")
                if not found:
                    return

    def log_of(self, number: int, container: str = "main") -> str:
        file = self.processes.paths.container_log("default", f"pod-{number}", container)
        return printed(file.read_bytes()).decode()

    async def ready(self, number: int) -> Pod:
        return await self.until(number, lambda pod: pod.condition("Ready"))


def on_node(processes: Processes, test: Callable[[Node], Awaitable[None]]) -> None:
    async def main() -> None:
        async with ApiClient(processes.paths.api_socket) as client:
            await test(Node(client, processes))

    asyncio.run(main())


async def request(number: int, path: str, *, method: str = "GET", body: str = "", port: int = 8080) -> tuple[int, str]:
    """Ask pod-N from the node."""
    with inside(NODE_NAMESPACE):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, (f"10.79.{number}.2", port))
    except OSError:
        client.close()
        raise
    reader, writer = await asyncio.open_connection(sock=client)
    head = f"{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    writer.write(head.encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


def server(**fields: object) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": "web", "ports": [{"containerPort": 8080}], **fields}]}


def command(*argv: str, **fields: object) -> dict[str, Any]:
    container = {name: value for name, value in fields.items() if name in ("env", "readinessProbe", "workingDir")}
    rest = {name: value for name, value in fields.items() if name not in container}
    return {"containers": [{"name": "main", "image": "none", "command": list(argv), **container}], **rest}


def container(pod: Pod, kind: str) -> dict[str, str | int]:
    """The container's state of that kind (running, waiting, terminated), empty where it is another."""
    return pod.status.container_statuses[0].state.get(kind, {}) if pod.status.container_statuses else {}


def test_a_pod_serves_and_is_ready_as_soon_as_its_network_is(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server())
        pod = await node.ready(1)
        assert pod.status.phase == "Running"
        assert pod.status.pod_ip == "10.79.1.2"
        assert {c.type for c in pod.status.conditions if c.status == "True"} == {
            "PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"}  # fmt: skip
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", pod.status.start_time or "")
        assert await request(1, "/hostname") == (200, "pod-1\n")
        assert await request(1, "/clientip") == (200, "10.79.1.1\n")
        assert "GET /hostname 200" in node.log_of(1)

    on_node(processes, test)


def test_a_pod_without_its_network_is_left_alone(processes: Processes) -> None:
    async def test(node: Node) -> None:
        metadata = {"name": "pod-2", "namespace": "default"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**server(), "nodeName": NODE}}
        await node.client.create(Pod.model_validate(pod))
        await node.create(1, server())
        await node.ready(1)
        assert (await node.client.get(Pod, "pod-2")).status.container_statuses == ()
        with pytest.raises(ConnectionRefusedError):
            await request(2, "/")

    on_node(processes, test)


def test_a_pod_of_another_node_is_left_alone(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(2, server())
        await node.ready(2)
        await node.client.delete(Pod, "pod-2")
        elsewhere = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-3", "namespace": "default"},
                     "spec": {**server(), "nodeName": "node2"}}  # fmt: skip
        await node.client.create(Pod.model_validate(elsewhere))
        await node.client.patch(Pod, "pod-3", {"status": {"conditions": [
            {"type": "PodReadyToStartContainers", "status": "True"}]}}, subresource="status")  # fmt: skip
        await node.create(1, server())
        await node.ready(1)
        assert (await node.client.get(Pod, "pod-3")).status.container_statuses == ()

    on_node(processes, test)


def test_a_learner_makes_a_pod_unready_and_ready_again(processes: Processes) -> None:
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}

    async def test(node: Node) -> None:
        await node.create(1, server(ports=[{"containerPort": 8080, "name": "http"}], readinessProbe=probe))
        await node.ready(1)
        assert (await request(1, "/readyz", method="POST", body="false"))[0] == 200
        pod = await node.until(1, lambda pod: not pod.condition("Ready"))
        ready = next(c for c in pod.status.conditions if c.type == "Ready")
        assert (ready.reason, ready.message) == ("ContainersNotReady", "containers with unready status: [main]")
        assert pod.status.phase == "Running"
        assert (await request(1, "/readyz", method="POST", body="true"))[0] == 200
        await node.ready(1)

    on_node(processes, test)


@pytest.mark.parametrize(
    ("probe", "ready"),
    [
        ({"tcpSocket": {"port": 8080}}, True),
        ({"tcpSocket": {"port": 8081}}, False),
        ({"httpGet": {"path": "/hostname", "port": 8080}}, True),
        ({"httpGet": {"path": "/hostname", "port": "nosuch"}}, False),
        ({"exec": {"command": ["sh", "-c", "test $(hostname) = pod-1"]}}, True),
        ({"exec": {"command": ["sh", "-c", "exit 3"]}}, False),
        ({"exec": {"command": ["sh", "-c", "sleep 100"]}}, False),
        ({"exec": {"command": ["no-such-command"]}}, False),
    ],
    ids=["tcpSocket to an open port", "tcpSocket to a closed port", "httpGet to a path that is there",
         "httpGet to a port that has no such name", "exec that succeeds", "exec that fails", "exec that takes too long",
         "exec of a command that is not there"],
)  # fmt: skip
def test_readiness_is_what_the_probe_finds(processes: Processes, probe: dict[str, Any], ready: bool) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server(readinessProbe=probe))
        if ready:
            await node.ready(1)
        else:
            pod = await node.until(1, lambda pod: pod.status.phase == "Running")
            assert not pod.condition("Ready")

    on_node(processes, test)


def test_a_probe_beside_a_command_sees_its_processes(processes: Processes) -> None:
    probe = {"exec": {"command": ["pgrep", "-f", "sleep 98765"]}}

    async def test(node: Node) -> None:
        await node.create(1, command("sleep", "98765", readinessProbe=probe))
        await node.ready(1)

    on_node(processes, test)


def test_a_command_runs_in_its_pod(processes: Processes) -> None:
    script = "echo $(hostname) $HOSTNAME $GREETING $ADDRESS $(ls /sys/class/net); cat /etc/resolv.conf; pwd"
    env = [{"name": "WHO", "value": "you"}, {"name": "GREETING", "value": "hello-$(WHO)"},
           {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]  # fmt: skip

    async def test(node: Node) -> None:
        spec = command("sh", "-c", script, env=env, restartPolicy="Never", workingDir="/usr")
        await node.create(1, spec)
        pod = await node.until(1, lambda pod: pod.status.phase == "Succeeded")
        ended = container(pod, "terminated")
        assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
        assert next(c.reason for c in pod.status.conditions if c.type == "Ready") == "PodCompleted"
        first, *rest = node.log_of(1).splitlines()
        assert first == "pod-1 pod-1 hello-you 10.79.1.2 eth0 lo"
        assert rest == [
            "nameserver 10.96.0.10",
            "search default.svc.cluster.local svc.cluster.local cluster.local",
            "options ndots:5",
            "/usr",
        ]

    on_node(processes, test)


@pytest.mark.parametrize(
    ("policy", "script", "phase", "code"),
    [
        ("Never", "exit 3", "Failed", 3),
        ("OnFailure", "exit 0", "Succeeded", 0),
        ("Never", "kill -9 $$$$", "Failed", 137),
    ],
    ids=["Never, after an error", "OnFailure, after success", "Never, after a signal"],
)
def test_a_command_that_is_not_restarted_gives_the_pod_its_phase(
    processes: Processes, policy: str, script: str, phase: str, code: int
) -> None:
    async def test(node: Node) -> None:
        await node.create(1, command("sh", "-c", script, restartPolicy=policy))
        pod = await node.until(1, lambda pod: pod.status.phase == phase)
        assert container(pod, "terminated")["exitCode"] == code
        assert pod.status.container_statuses[0].restart_count == 0

    on_node(processes, test)


def test_a_command_that_keeps_failing_is_restarted_ever_later(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, command("sh", "-c", "echo again; exit 5"))
        pod = await node.until(1, lambda pod: container(pod, "waiting").get("reason") == "CrashLoopBackOff")
        status = pod.status.container_statuses[0]
        assert (status.restart_count, status.last_state["terminated"]["exitCode"]) == (1, 5)
        assert container(pod, "waiting")["message"] == "back-off 10s restarting failed container=main"
        assert (pod.status.phase, pod.condition("Ready")) == ("Running", False)
        assert node.log_of(1) == "again\n"
        log = node.processes.paths.container_log("default", "pod-1", "main")
        assert printed(previous_log(log).read_bytes()) == b"again\n"

    on_node(processes, test)


def test_a_command_that_is_not_there_says_so_in_its_log(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, command("no-such-command", restartPolicy="Never"))
        pod = await node.until(1, lambda pod: pod.status.phase == "Failed")
        assert container(pod, "terminated")["exitCode"] == 127
        assert node.log_of(1) == "netlab: no-such-command: command not found\n"

    on_node(processes, test)


def test_a_port_that_is_taken_keeps_the_second_container_from_starting(processes: Processes) -> None:
    (main,) = server()["containers"]
    both = {"containers": [main, {**main, "name": "second"}], "restartPolicy": "Never"}

    async def test(node: Node) -> None:
        await node.create(1, both)
        pod = await node.until(1, lambda pod: len(pod.status.container_statuses) == 2)
        states = [status.state for status in pod.status.container_statuses]
        assert "running" in states[0]
        ended = states[1]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
        assert "listen on TCP port 8080" in str(ended["message"])

    on_node(processes, test)


def test_a_deleted_pod_closes_its_sockets_at_once(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server())
        await node.ready(1)
        await node.client.delete(Pod, "pod-1")
        async with asyncio.timeout(DEADLINE):
            while True:
                with suppress(ConnectionResetError):
                    try:
                        await request(1, "/hostname")
                    except (ConnectionRefusedError, IndexError):
                        break

    on_node(processes, test)


def test_a_deleted_pods_command_gets_sigterm_and_its_network_is_free(processes: Processes) -> None:
    async def test(node: Node) -> None:
        script = "trap 'echo bye; exit 0' TERM; echo up; sleep 100 & wait"
        await node.create(1, command("sh", "-c", script))
        await node.ready(1)
        await wait_for_log(node, "up\n")
        await node.client.delete(Pod, "pod-1")
        await wait_for_log(node, "up\nbye\n")

    on_node(processes, test)


def test_a_command_that_will_not_end_is_killed_when_its_pod_is_gone(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, command("sh", "-c", "trap '' TERM; echo up; exec sleep 100"))
        await node.ready(1)
        await wait_for_log(node, "up\n")
        began = time.monotonic()
        await node.client.delete(Pod, "pod-1")
        await wait_for_kubelet_log(node, "default/pod-1: ended")
        assert time.monotonic() - began < 5.0

    on_node(processes, test)


def test_a_pod_marked_for_deletion_ends_within_its_grace_and_then_goes(processes: Processes) -> None:
    async def test(node: Node) -> None:
        script = "trap 'echo bye; exit 0' TERM; echo up; sleep 100 & wait"
        pod = await node.create(1, command("sh", "-c", script))
        await node.ready(1)
        await wait_for_log(node, "up\n")
        await mark_deleted(node, pod)
        await node.until_deleted(1)
        assert node.log_of(1) == "up\nbye\n"

    on_node(processes, test)


def test_a_pod_marked_for_deletion_is_killed_after_its_grace(processes: Processes) -> None:
    async def test(node: Node) -> None:
        spec = command("sh", "-c", "trap '' TERM; echo up; exec sleep 100")
        pod = await node.create(1, {**spec, "terminationGracePeriodSeconds": 1})
        await node.ready(1)
        await wait_for_log(node, "up\n")
        began = time.monotonic()
        await mark_deleted(node, pod)
        await node.until_deleted(1)
        assert 1.0 <= time.monotonic() - began < 5.0

    on_node(processes, test)


def test_a_pre_stop_sleep_keeps_a_terminating_pod_serving(processes: Processes) -> None:
    async def test(node: Node) -> None:
        pod = await node.create(1, server(lifecycle={"preStop": {"sleep": {"seconds": 1}}}))
        await node.ready(1)
        began = time.monotonic()
        await mark_deleted(node, pod)
        assert await request(1, "/hostname") == (200, "pod-1\n")
        await node.until_deleted(1)
        assert time.monotonic() - began >= 1.0

    on_node(processes, test)


async def mark_deleted(node: Node, pod: Pod) -> None:
    """Delete with the Pod's own grace, 30 seconds where it says nothing."""
    grace = pod.spec.termination_grace_period_seconds
    await node.client.delete(Pod, pod.metadata.name, grace_seconds=30 if grace is None else grace)


def test_a_pod_replaced_by_another_of_its_name_is_the_new_one(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, command("sh", "-c", "echo old; trap '' TERM; exec sleep 100"))
        await node.ready(1)
        await wait_for_log(node, "old\n")
        await node.client.delete(Pod, "pod-1")
        await node.create(1, server())
        pod = await node.ready(1)
        assert pod.status.container_statuses[0].restart_count == 0
        assert await request(1, "/hostname") == (200, "pod-1\n")
        assert "old" not in node.log_of(1)

    on_node(processes, test)


def test_a_pod_in_the_nodes_network_serves_there(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, {**server(), "hostNetwork": True})
        await node.ready(1)
        with inside(NODE_NAMESPACE):
            client = socket.socket()
        client.setblocking(False)
        with client:
            await asyncio.get_running_loop().sock_connect(client, ("10.79.2.1", 8080))
        with pytest.raises(ConnectionRefusedError):
            await request(1, "/hostname")

    on_node(processes, test)


def test_a_kubelet_that_was_killed_takes_up_its_pods_again(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server())
        await node.create(2, command("sh", "-c", "echo up; exec sleep 54321"))
        await node.create(3, command("sleep", "54321", restartPolicy="Never"))
        before = await node.ready(1)
        await node.ready(2)
        await node.ready(3)
        await wait_for_log(node, "up\n", number=2)
        processes.stop("kubelet", signal.SIGKILL)
        with pytest.raises(ConnectionRefusedError):
            await request(1, "/hostname")
        processes.start_kubelet()
        restarted = await node.until(2, lambda pod: pod.status.container_statuses[0].restart_count == 1)
        assert restarted.status.container_statuses[0].last_state["terminated"]["exitCode"] == 137
        failed = await node.until(3, lambda pod: pod.status.phase == "Failed")
        assert container(failed, "terminated")["message"] == "ended with its kubelet"
        assert await request(1, "/hostname") == (200, "pod-1\n")
        assert (await node.client.get(Pod, "pod-1")).status == before.status

    on_node(processes, test)


def test_pods_go_on_serving_without_an_api_server_and_report_when_it_is_back(processes: Processes) -> None:
    probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}

    async def test(node: Node) -> None:
        await node.create(1, server(readinessProbe=probe))
        await node.ready(1)
        processes.stop("api")
        assert await request(1, "/hostname") == (200, "pod-1\n")
        await request(1, "/readyz", method="POST", body="false")
        await wait_for_kubelet_log(node, "is not ready")
        processes.start_api()
        await node.until(1, lambda pod: not pod.condition("Ready"))

    on_node(processes, test)


def test_a_kubelet_told_to_end_leaves_no_process_and_no_socket(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server())
        await node.create(2, command("sh", "-c", "echo up; exec sleep 43210"))
        await node.ready(1)
        await node.ready(2)
        await wait_for_log(node, "up\n", number=2)
        assert processes.stop("kubelet", signal.SIGTERM) == 0
        with pytest.raises(ConnectionRefusedError):
            await request(1, "/hostname")
        assert subprocess.run(["pgrep", "-f", "^sleep 43210"], check=False).returncode == 1

    on_node(processes, test)


def test_a_pod_that_loses_its_network_starts_again_when_it_has_another(processes: Processes) -> None:
    async def test(node: Node) -> None:
        await node.create(1, server())
        before = await node.ready(1)
        await set_network(node, before, "False")
        await node.until(1, lambda pod: not pod.condition("Ready"))
        with pytest.raises(ConnectionRefusedError):
            await request(1, "/hostname")
        pod = await node.until(1, lambda pod: container(pod, "waiting") != {})
        await set_network(node, pod, "True")
        pod = await node.ready(1)
        assert pod.status.container_statuses[0].restart_count == 1
        assert await request(1, "/hostname") == (200, "pod-1\n")

    on_node(processes, test)


async def set_network(node: Node, pod: Pod, status: str) -> None:
    """Say of the Pod's network what the fabric says of it."""
    conditions = [
        {**condition.model_dump(by_alias=True, exclude_none=True), "status": status}
        if condition.type == "PodReadyToStartContainers"
        else condition.model_dump(by_alias=True, exclude_none=True)
        for condition in pod.status.conditions
    ]
    await node.client.patch(Pod, pod.metadata.name, {"status": {"conditions": conditions}}, subresource="status")


def test_nothing_is_patched_while_nothing_changes(processes: Processes) -> None:
    probe = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}

    async def test(node: Node) -> None:
        await node.create(1, server(readinessProbe=probe))
        before = await node.ready(1)
        async with asyncio.timeout(DEADLINE):
            while node.log_of(1).count("GET /readyz 200") < 3:
                await asyncio.sleep(0)
        assert (await node.client.get(Pod, "pod-1")).metadata.resource_version == before.metadata.resource_version

    on_node(processes, test)


async def wait_for_log(node: Node, text: str, *, number: int = 1) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(FileNotFoundError):
                if node.log_of(number) == text:
                    return
            await asyncio.sleep(0)


async def wait_for_kubelet_log(node: Node, text: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while text not in node.processes.paths.log("kubelet").read_text():
            await asyncio.sleep(0)
