"""Real connections between the places of a lab, made and answered by one thread: who answered, and whom did it see?"""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from fabric_lab import Lab, namespace

from netlab.kernel import links, namespaces
from netlab.kernel.namespaces import Namespaces
from netlab.model.state import LabState
from netlab.model.topology import Fabric, PodLink
from netlab.plan.diff import diff

PORT = 8080
SERVICE_PORT = 80
PATIENCE = 2.0
"""Seconds after which a packet is given up. It takes 30 microseconds."""
PODS = {"shell": "node1", "web-1": "node1", "web-2": "node2"}
VIPS = {4: {"web-1": "10.96.0.11", "web-2": "10.96.0.12"}, 6: {"web-1": "fd00:10:96::11", "web-2": "fd00:10:96::12"}}
NODE_PORTS = {"web-1": 30081, "web-2": 30082}
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
RECEIVE_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR, IPV6_RECVERR: have every ICMP error told to a UDP client. See ip(7), ipv6(7)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Which place answered, the source address that it saw, and after how many seconds."""

    place: str
    source: str
    seconds: float


class Stand:
    """Servers at TCP and UDP port 8080 of some places of a lab, and clients anywhere."""

    def __init__(self, state: LabState, *, servers: Sequence[str], version: int) -> None:
        self._lab = state.lab
        self._family = socket.AF_INET if version == 4 else socket.AF_INET6
        self._stack = ExitStack()
        self._servers: dict[socket.socket, str] = {}
        with Namespaces() as visit:
            for place in servers:
                visit.enter(f"{self._lab}.{place}")
                for kind in (TCP, UDP):
                    self._servers[self._server(kind)] = place

    def close(self) -> None:
        self._stack.close()

    def ask(self, place: str, address: str, port: int, *, kind: int = TCP) -> Answer:
        """Send from a place to an address; the answer. OSError as the kernel gives it, TimeoutError for silence.

        Over UDP an ICMP error is told at once. Over TCP it takes a second: it comes back while the first SYN is still
        being sent, when Linux only notes it, and counts when the SYN is sent again.
        """
        client = self._client(place, kind)
        start = time.monotonic()
        with client:
            client.settimeout(PATIENCE)
            if kind == UDP:
                client.setsockopt(*RECEIVE_ERRORS[client.family], 1)
            client.connect((address, port))
            if kind == UDP:
                client.send(b"who?")
            self._serve(kind, client)
            answer = client.recv(200).decode().split()
        return Answer(answer[0], answer[1], time.monotonic() - start)

    def _server(self, kind: int) -> socket.socket:
        server = self._stack.enter_context(socket.socket(self._family, kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", PORT))
        if kind == TCP:
            server.listen()
        return server

    def _client(self, place: str, kind: int) -> socket.socket:
        with Namespaces() as visit:
            visit.enter(f"{self._lab}.{place}")
            return socket.socket(self._family, kind)

    def _serve(self, kind: int, client: socket.socket) -> None:
        """Answer one client, if one comes before `client` is told that its packet is lost."""
        servers = [server for server in self._servers if server.type == kind]
        for server in select.select([client, *servers], [], [], PATIENCE)[0]:
            if server is client:
                continue
            if kind == TCP:
                connection, peer = server.accept()
                with connection:
                    connection.sendall(self._words(server, peer))
            else:
                _, peer = server.recvfrom(200)
                server.sendto(self._words(server, peer), peer)

    def _words(self, server: socket.socket, peer: tuple[str, int]) -> bytes:
        return f"{self._servers[server]} {ip_address(peer[0])}".encode()


@contextmanager
def stand(state: LabState, *, servers: Sequence[str], version: int) -> Iterator[Stand]:
    """A stand that is closed at the end."""
    made = Stand(state, servers=servers, version=version)
    try:
        yield made
    finally:
        made.close()


def restore(namespace: str, rules: str, *, version: int) -> None:
    """Add rules in iptables-restore's words."""
    program = "iptables-legacy-restore" if version == 4 else "ip6tables-legacy-restore"
    subprocess.run(["ip", "netns", "exec", namespace, program, "--noflush"], input=rules, text=True, check=True)


@dataclass(frozen=True, slots=True)
class Design:
    """One way to join Pods and nodes, in one family."""

    fabric: Fabric
    pod_link: PodLink
    version: int

    @property
    def lab(self) -> Lab:
        return Lab(fabric=self.fabric, pod_link=self.pod_link, families=(f"IPv{self.version}",))


@dataclass(frozen=True, slots=True)
class Up:
    """A lab that is up, with servers in its Pods web-1 and web-2, at the client and on node2."""

    design: Design
    state: LabState
    stand: Stand

    def address(self, place: str, link: str = "eth0") -> str:
        addresses = namespace(self.state, place).addresses
        return next(str(each.interface.ip) for each in addresses if each.link == link)

    @property
    def nobody(self) -> str:
        """An address of node2's Pod range that no Pod has."""
        return "10.244.1.99" if self.design.version == 4 else "fd00:10:244:1::99"

    def vip(self, pod: str) -> str:
        return VIPS[self.design.version][pod]


def kube_proxy(lab: Up, node: str) -> str:
    """What kube-proxy does on a node for two Services of one Pod each: translate, and masquerade where it must."""
    pods = "10.244.0.0/16" if lab.design.version == 4 else "fd00:10:244::/56"
    lines = []
    for pod, port in NODE_PORTS.items():
        target = lab.address(pod) if lab.design.version == 4 else f"[{lab.address(pod)}]"
        for protocol in ("tcp", "udp"):
            dnat = f"-j DNAT --to-destination {target}:{PORT}"
            for hook in ("PREROUTING", "OUTPUT"):
                lines.append(f"-A {hook} -d {lab.vip(pod)} -p {protocol} --dport {SERVICE_PORT} {dnat}")
            lines.append(f"-A PREROUTING -d {lab.address(node)} -p {protocol} --dport {port} {dnat}")
        lines.append(f"-A POSTROUTING -s {lab.address(pod)} -d {lab.address(pod)} -j MASQUERADE")
    lines.append(f"-A POSTROUTING ! -s {pods} -m conntrack --ctstate DNAT -j MASQUERADE")
    return "\n".join(("*nat", *lines, "COMMIT", ""))


@contextmanager
def bring_up(design: Design) -> Iterator[Up]:
    """A lab of that design, up until the end, with rules in kube-proxy's place on both nodes."""
    state = design.lab.state(PODS)
    links.apply(diff((), state.namespaces))
    try:
        with stand(state, servers=("web-1", "web-2", "client", "node2"), version=design.version) as servers:
            lab = Up(design, state, servers)
            for node in ("node1", "node2"):
                restore(f"{state.lab}.{node}", kube_proxy(lab, node), version=design.version)
            yield lab
    finally:
        namespaces.delete_lab(state.lab)
