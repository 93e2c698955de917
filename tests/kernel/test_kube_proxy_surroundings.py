"""What a kube-proxy does beside writing rules: health checks of Services, repairs, Events, and telling how it is."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from select import select
from socket import AF_INET6, create_server

import pytest
from kube_proxy_lab import PODS, ProxyLab, proxy_lab
from waiting import until

from netlab.agents.kube_proxy import AgentOptions
from netlab.agents.kube_proxy.guard import Guard
from netlab.agents.kube_proxy.server import Binding
from netlab.kernel.nft_changes import NftChanges
from netlab.kernel.table_marks import TableMarks
from netlab.model.objects import Event, Node, Service
from netlab.model.rules import Backend, Family

pytestmark = pytest.mark.root
HEALTH_PORT = 32123
LOCAL_SERVICE = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": HEALTH_PORT,
    "ports": [{"port": 80, "targetPort": 8080}],
}
NEVER = 3600.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ProxyLab]:
    with proxy_lab(tmp_path, options=AgentOptions(sync_seconds=NEVER)) as found:
        yield found


def rules(table: str = "nat") -> list[str]:
    done = subprocess.run(["iptables-legacy-save", "-t", table], check=True, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if line.startswith(("-A", ":KUBE"))]


def answer(host: str, port: int = HEALTH_PORT) -> tuple[int, dict[str, object], str | None]:
    """Status, body and weight of a health check."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/")
        given = connection.getresponse()
        return given.status, json.loads(given.read()), given.getheader("X-Load-Balancing-Endpoint-Weight")
    finally:
        connection.close()


def refused(host: str, port: int = HEALTH_PORT) -> bool:
    try:
        answer(host, port)
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was just about to be closed
        return False
    return False


# --- health checks


@pytest.mark.parametrize("host", ["172.18.0.2", "127.0.0.1"])
def test_a_load_balancer_learns_how_many_endpoints_the_node_has(lab: ProxyLab, host: str) -> None:
    lab.service(**LOCAL_SERVICE)
    lab.endpoints(*PODS)
    lab.followed()

    status, body, weight = until(lambda: not refused(host) and answer(host))  # type: ignore[misc]
    assert (status, weight) == (200, "2")
    assert body == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }
    assert refused("::1")  # the Service has no IPv6: its health is none of that family's


def test_without_an_endpoint_on_the_node_the_answer_is_503_until_there_is_one(lab: ProxyLab) -> None:
    lab.service(**LOCAL_SERVICE)
    lab.followed()
    until(lambda: not refused("127.0.0.1"))
    assert (answer("127.0.0.1")[0], answer("127.0.0.1")[2]) == (503, "0")

    lab.endpoints(PODS[0])
    lab.followed()

    until(lambda: answer("127.0.0.1")[0] == 200)


def test_the_port_is_closed_when_the_service_goes_or_needs_it_no_more(lab: ProxyLab) -> None:
    lab.service(**LOCAL_SERVICE)
    lab.followed()
    until(lambda: not refused("127.0.0.1"))

    lab.client.patch(Service, "web", {"spec": {"externalTrafficPolicy": "Cluster", "healthCheckNodePort": None}})
    until(lambda: refused("127.0.0.1"))

    lab.client.delete(Service, "web")
    lab.service("other", **LOCAL_SERVICE)
    until(
        lambda: (
            not refused("127.0.0.1") and answer("127.0.0.1")[1]["service"] == {"namespace": "default", "name": "other"}
        )
    )


def test_a_port_that_somebody_else_has_harms_nothing(lab: ProxyLab) -> None:
    taken = create_server(("0.0.0.0", HEALTH_PORT)), create_server(("::", HEALTH_PORT), family=AF_INET6)
    with taken[0], taken[1], lab.listen(PODS[0], 8080) as server:
        lab.service(**LOCAL_SERVICE, clusterIP="10.96.0.10")
        lab.endpoints(PODS[0])
        lab.followed()
        with lab.connect("10.96.0.10", 80), server.accept()[0] as accepted:
            assert accepted.getsockname() == (PODS[0], 8080)


# --- repairs


@pytest.mark.parametrize(
    "damage",
    [
        "iptables-legacy -t nat -F",
        "iptables-legacy -t nat -F KUBE-SERVICES",
        "iptables-legacy -t nat -D OUTPUT 1",
        "iptables-legacy -F",
        "ip6tables-legacy -t nat -F",
    ],
)
def test_rules_that_somebody_took_away_are_back_long_before_the_sync_period(tmp_path: Path, damage: str) -> None:
    network = {
        "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
        "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
        "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
    }
    with proxy_lab(tmp_path, options=AgentOptions(sync_seconds=NEVER), network=network) as lab:
        lab.service(clusterIP="10.96.0.10")
        lab.endpoints(PODS[0])
        lab.followed()
        wanted = everything()

        subprocess.run(damage.split(), check=True)

        assert everything() != wanted
        started = time.monotonic()
        until(lambda: everything() == wanted, seconds=10)
        assert time.monotonic() - started < 5


