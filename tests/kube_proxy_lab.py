"""A node and a Pod behind it, an API server, and the node's kube-proxy, each a process or a namespace of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_STREAM, SocketKind, socket
from urllib.parse import urlencode

from leaks import remaining

from netlab.agents import kube_proxy
from netlab.agents.kube_proxy import AgentOptions
from netlab.api.http import server
from netlab.api.sync_client import SyncClient
from netlab.kernel.namespaces import Namespaces
from netlab.model.objects import EndpointSlice, Service
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology

NODE, POD = "nlipt.node1", "nlipt.pod"
GATEWAY, GATEWAY_6 = "10.244.0.1", "fd00:10:244::1"
PODS = ("10.244.0.7", "10.244.0.8")
PODS_6 = ("fd00:10:244::7", "fd00:10:244::8")
DUAL_STACK = {
    "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
}
WITHIN_SECONDS = 15.0
LINKS = (
    (NODE, f"ip link add pod0 type veth peer name eth0 netns {POD}"),
    (NODE, "ip link set lo up"),
    (NODE, "ip link set pod0 up"),
    (NODE, f"ip address add {GATEWAY}/24 dev pod0"),
    (NODE, f"ip address add {GATEWAY_6}/64 dev pod0 nodad"),
    (NODE, "ip address add 172.18.0.2/32 dev lo"),
    (NODE, "ip address add fd00:172:18::2/128 dev lo nodad"),
    (NODE, "ip route add default via 10.244.0.254 dev pod0 onlink"),
    (NODE, "ip -6 route add default dev pod0"),
    (POD, "ip link set lo up"),
    (POD, "ip link set eth0 up"),
    *((POD, f"ip address add {address}/24 dev eth0") for address in PODS),
    *((POD, f"ip address add {address}/64 dev eth0 nodad") for address in PODS_6),
    (POD, f"ip route add default via {GATEWAY}"),
    (POD, f"ip -6 route add default via {GATEWAY_6}"),
)


@dataclass(slots=True)
class ProxyLab:
    """The test's own thread is in the node's namespace, unless it is `inside` another one for a moment."""

    paths: LabPaths
    namespaces: Namespaces
    options: AgentOptions
    client: SyncClient = field(init=False)
    processes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = SyncClient(self.paths.api_socket)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        self.namespaces.enter(name)
        try:
            yield
        finally:
            self.namespaces.enter(NODE)

    # --- processes

    def start_api(self) -> None:
        listener = server.listen(self.paths.api_socket)
        listener.listen()
        self._start("api", lambda: server.run(self.paths, listener))
        listener.close()

    def start_proxy(self) -> None:
        self._start("proxy", lambda: kube_proxy.run(self.paths, "node1", options=self.options))

    def start(self, name: str, body: Callable[[], None]) -> None:
        """Another process, which is a copy of this one."""
        self._start(name, body)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status of that process, ended by a signal."""
        self.client.close()  # it would find its connection broken
        pid = self.processes.pop(name)
        os.kill(pid, number)
        assert not remaining([pid], timeout=10)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _start(self, name: str, body: Callable[[], None]) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                body()
                status = 0
            finally:
                os._exit(status)
        self.processes[name] = pid

    # --- objects

    def service(self, name: str = "web", **spec: object) -> Service:
        """A Service that selects nothing: its endpoints are those that the test writes."""
        given = {"ports": [{"port": 80, "targetPort": 8080}], **spec}
        metadata = {"name": name, "namespace": "default"}
        return self.client.create(Service.model_validate({"metadata": metadata, "spec": given}))

    def endpoints(self, *addresses: str, name: str = "web", port: int = 8080, protocol: str = "TCP") -> EndpointSlice:
        """Say that these addresses serve the Service, and no other."""
        given = EndpointSlice.model_validate(
            {
                "metadata": {
                    "name": f"{name}-1",
                    "namespace": "default",
                    "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv6" if any(":" in address for address in addresses) else "IPv4",
                "ports": [{"name": "", "port": port, "protocol": protocol}],
                "endpoints": [{"addresses": [address], "nodeName": "node1"} for address in addresses],
            }
        )
        return self.client.apply(given).object

    def followed(self) -> dict[str, object]:
        """Wait until the rules follow from all that the API server has; what the proxy then says of itself."""
        versions = {
            kind.PLURAL: max(
                (int(found.metadata.resource_version or 0) for found in self.client.list(kind)[0]), default=0
            )
            for kind in (Service, EndpointSlice)
        }
        text = self.ask("127.0.0.1", 10249, "/proxy-status?" + urlencode({**versions, "within": WITHIN_SECONDS}))
        report: dict[str, object] = json.loads(text)
        assert all(report["followed"].get(kind, 0) >= version for kind, version in versions.items()), report  # type: ignore[attr-defined]
        return report

    def ask(self, host: str, port: int, path: str) -> str:
        """GET from the proxy, which may be starting still."""
        connection = _connected(host, port)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status < 500 or path == "/healthz", text
        return text

    # --- packets

    def listen(self, address: str, port: int, kind: SocketKind = SOCK_STREAM) -> socket:
        """A server's socket in the Pod's namespace."""
        with self.inside(POD):
            found = socket(AF_INET6 if ":" in address else AF_INET, kind)
            found.bind((address, port))
        if kind == SOCK_STREAM:
            found.listen()
        found.settimeout(WITHIN_SECONDS)
        return found

    def connect(self, address: str, port: int) -> socket:
        """A connection from the node."""
        found = socket(AF_INET6 if ":" in address else AF_INET, SOCK_STREAM)
        found.settimeout(2.0)
        try:
            found.connect((address, port))
        except OSError:
            found.close()
            raise
        return found


def _connected(host: str, port: int) -> http.client.HTTPConnection:
    """Tried until somebody listens: a process that was just forked takes a moment."""
    deadline, pause = time.monotonic() + WITHIN_SECONDS, threading.Event()
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(host, port, timeout=WITHIN_SECONDS + 5)
        try:
            connection.connect()
        except ConnectionRefusedError:
            pause.wait(0.005)
        else:
            return connection
    raise AssertionError(f"nobody listens on {host}:{port}")


@contextmanager
def proxy_lab(
    folder: Path, *, options: AgentOptions | None, network: dict[str, object] | None = None, mode: str = "iptables"
) -> Iterator[ProxyLab]:
    """All of it, running; taken away at the end. Without `options` there is no kube-proxy yet."""
    with Namespaces() as namespaces:
        for name in (POD, NODE):
            namespaces.create(name)
        lab = ProxyLab(LabPaths("nlipt", folder), namespaces, options or AgentOptions())
        try:
            for name, command in LINKS:
                with lab.inside(name):
                    subprocess.run(command.split(), check=True)
            lab.start_api()
            spec = {"nodes": [{"name": "node1"}], "network": network or {}, "proxy": {"mode": mode}}
            lab.client.create(Topology.model_validate({"metadata": {"name": "nlipt"}, "spec": spec}))
            if options:
                lab.start_proxy()
            yield lab
        finally:
            lab.client.close()
            for name in tuple(lab.processes):
                lab.stop(name, signal.SIGKILL)
            for name in (POD, NODE):
                namespaces.delete(name)
