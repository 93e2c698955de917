"""What a probe reports is what happened to its packets: verdict, Pod, source, translation, time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest
from probe_lab import VIEW, Servers, build, conntrack, namespace, tear_down

from netlab.errors import NotFound
from netlab.kernel.namespaces import inside
from netlab.model.journey import Flow, PacketVerdict, ProbeResult, Translation
from netlab.model.names import Place
from netlab.model.objects import ObjectMeta
from netlab.model.targets import Target, TargetProtocol
from netlab.model.topology import Expectation, ExpectedVerdict
from netlab.probe.check import prove, summed_up
from netlab.probe.prober import Prober
from netlab.probe.sockets import Origin

pytestmark = pytest.mark.root


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
        tear_down()


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


@pytest.mark.parametrize("protocol", [TargetProtocol.TCP, TargetProtocol.UDP])
def test_no_port_comes_again_soon_whoever_asks_and_whom(protocol: TargetProtocol) -> None:
    service, pod = "10.96.0.10", "10.244.1.2"
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as forked:
        elsewhere = forked.submit(ports_towards, service, protocol).result()
    found = [elsewhere, *(ports_towards(address, protocol) for address in (service, pod, service))]
    assert [len(each) for each in found] == [FLOWS] * 4
    assert len(set().union(*found)) == 4 * FLOWS


FLOWS = 300
"""That many four times, taken from the same 28232 ports by chance, meet nineteen times."""


def ports_towards(address: str, protocol: TargetProtocol) -> set[int]:
    """The ports of flows from the Pod `shell` that are all under way at one time."""
    with inside(namespace("shell")), ExitStack() as stack:
        origin = Origin(ip_address(address), protocol)
        stack.callback(origin.close)
        ports = set()
        for _ in range(FLOWS):
            port, held = origin.reserve()
            assert held
            stack.enter_context(held)
            assert held.getsockname()[1] == port
            ports.add(port)
        return ports


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
    assert "rationed" in result.notes[0]
    assert probe(prober, "pod/shell", "10.96.0.10:91").notes == ()


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
        Expectation(from_="pod/shell", to="10.96.0.10:90/sctp", verdict=ExpectedVerdict.REFUSED),
    )
    spec = VIEW.topology.spec.model_copy(update={"expect": expect})
    view = replace(VIEW, topology=VIEW.topology.model_copy(update={"spec": spec}))
    result = summed_up(view, [prove(expectation, view=view, send=prober.probe) for expectation in expect])
    assert [each.passed for each in result.results] == [True, True, True, True, False, False, False, False]
    assert "web-2 should get none" in result.results[4].observed
    assert "web-2 got none" in result.results[5].observed
    assert result.results[6].observed == "3 flows: 3 refused; every flow should be reached"
    assert result.results[7].observed == "not tried: cannot probe 10.96.0.10:90/sctp: probes speak TCP, UDP and ICMP"


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
