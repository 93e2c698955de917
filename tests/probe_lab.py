"""A lab made by hand, to send packets through.

The node `node1` joins the Pods `shell`, `web-1` and `web-2` and the machine `outside`, with rules like kube-proxy's.
"""

from __future__ import annotations

import selectors
import shutil
import socket
import subprocess
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest

from netlab.kernel import conntrack as kernel_conntrack
from netlab.kernel.namespaces import inside
from netlab.model.cluster import ClusterView
from netlab.model.objects import (
    Endpoint,
    EndpointSlice,
    Node,
    NodeAddress,
    NodeStatus,
    ObjectMeta,
    Pod,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from netlab.model.rules import IPAddress
from netlab.model.topology import External, Topology, TopologySpec
from netlab.probe.prober import Sent

LAB = "nlprb"
PLACES = ("node1", "shell", "web-1", "web-2", "outside")
PODS = {"shell": 0, "web-1": 1, "web-2": 2}
"""Each Pod's subnet: Pod N has 10.244.N.2 and fd00:244:N::2, the node's end is .1."""

NAT = """\
*nat
:SVC -
-A PREROUTING -j SVC
-A OUTPUT -j SVC
-A SVC -d {vip} -p tcp --dport 80 -m statistic --mode random --probability 0.5 -j DNAT --to-destination {web1}:8080
-A SVC -d {vip} -p tcp --dport 80 -j DNAT --to-destination {web2}:8080
-A SVC -d {vip} -p udp --dport 53 -m statistic --mode random --probability 0.5 -j DNAT --to-destination {web1}:5353
-A SVC -d {vip} -p udp --dport 53 -j DNAT --to-destination {web2}:5353
-A SVC -d {vip} -p tcp --dport 81 -j DNAT --to-destination {web1}:9999
-A SVC -d {vip} -p tcp --dport 82 -j DNAT --to-destination {web1}:9090
-A SVC -d {vip} -p tcp --dport 83 -j DNAT --to-destination {web1}:8080
-A SVC -d {node} -p tcp --dport 30080 -j DNAT --to-destination {web1}:8080
-A POSTROUTING -s {pod1} -d {pod1} -j MASQUERADE
-A POSTROUTING -s {wire} -d {pods} -m conntrack --ctstate DNAT -j MASQUERADE
COMMIT
*filter
-A FORWARD -d {vip} -p tcp --dport 90 -j REJECT
-A OUTPUT -d {vip} -p tcp --dport 90 -j REJECT
-A FORWARD -d {vip} -p udp --dport 90 -j REJECT
-A FORWARD -d {vip} -p tcp --dport 91 -j DROP
-A OUTPUT -d {vip} -p tcp --dport 91 -j DROP
-A FORWARD -s {pod1} -p tcp --sport 9090 -j DROP
COMMIT
"""
RULES = {
    "iptables-legacy-restore": {
        "vip": "10.96.0.10",
        "web1": "10.244.1.2",
        "web2": "10.244.2.2",
        "pod1": "10.244.1.2",
        "node": "172.18.0.2",
        "wire": "172.18.0.0/24",
        "pods": "10.244.0.0/16",
    },
    "ip6tables-legacy-restore": {
        "vip": "fd00:96::10",
        "web1": "[fd00:244:1::2]",
        "web2": "[fd00:244:2::2]",
        "pod1": "fd00:244:1::2",
        "node": "fd00:172::2",
        "wire": "fd00:172::/64",
        "pods": "fd00:244::/32",
    },
}


def tool(*argv: str, text: str | None = None) -> str:
    path = shutil.which(argv[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        pytest.skip(f"needs {argv[0]}")
    done = subprocess.run([path, *argv[1:]], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def namespace(place: str) -> str:
    return f"{LAB}.{place}"


def write_sysctls(place: str, settings: dict[str, str]) -> None:
    with inside(namespace(place)):
        for key, value in settings.items():
            Path("/proc/sys/net", key).write_text(value)


def join(place: str, *, subnet4: str, subnet6: str, near: str = "1", far: str = "2") -> None:
    """A cable from node1 to a place, with an address of each family at both ends."""
    node, other, port = namespace("node1"), namespace(place), f"to-{place}"
    tool("ip", "-n", node, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", other)
    for where, link, host in ((node, port, near), (other, "eth0", far)):
        tool("ip", "-n", where, "addr", "add", f"{subnet4}.{host}/24", "dev", link)
        tool("ip", "-n", where, "addr", "add", f"{subnet6}::{host}/64", "dev", link, "nodad")
        tool("ip", "-n", where, "link", "set", link, "up")


def build() -> None:
    for place in PLACES:
        tool("ip", "netns", "add", namespace(place))
        tool("ip", "-n", namespace(place), "link", "set", "lo", "up")
        write_sysctls(place, {"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0"})
        write_sysctls(place, {"ipv6/conf/default/accept_dad": "0", "ipv4/icmp_ratelimit": "0"})
        write_sysctls(place, {"ipv6/icmp/ratelimit": "0", "ipv6/conf/all/accept_dad": "0"})
    for pod, number in PODS.items():
        join(pod, subnet4=f"10.244.{number}", subnet6=f"fd00:244:{number}")
        tool("ip", "-n", namespace(pod), "route", "add", "default", "via", f"10.244.{number}.1")
        tool("ip", "-n", namespace(pod), "-6", "route", "add", "default", "via", f"fd00:244:{number}::1")
    join("outside", subnet4="172.18.0", subnet6="fd00:172", near="2", far="4")
    write_sysctls("node1", {"ipv4/conf/all/forwarding": "1", "ipv6/conf/all/forwarding": "1"})
    write_sysctls("node1", {"ipv4/conf/all/send_redirects": "0", "ipv4/conf/to-web-1/send_redirects": "0"})
    for family, gateway, nowhere in (("-4", "172.18.0.4", "10.99.0.0/16"), ("-6", "fd00:172::4", "fd00:99::/32")):
        tool("ip", "-n", namespace("node1"), family, "route", "add", "default", "via", gateway)
        tool("ip", "-n", namespace("node1"), family, "route", "add", "unreachable", nowhere)
    for restore, values in RULES.items():
        with inside(namespace("node1")):
            tool(restore, text=NAT.format(**values))
    write_sysctls("node1", {"ipv4/conf/all/route_localnet": "1"})
    with inside(namespace("node1")):
        node_port = "-d 127.0.0.1 -p tcp --dport 30080 -j DNAT --to-destination 10.244.1.2:8080"
        tool("iptables-legacy", "-t", "nat", "-A", "SVC", *node_port.split())
        tool(
            "iptables-legacy",
            "-t",
            "nat",
            "-A",
            "POSTROUTING",
            *["-s", "127.0.0.1", "!", "-o", "lo", "-j", "MASQUERADE"],
        )


def tear_down() -> None:
    for place in PLACES:
        subprocess.run(["ip", "netns", "del", namespace(place)], check=False, capture_output=True)


class Servers:
    """In web-1 and web-2: TCP on 8080 and 9090, and UDP on 5353 that answers with its Pod's name and the client.

    UDP on 7 sends back what it gets, and UDP on 5454 answers from another port.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._udp = selectors.DefaultSelector()
        self._stop, stopped = socket.socketpair()
        self._sockets += [self._stop, stopped]
        self._udp.register(stopped, selectors.EVENT_READ, "")
        for pod in ("web-1", "web-2"):
            with inside(namespace(pod)):
                self._serve(pod)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _serve(self, pod: str) -> None:
        for port in (8080, 9090):
            self._sockets.append(socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True))
        for port in (5353, 5454, 7):
            for family in (socket.AF_INET, socket.AF_INET6):
                udp = socket.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                udp.bind(("", port))
                self._sockets.append(udp)
                self._udp.register(udp, selectors.EVENT_READ, pod)

    def _answer(self) -> None:
        while True:
            for key, _ in self._udp.select():
                if not key.data:
                    return
                server = key.fileobj
                assert isinstance(server, socket.socket)
                request, client = server.recvfrom(2048)
                port = server.getsockname()[1]
                if port == 5454:
                    with inside(namespace(key.data)), socket.socket(server.family, socket.SOCK_DGRAM) as other:
                        other.sendto(b"not from where you asked", client)
                else:
                    server.sendto(request if port == 7 else f"{key.data} {client[0]}".encode(), client)

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join()
        self._udp.close()
        for each in self._sockets:
            each.close()


def pod(name: str) -> Pod:
    number = PODS[name]
    addresses = (PodIP(ip=f"10.244.{number}.2"), PodIP(ip=f"fd00:244:{number}::2"))
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=PodSpec(node_name="node1"),
        status=PodStatus(phase="Running", pod_ip=addresses[0].ip, pod_ips=addresses),
    )


VIEW = ClusterView(
    lab=LAB,
    topology=Topology(
        metadata=ObjectMeta(name=LAB),
        spec=TopologySpec(externals=(External(name="outside", addresses=("172.18.0.4",)),)),
    ),
    nodes=(
        Node(
            metadata=ObjectMeta(name="node1"),
            status=NodeStatus(
                addresses=(
                    NodeAddress(type="InternalIP", address="172.18.0.2"),
                    NodeAddress(type="InternalIP", address="fd00:172::2"),
                )
            ),
        ),
    ),
    pods=tuple(pod(name) for name in PODS),
    services=(
        Service(
            metadata=ObjectMeta(name="web", namespace="default"),
            spec=ServiceSpec(
                cluster_ip="10.96.0.10",
                cluster_ips=("10.96.0.10", "fd00:96::10"),
                ports=(ServicePort(port=80, name="http"),),
            ),
        ),
    ),
    external_addresses={"outside": (ip_address("172.18.0.4"),)},
    endpoint_slices=(
        EndpointSlice(
            metadata=ObjectMeta(name="web-a"),
            address_type="IPv4",
            endpoints=(Endpoint(addresses=("10.244.1.2",)), Endpoint(addresses=("10.244.2.2",))),
        ),
    ),
)


def conntrack(where: str, sent: Sent) -> tuple[IPAddress, int] | None:
    """Ask the kernel where the flow went."""
    with inside(where):
        return kernel_conntrack.translated(
            sent.protocol.value, (sent.source, sent.source_port), (sent.destination, sent.destination_port)
        )
