"""What a probe reports is what happened to its packets: verdict, Pod, source, translation, time.

A lab made by hand: the node `node1` joins the Pods `shell`, `web-1` and `web-2` and the machine `outside`, with rules
like kube-proxy's in its tables.
"""

from __future__ import annotations

import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest

from netlab.errors import NotFound
from netlab.model.journey import Flow, PacketVerdict, ProbeResult, Translation
from netlab.model.names import Place
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
from netlab.model.targets import Target
from netlab.model.topology import Expectation, ExpectedVerdict, External, Topology, TopologySpec
from netlab.probe.check import check
from netlab.probe.cluster import ClusterView
from netlab.probe.prober import Prober, Sent
from netlab.workload.namespaces import inside

pytestmark = pytest.mark.root
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


@pytest.fixture(scope="module", autouse=True)
def lab() -> Iterator[None]:
    try:
        build()
        servers = Servers()
        try:
            yield
        finally:
            servers.close()
    finally:
        for place in PLACES:
            subprocess.run(["ip", "netns", "del", namespace(place)], check=False, capture_output=True)


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
    """Find the connection with that original tuple in the kernel's list; its reply's source is where it went."""
    with inside(where):
        lines = Path("/proc/thread-self/net/nf_conntrack").read_text().splitlines()
    for line in lines:
        words = [word.partition("=")[::2] for word in line.split() if "=" in word]
        original, reply = (tuple(value for _, value in words[at : at + 4]) for at in (0, 4))
        if f" {sent.protocol} " in line and _ends(original) == sent[1:]:
            return _ends(reply)[0], int(reply[2])
    return None


def _ends(words: tuple[str, ...]) -> tuple[IPAddress, int, IPAddress, int]:
    """src=, dst=, sport=, dport= in the order of `Sent`."""
    return ip_address(words[0]), int(words[2]), ip_address(words[1]), int(words[3])


@pytest.fixture(scope="module")
def prober(lab: None) -> Iterator[Prober]:
    with Prober(VIEW, inside=inside, conntrack=conntrack) as prober:
        yield prober


def probe(prober: Prober, from_: str, to: str, **options: float) -> ProbeResult:
    return prober.probe(Place.parse(from_), Target.parse(to), **{"count": 3, "timeout": 0.5, **options})  # type: ignore[arg-type]


class Case(NamedTuple):
    """What every flow of a probe must report: verdict, Pods that may get it, the source they see, the translation."""

    from_: str
    to: str
    verdict: PacketVerdict
    pods: frozenset[str | None] = frozenset({None})
    source: str | None = None
    to_port: int | None = None