def everything() -> list[str]:
    commands = [
        [f"{tool}-legacy-save", "-t", table] for tool in ("iptables", "ip6tables") for table in ("nat", "filter")
    ]
    texts = (subprocess.run(command, check=True, capture_output=True, text=True).stdout for command in commands)
    return sorted(line for text in texts for line in text.splitlines() if line.startswith(("-A", ":KUBE")))


def test_a_whole_table_loaded_by_somebody_else_gets_its_rules_back_and_keeps_theirs(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    lab.followed()
    wanted = set(rules())
    theirs = "*nat\n:PREROUTING ACCEPT [0:0]\n:MINE - [0:0]\n-A PREROUTING -p udp -j MINE\nCOMMIT\n"

    subprocess.run(["iptables-legacy-restore"], input=theirs, text=True, check=True)

    until(lambda: wanted <= set(rules()))
    assert "-A PREROUTING -p udp -j MINE" in rules()


def test_other_peoples_changes_are_looked_at_and_left_alone(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.followed()
    before = rules()

    subprocess.run(["iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "ACCEPT"], check=True)
    until(lambda: "full_proxy_rules_duration_seconds_count 2" in lab.ask("127.0.0.1", 10249, "/metrics"))

    assert [rule for rule in rules() if rule != "-A PREROUTING -p udp -j ACCEPT"] == before


def test_looking_at_the_tables_costs_microseconds(lab: ProxyLab) -> None:
    lab.followed()
    marks = TableMarks()
    first = marks.mark(Family.IPV4, "nat")
    started = time.perf_counter()
    for _ in range(1000):
        marks.mark(Family.IPV4, "nat")
    each = (time.perf_counter() - started) / 1000
    marks.close()

    assert first is not None
    assert each < 0.0002


def test_a_table_s_mark_changes_with_its_rules_and_there_is_none_of_no_table(lab: ProxyLab) -> None:
    lab.followed()
    marks = TableMarks()
    before = marks.mark(Family.IPV4, "filter")
    subprocess.run(["iptables-legacy", "-A", "INPUT", "-p", "udp", "-j", "ACCEPT"], check=True)

    assert marks.mark(Family.IPV4, "filter") != before
    assert marks.mark(Family.IPV4, "nonsense") is None
    marks.close()


def test_of_iptables_nft_the_kernel_tells_by_itself(lab: ProxyLab) -> None:
    told: list[NftChanges] = []
    guard = Guard(told.append)
    guard.remember({Family.IPV4: Backend.NFT})
    (changes,) = told
    assert not guard.disturbed()

    subprocess.run(["iptables-nft", "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-j", "ACCEPT"], check=True)

    assert select([changes], [], [], 5)[0]
    assert (changes.drain(), changes.drain(), guard.disturbed()) == (True, False, True)
    guard.remember({Family.IPV4: Backend.NFT})
    assert not guard.disturbed()
    guard.close()


# --- what is wrong


def test_what_is_not_served_is_an_event_and_stands_in_the_report(lab: ProxyLab) -> None:
    lab.service(**LOCAL_SERVICE)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.5"}]}}}
    lab.client.patch(Service, "web", status, subresource="status")
    report = lab.followed()

    assert any("127.0.0.5" in text for text in report["complaints"]), report  # type: ignore[attr-defined]
    events = until(lambda: [event for event in lab.client.list(Event)[0] if event.reason == "NotServed"])
    assert [(event.involved_object.kind, event.involved_object.name, event.type) for event in events] == [
        ("Service", "web", "Warning")
    ]
    assert "127.0.0.5" in (events[0].message or "")


# --- what it says of itself


def test_health_is_told_in_both_families_and_not_of_a_node_that_is_about_to_go(lab: ProxyLab) -> None:
    lab.followed()
    assert json.loads(lab.ask("::1", 10256, "/healthz"))["nodeEligible"] is True

    lab.client.patch(
        Node, "node1", {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}
    )

    until(lambda: _health("/healthz") == (503, False))
    assert _health("/livez")[0] == 200


def _health(path: str) -> tuple[int, object]:
    connection = http.client.HTTPConnection("127.0.0.1", 10256, timeout=5)
    try:
        connection.request("GET", path)
        given = connection.getresponse()
        return given.status, json.loads(given.read()).get("nodeEligible")
    finally:
        connection.close()


def test_it_listens_where_it_is_told_to_or_nowhere(tmp_path: Path) -> None:
    options = AgentOptions(metrics=Binding("127.0.0.1", 20249), health=None)
    with proxy_lab(tmp_path, options=options) as lab:
        assert lab.ask("127.0.0.1", 20249, "/proxyMode") == "iptables"
        for port in (10249, 10256):
            assert refused("127.0.0.1", port)
