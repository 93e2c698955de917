"""A node's kube-proxy from API server to packets: what it writes, when, and what it leaves."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest
from kube_proxy_lab import DUAL_STACK, GATEWAY, PODS, PODS_6, ProxyLab, proxy_lab

from netlab.agents.kube_proxy import AgentOptions
from netlab.model.objects import EndpointSlice, Service

pytestmark = pytest.mark.root
SYNC_SECONDS = 0.3


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ProxyLab]:
    with proxy_lab(tmp_path, options=AgentOptions()) as found:
        yield found


def rules(table: str = "nat", command: str = "iptables-legacy-save") -> list[str]:
    text = subprocess.run([command, "-t", table], check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if line.startswith(("-A", ":KUBE"))]


def test_a_connection_to_a_cluster_ip_arrives_at_the_endpoint_and_at_no_other_port(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        lab.service(clusterIP="10.96.0.10")
        lab.endpoints(PODS[0])
        lab.followed()

        with lab.connect("10.96.0.10", 80), server.accept()[0] as accepted:
            assert accepted.getsockname() == (PODS[0], 8080)
        with pytest.raises(OSError, match=r"timed out|refused|No route"):
            lab.connect("10.96.0.10", 81)


def test_a_service_without_endpoints_refuses_at_once(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.followed()

    with pytest.raises(ConnectionRefusedError):
        lab.connect("10.96.0.10", 80)


def test_it_says_in_which_of_the_kernels_tables_its_rules_are(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")

    report = lab.followed()

    assert report["backend"] == "legacy"
    assert report["rules"] == sum(line.startswith("-A") for table in ("nat", "filter") for line in rules(table))


def test_a_node_port_answers_on_every_address_of_the_node(lab: ProxyLab) -> None:
    with lab.listen(PODS[0], 8080) as server:
        lab.service(type="NodePort", ports=[{"port": 80, "targetPort": 8080, "nodePort": 30080}])
        lab.endpoints(PODS[0])
        lab.followed()

        for address in ("172.18.0.2", GATEWAY, "127.0.0.1"):
            with lab.connect(address, 30080), server.accept()[0] as accepted:
                assert accepted.getpeername()[0] == GATEWAY


def test_a_dual_stack_service_answers_in_both_families(tmp_path: Path) -> None:
    with proxy_lab(tmp_path, options=AgentOptions(), network=DUAL_STACK) as lab, lab.listen(PODS_6[0], 8080) as server:
        service = lab.service(ipFamilyPolicy="RequireDualStack")
        lab.endpoints(PODS_6[0])
        lab.followed()
        four, six = service.spec.cluster_ips

        with lab.connect(six, 80), server.accept()[0] as accepted:
            assert accepted.getsockname()[:2] == (PODS_6[0], 8080)
        with pytest.raises(ConnectionRefusedError):
            lab.connect(four, 80)


def test_endpoints_that_change_are_followed_and_a_deleted_service_leaves_no_rule(lab: ProxyLab) -> None:
    before = rules()
    lab.service(clusterIP="10.96.0.10")
    for addresses in (PODS[:1], PODS, PODS[1:]):
        lab.endpoints(*addresses)
        lab.followed()
        assert sorted(re.findall(r"--to-destination (\S+):8080", "\n".join(rules()))) == sorted(addresses)

    lab.client.delete(Service, "web")
    lab.client.delete(EndpointSlice, "web-1")
    lab.service("other", clusterIP="10.96.0.11")
    lab.followed()

    assert not before or set(before) <= set(rules())
    assert not [line for line in rules() + rules("filter") if "default/web" in line]
    assert len([line for line in rules() if line.startswith(":KUBE-SEP-")]) == 1, "the API server's"


def test_a_udp_client_moves_on_when_its_endpoint_goes(lab: ProxyLab) -> None:
    servers = [lab.listen(address, 5353, SOCK_DGRAM) for address in PODS]
    lab.service(clusterIP="10.96.0.10", ports=[{"port": 53, "protocol": "UDP"}])
    lab.endpoints(PODS[0], port=5353, protocol="UDP")
    lab.followed()
    with servers[0], servers[1], socket(AF_INET, SOCK_DGRAM) as client:
        client.bind(("172.18.0.2", 7777))
        client.sendto(b"first", ("10.96.0.10", 53))
        assert servers[0].recv(9) == b"first"

        lab.endpoints(PODS[1], port=5353, protocol="UDP")
        lab.followed()

        client.sendto(b"second", ("10.96.0.10", 53))
        assert servers[1].recv(9) == b"second"


def test_the_rules_stay_when_the_proxy_ends_and_it_catches_up_when_it_is_back(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    lab.followed()
    written = rules()

    assert lab.stop("proxy") == 0
    lab.endpoints(PODS[1])

    assert rules() == written
    lab.start_proxy()
    lab.followed()
    assert re.findall(r"--to-destination (\S+):8080", "\n".join(rules())) == [PODS[1]]


def test_the_rules_stay_while_there_is_no_api_server_and_follow_it_again(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    lab.followed()

    lab.stop("api", signal.SIGKILL)
    assert re.findall(r"--to-destination (\S+):8080", "\n".join(rules())) == [PODS[0]]

    lab.start_api()
    lab.endpoints(*PODS)
    lab.followed()
    assert sorted(re.findall(r"--to-destination (\S+):8080", "\n".join(rules()))) == sorted(PODS)


def test_rules_that_somebody_flushed_come_back_and_other_peoples_stay(tmp_path: Path) -> None:
    with proxy_lab(tmp_path, options=AgentOptions(sync_seconds=SYNC_SECONDS)) as lab:
        lab.service(clusterIP="10.96.0.10")
        lab.endpoints(PODS[0])
        lab.followed()
        subprocess.run(["iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "ACCEPT"], check=True)
        wanted = sorted(rules())

        subprocess.run(["iptables-legacy", "-t", "nat", "-F", "KUBE-SERVICES"], check=True)
        subprocess.run(["iptables-legacy", "-t", "nat", "-D", "OUTPUT", "1"], check=True)
        syncs = synced_count(lab)
        while synced_count(lab) < syncs + 2:  # the test's timeout ends it
            threading.Event().wait(SYNC_SECONDS / 10)

        assert sorted(rules()) == wanted


def synced_count(lab: ProxyLab) -> int:
    text = lab.ask("127.0.0.1", 10249, "/metrics")
    found = re.search(r"^kubeproxy_sync_full_proxy_rules_duration_seconds_count (\d+)$", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_it_tells_about_itself_under_the_names_of_kube_proxy(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    report = lab.followed()

    health = json.loads(lab.ask("172.18.0.2", 10256, "/healthz"))
    metrics = lab.ask("127.0.0.1", 10249, "/metrics")

    assert health["nodeEligible"] is True
    assert lab.ask("127.0.0.1", 10249, "/proxyMode") == "iptables"
    tables = {table: len([line for line in rules(table) if line.startswith("-A")]) for table in ("nat", "filter")}
    for table, count in tables.items():
        line = f'kubeproxy_sync_proxy_rules_iptables_total{{ip_family="IPv4",table="{table}"}} {count}'
        assert line in metrics.splitlines()
    assert report["rules"] == sum(tables.values())
    assert "kubeproxy_sync_proxy_rules_last_timestamp_seconds" in metrics


def test_metrics_are_for_the_node_alone_and_health_is_for_everybody(lab: ProxyLab) -> None:
    lab.followed()

    with pytest.raises(ConnectionRefusedError):
        lab.connect("172.18.0.2", 10249)
    with lab.connect("172.18.0.2", 10256):
        pass


def test_it_sets_the_sysctls_that_kube_proxy_sets(lab: ProxyLab) -> None:
    lab.followed()

    assert Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text() == "1\n"
    assert Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established").read_text() == "86400\n"