WEB, WEB_1, NOBODY = frozenset({"web-1", "web-2"}), frozenset({"web-1"}), frozenset({None})
REACHED, REFUSED, DROPPED, UNREACHABLE = PacketVerdict
CASES = {
    "a Service reaches its Pods, which see the client": Case(
        "pod/shell", "service/web:http", REACHED, WEB, "10.244.0.2", 8080
    ),
    "over IPv6 too": Case("pod/shell", "[fd00:96::10]:80", REACHED, WEB, "fd00:244::2", 8080),
    "over UDP too": Case("pod/shell", "service/web:53/udp", REACHED, WEB, "10.244.0.2", 5353),
    "over UDP and IPv6 too": Case("pod/shell", "[fd00:96::10]:53/udp", REACHED, WEB, "fd00:244::2", 5353),
    "a Pod's own address is not translated": Case("pod/shell", "pod/web-1:8080", REACHED, WEB_1, "10.244.0.2"),
    "nor is it over IPv6": Case("pod/shell", "[fd00:244:1::2]:8080", REACHED, WEB_1, "fd00:244::2"),
    "a ping is answered by the Pod": Case("pod/shell", "pod/web-1/icmp", REACHED, WEB_1, "10.244.0.2"),
    "a ping is answered over IPv6": Case("pod/shell", "[fd00:244:1::2]/icmp", REACHED, WEB_1, "fd00:244::2"),
    "a ping to the node is answered by no Pod": Case("pod/shell", "node/node1/icmp", REACHED),
    "a Pod reaches itself through its Service as the node": Case(
        "pod/web-1", "10.96.0.10:83", REACHED, WEB_1, "10.244.1.1", 8080
    ),
    "over IPv6 a Pod reaches itself likewise": Case(
        "pod/web-1", "[fd00:96::10]:83", REACHED, WEB_1, "fd00:244:1::1", 8080
    ),
    "a Pod reaches itself directly as itself": Case("pod/web-1", "pod/web-1:8080", REACHED, WEB_1, "10.244.1.2"),
    "a Pod pings itself": Case("pod/web-1", "pod/web-1/icmp", REACHED, WEB_1, "10.244.1.2"),
    "the node's own packets are translated in OUTPUT": Case(
        "node/node1", "10.96.0.10:83", REACHED, WEB_1, "10.244.1.1", 8080
    ),
    "over IPv6 the node's own are too": Case("node/node1", "[fd00:96::10]:83", REACHED, WEB_1, "fd00:244:1::1", 8080),
    "the node reaches a NodePort on its own address": Case(
        "node/node1", "node/node1:30080", REACHED, WEB_1, "10.244.1.1", 8080
    ),
    "the node reaches a NodePort on localhost": Case(
        "node/node1", "127.0.0.1:30080", REACHED, WEB_1, "10.244.1.1", 8080
    ),
    "a NodePort lets a machine outside in as the node": Case(
        "external/outside", "node/node1:30080", REACHED, WEB_1, "10.244.1.1", 8080
    ),
    "over IPv6 a NodePort does too": Case(
        "external/outside", "[fd00:172::2]:30080", REACHED, WEB_1, "fd00:244:1::1", 8080
    ),
    "without a route nothing leaves": Case("external/outside", "pod/web-1:8080", UNREACHABLE),
    "without a route nothing leaves over IPv6": Case("external/outside", "[fd00:244:1::2]:8080", UNREACHABLE),
    "a node with an unreachable route sends nothing": Case("node/node1", "10.99.0.1:80", UNREACHABLE),
    "a router says that there is no route": Case("pod/shell", "10.99.0.1:80", UNREACHABLE),
    "a router says so over IPv6": Case("pod/shell", "[fd00:99::1]:80", UNREACHABLE),
    "a router says so of a ping": Case("pod/web-2", "10.99.0.1/icmp", UNREACHABLE),
    "a router says so of a ping over IPv6": Case("pod/web-2", "[fd00:99::1]/icmp", UNREACHABLE),
    "REJECT refuses": Case("pod/shell", "10.96.0.10:90", REFUSED),
    "REJECT refuses over IPv6": Case("pod/shell", "[fd00:96::10]:90", REFUSED),
    "REJECT refuses UDP": Case("pod/shell", "10.96.0.10:90/udp", REFUSED),
    "REJECT refuses UDP over IPv6": Case("pod/shell", "[fd00:96::10]:90/udp", REFUSED),
    "REJECT in OUTPUT refuses the node": Case("node/node1", "10.96.0.10:90", REFUSED),
    "REJECT in OUTPUT refuses the node over IPv6": Case("node/node1", "[fd00:96::10]:90", REFUSED),
    "a Pod without a server on the port resets": Case("pod/shell", "10.96.0.10:81", REFUSED, WEB_1, "10.244.0.2", 9999),
    "a Pod without a server resets over IPv6": Case(
        "pod/shell", "[fd00:96::10]:81", REFUSED, WEB_1, "fd00:244::2", 9999
    ),
    "a Pod without a UDP server says so": Case("pod/shell", "pod/web-1:53/udp", REFUSED, WEB_1, "10.244.0.2"),
    "a Pod without a UDP server says so over IPv6": Case(
        "pod/shell", "[fd00:244:1::2]:53/udp", REFUSED, WEB_1, "fd00:244::2"
    ),
    "DROP is silence": Case("pod/shell", "10.96.0.10:91", DROPPED),
    "DROP is silence over IPv6": Case("pod/shell", "[fd00:96::10]:91", DROPPED),
    "DROP in OUTPUT is silence": Case("node/node1", "10.96.0.10:91", DROPPED),
    "a lost answer is a drop, though the Pod got the packet": Case(
        "pod/shell", "10.96.0.10:82", DROPPED, WEB_1, "10.244.0.2", 9090
    ),
    "an answer from another port is none": Case(
        "pod/shell", "pod/web-2:5454/udp", DROPPED, frozenset({"web-2"}), "10.244.0.2"
    ),
    "an echo is not taken for a request to the client": Case(
        "pod/shell", "pod/web-1:7/udp", REACHED, WEB_1, "10.244.0.2"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_flow_reports_what_became_of_it(prober: Prober, case: Case) -> None:
    flows = probe(prober, case.from_, case.to).flows
    assert [flow.verdict for flow in flows] == [case.verdict] * 3
    assert {flow.pod for flow in flows} <= case.pods
    assert {flow.source_seen for flow in flows} == {case.source}
    assert [flow.milliseconds is not None and flow.milliseconds < 500 for flow in flows] == [timed(case)] * 3
    assert {_port_of(flow) for flow in flows} == {case.to_port}


def timed(case: Case) -> bool:
    """Whether something came back: what does not even leave has no answer either."""
    leaves = case.from_ not in ("external/outside", "node/node1")
    return case.verdict in (REACHED, REFUSED) or (case.verdict is UNREACHABLE and leaves)


def _port_of(flow: Flow) -> int | None:
    """The port that a translation leads to; its address must be the Pod's that got the packet."""
    if flow.translated is None:
        return None
    host, _, port = flow.translated.to.rpartition(":")
    assert VIEW.pod_at(ip_address(host.strip("[]"))) == VIEW.pod(flow.pod or "")
    return int(port)


def test_new_flows_are_spread_over_a_services_pods(prober: Prober) -> None:
    summary = probe(prober, "pod/shell", "service/web:80", count=200).summary
    assert summary.verdicts == {REACHED: 200}
    assert sum(summary.pods.values()) == 200
    assert min(summary.pods["web-1"], summary.pods["web-2"]) > 50


def test_a_translation_names_what_was_addressed_and_what_it_became(prober: Prober) -> None:
    (flow,) = probe(prober, "pod/web-1", "[fd00:96::10]:83", count=1).flows
    assert flow.translated == Translation(from_="[fd00:96::10]:83", to="[fd00:244:1::2]:8080")


def test_lost_flows_wait_for_their_answers_together(prober: Prober) -> None:
    start = time.monotonic()
    flows = probe(prober, "pod/shell", "10.96.0.10:91", count=50, timeout=0.4).flows
    assert {flow.verdict for flow in flows} == {DROPPED}
    assert 0.4 <= time.monotonic() - start < 2


def test_an_interval_keeps_the_flows_apart(prober: Prober) -> None:
    start = time.monotonic()
    probe(prober, "pod/shell", "service/web:80", count=5, interval=0.05)
    assert time.monotonic() - start >= 0.2


def test_no_server_is_left_waiting_for_the_rest_of_a_handshake(prober: Prober) -> None:
    probe(prober, "pod/shell", "service/web:80", count=20)
    probe(prober, "pod/shell", "10.96.0.10:82", count=20)
    deadline = time.monotonic() + 5
    while half_open := half_open_connections("web-1", "web-2"):
        assert time.monotonic() < deadline, half_open


def half_open_connections(*pods: str) -> list[str]:
    """Lines of proc_net_tcp(5) in state SYN_RECV (3)."""
    lines = []
    for pod in pods:
        with inside(namespace(pod)):
            for table in ("tcp", "tcp6"):
                lines += Path("/proc/thread-self/net", table).read_text().splitlines()[1:]
    return [line for line in lines if line.split()[3] == "03"]


def test_a_router_that_rations_its_errors_is_explained(prober: Prober) -> None:
    result = probe(prober, "pod/web-1", "10.99.0.1:80", count=8)
    assert result.summary.verdicts.keys() == {UNREACHABLE, DROPPED}
    assert "a second apart" in result.notes[0]


def test_a_pod_that_is_gone_does_not_disturb(lab: None) -> None:
    view = replace(VIEW, pods=(*VIEW.pods, VIEW.pods[0].model_copy(update={"metadata": ObjectMeta(name="gone")})))
    with Prober(view, inside=inside, conntrack=conntrack) as prober:
        assert probe(prober, "pod/shell", "service/web:80").summary.verdicts == {REACHED: 3}
        with pytest.raises(NotFound, match=r"nlprb\.gone"):
            probe(prober, "pod/gone", "service/web:80")


def test_a_check_proves_what_is_true_and_tells_what_is_not(prober: Prober) -> None:
    expect = (
        Expectation(from_="pod/shell", to="service/web:80", reaches=("pod/web-1", "pod/web-2")),
        Expectation(from_="pod/shell", to="10.96.0.10:90", verdict=ExpectedVerdict.REFUSED),
        Expectation(from_="pod/web-2", to="10.99.0.1:80", verdict=ExpectedVerdict.UNREACHABLE),
        Expectation(from_="pod/web-2", to="10.99.0.2:80", verdict=ExpectedVerdict.UNREACHABLE),
        Expectation(from_="pod/shell", to="service/web:80", reaches=("pod/web-1",)),
        Expectation(from_="pod/shell", to="pod/web-1:8080", reaches=("pod/web-1", "pod/web-2")),
        Expectation(from_="pod/shell", to="10.96.0.10:90", verdict=ExpectedVerdict.REACHED),
    )
    spec = VIEW.topology.spec.model_copy(update={"expect": expect})
    view = replace(VIEW, topology=VIEW.topology.model_copy(update={"spec": spec}))
    result = check(view, prober.probe)
    assert [each.passed for each in result.results] == [True, True, True, True, False, False, False]
    assert "web-2 should get none" in result.results[4].observed
    assert "web-2 got none" in result.results[5].observed
    assert result.results[6].observed == "3 flows: 3 refused; every flow should be reached"


def test_an_ordinary_users_lab_is_probed_alike(tmp_path: Path) -> None:
    """The same tests in a user namespace, where this process has no rights over the machine."""
    inner = 'mount -t tmpfs tmpfs /run && exec "$@"'
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner")]
    chosen = ["-k", "every_flow or spread or explained", str(Path(__file__))]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", inner, "inner", *pytest_, *chosen],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"{len(CASES) + 2} passed" in done.stdout
