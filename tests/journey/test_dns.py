"""Names in whole labs: what a Pod's programs make of them, by real lookups through kube-proxy's rules."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from dnslib import EDNS0, RCODE, DNSRecord
from netlab_command import PREFIX, Caller, Lab, caller, topology

LAB = f"{PREFIX}-dns"
DEADLINE = 20.0
ENDPOINTS = 90
MANY = """---
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: many-1, labels: {kubernetes.io/service-name: many}}
addressType: IPv4
ports: [{port: 80}]
endpoints:
""" + "".join(f'  - {{addresses: ["10.244.9.{number}"]}}\n' for number in range(2, 2 + ENDPOINTS))
DUAL_STACK = """apiVersion: netlab/v1
kind: Topology
metadata: {name: nldns-dual}
spec:
  network:
    podCIDRs: [10.244.0.0/16, "fd00:10:244::/56"]
    serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]
    nodeCIDRs: [172.18.0.0/24, "fd00:172:18::/64"]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: client, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: RequireDualStack
  clusterIP: 10.96.0.80
  clusterIPs: [10.96.0.80, "fd00:10:96::80"]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports: [{port: 80}]}
"""
EXCHANGE = """
import json, socket, sys
address, transport, messages = sys.argv[1], sys.argv[2], [bytes.fromhex(text) for text in sys.argv[3:]]
kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
client.settimeout(5)
client.connect((address, 53))
answers = []
if transport == "udp":
    for message in messages:
        client.send(message)
        answers.append(client.recv(65535))
else:
    client.sendall(b"".join(len(message).to_bytes(2, "big") + message for message in messages))
    stream = client.makefile("rb")
    answers = [stream.read(int.from_bytes(stream.read(2), "big")) for _ in messages]
print(json.dumps([answer.hex() for answer in answers]))
"""
LOOKUPS = """
import json, socket, sys, time
slowest = 0.0
for _ in range(50):
    started = time.monotonic()
    found = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
    slowest = max(slowest, time.monotonic() - started)
print(json.dumps({"addresses": sorted(entry[4][0] for entry in found), "slowest": slowest}))
"""
pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def root() -> Iterator[Caller]:
    with caller() as somebody:
        yield somebody


@pytest.fixture(scope="module")
def lab(root: Caller) -> Iterator[Lab]:
    with root.lab(LAB, topology("dns", name=LAB) + MANY) as running:
        yield running


def in_client(lab: Lab, *command: str) -> str:
    return lab.ok("exec", "pod/client", "--", *command)


def addresses_of(lab: Lab, name: str) -> set[str]:
    """What getent(1) finds for a name: the addresses, or nothing."""
    found = lab.run("exec", "pod/client", "--", "getent", "ahosts", name)
    return {line.split()[0] for line in found.out.splitlines()}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline


def asked(lab: Lab, *queries: DNSRecord, over: str = "udp", server: str = "10.96.0.10") -> Sequence[DNSRecord]:
    """The responses to queries that the client Pod sends, over TCP all of them at once."""
    messages = [bytes(query.pack()).hex() for query in queries]
    answers = json.loads(in_client(lab, sys.executable, "-c", EXCHANGE, server, over, *messages))
    responses = [DNSRecord.parse(bytes.fromhex(answer)) for answer in answers]
    assert [each.header.id for each in responses] == [each.header.id for each in queries]
    return responses


NAMES = {
    "a Service by its short name": ("web", {"10.96.0.80"}),
    "a Service by its full name": ("web.default.svc.cluster.local", {"10.96.0.80"}),
    "an alias": ("alias", {"10.96.0.80"}),
    "an alias of what is not here": ("elsewhere", set()),
    "nothing": ("nobody", set()),
    "the world outside": ("www.example.com", set()),
}


@pytest.mark.parametrize(("name", "addresses"), NAMES.values(), ids=NAMES.keys())
def test_a_program_in_a_pod_finds_the_address_of(lab: Lab, name: str, addresses: set[str]) -> None:
    assert addresses_of(lab, name) == addresses


def test_a_headless_service_is_its_pods(lab: Lab) -> None:
    pods = {pod["name"]: pod["address"] for pod in lab.json("status")["pods"]}
    assert addresses_of(lab, "db") == {pods["db-0"], pods["db-1"]}
    assert addresses_of(lab, "db-1.db") == {pods["db-1"]}
    assert addresses_of(lab, "db-2.db") == set()


def test_an_address_leads_back_to_its_service(lab: Lab) -> None:
    assert in_client(lab, "getent", "hosts", "10.96.0.80").split() == ["10.96.0.80", "web.default.svc.cluster.local"]


@pytest.mark.parametrize(
    ("url", "pods"),
    [
        ("http://web/hostname", {"web-1", "web-2"}),
        ("http://web.default.svc/hostname", {"web-1", "web-2"}),
        ("http://alias/hostname", {"web-1", "web-2"}),
        ("http://cart.shop/hostname", {"cart"}),
        ("http://db-1.db:5432/hostname", {"db-1"}),
    ],
)
def test_curl_reaches_by_name(lab: Lab, url: str, pods: set[str]) -> None:
    assert in_client(lab, "curl", "--silent", "--show-error", "--max-time", "5", url).strip() in pods


def test_a_name_without_its_namespace_is_not_found_from_another_one(lab: Lab) -> None:
    done = lab.run("exec", "pod/client", "--", "curl", "--silent", "--max-time", "5", "http://cart/")
    assert done.status == 6  # curl(1): could not resolve host


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_a_port_is_found_by_its_name(lab: Lab, over: str) -> None:
    (response,) = asked(lab, DNSRecord.question("_http._tcp.web.default.svc.cluster.local", "SRV"), over=over)
    assert [str(record.rdata) for record in response.rr] == ["0 100 80 web.default.svc.cluster.local."]
    assert [str(record.rdata) for record in response.ar] == ["10.96.0.80"]


def test_queries_on_one_connection_are_answered_in_order(lab: Lab) -> None:
    names = ["web.default.svc", "nobody.default.svc", "cart.shop.svc", "dns-version"]
    queries = [DNSRecord.question(f"{name}.cluster.local") for name in names]
    codes = [RCODE[response.header.rcode] for response in asked(lab, *queries, over="tcp")]
    assert codes == ["NOERROR", "NXDOMAIN", "NOERROR", "NOERROR"]


def test_what_does_not_fit_a_datagram_comes_over_tcp(lab: Lab) -> None:
    query = DNSRecord.question("many.default.svc.cluster.local")
    (cut,), (whole,) = asked(lab, query), asked(lab, query, over="tcp")
    assert (cut.header.tc, whole.header.tc, len(whole.rr)) == (1, 0, ENDPOINTS)
    assert 0 < len(cut.rr) < ENDPOINTS
    larger = DNSRecord.question("many.default.svc.cluster.local")
    larger.add_ar(EDNS0(udp_len=4096))
    (more,) = asked(lab, larger)
    assert len(cut.rr) < len(more.rr) < ENDPOINTS
    assert len(addresses_of(lab, "many")) == ENDPOINTS  # the C library asks again over TCP by itself


def test_a_lookup_of_both_families_never_waits_for_a_lost_packet(lab: Lab) -> None:
    found = json.loads(in_client(lab, sys.executable, "-c", LOOKUPS, "web"))
    assert found["addresses"] == ["10.96.0.80"]
    assert found["slowest"] < 2.0  # a lost packet costs five seconds: resolv.conf(5), timeout


def test_a_pod_that_is_not_ready_has_no_name_until_it_is(lab: Lab) -> None:
    pods = {pod["name"]: pod["address"] for pod in lab.json("status")["pods"]}
    readiness = f"http://{pods['db-1']}:5432/readyz"
    in_client(lab, "curl", "--silent", "--data", "false", readiness)
    wait_until(lambda: addresses_of(lab, "db") == {pods["db-0"]})
    assert addresses_of(lab, "db-1.db") == set()
    in_client(lab, "curl", "--silent", "--data", "true", readiness)
    wait_until(lambda: addresses_of(lab, "db") == {pods["db-0"], pods["db-1"]})


def test_a_service_has_a_name_as_long_as_it_is_there(lab: Lab) -> None:
    manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: passing}\nspec: {ports: [{port: 80}]}\n"
    lab.ok("apply", "-f", "-", text=manifest)
    wait_until(lambda: len(addresses_of(lab, "passing")) == 1)
    lab.ok("delete", "service", "passing")
    wait_until(lambda: addresses_of(lab, "passing") == set())


def dns_pods(lab: Lab) -> list[str]:
    return [pod["name"] for pod in lab.json("status")["pods"] if pod["namespace"] == "kube-system" and pod["ready"]]


def scale_dns(lab: Lab, replicas: int) -> None:
    lab.ok("scale", "deployment/coredns", "-n", "kube-system", "--replicas", str(replicas))
    wait_until(lambda: len(dns_pods(lab)) == replicas)


def test_without_a_dns_pod_names_fail_at_once_and_with_two_they_never_do(lab: Lab) -> None:
    scale_dns(lab, 0)
    started = time.monotonic()
    wait_until(lambda: addresses_of(lab, "web") == set())
    assert time.monotonic() - started < DEADLINE / 2  # refused by the rules, not timed out
    scale_dns(lab, 2)
    wait_until(lambda: addresses_of(lab, "web") == {"10.96.0.80"})
    assert json.loads(in_client(lab, sys.executable, "-c", LOOKUPS, "cart.shop"))["slowest"] < 2.0
    scale_dns(lab, 1)


def test_names_come_back_when_the_process_that_serves_them_is_killed(root: Caller) -> None:
    with root.lab("nldns-dual", DUAL_STACK) as lab:
        (pod,) = (pod for pod in lab.json("status")["pods"] if pod["namespace"] == "kube-system")
        os.kill(lab.processes()[f"kubelet-{pod['node']}"], signal.SIGKILL)
        wait_until(lambda: "10.96.0.80" in addresses_of(lab, "web"))


def test_the_log_of_the_dns_has_the_questions(lab: Lab) -> None:
    (name,) = dns_pods(lab)
    addresses_of(lab, "web")
    client = next(pod["address"] for pod in lab.json("status")["pods"] if pod["name"] == "client")
    assert f"{client} web.default.svc.cluster.local. A UDP NOERROR" in lab.ok("logs", f"pod/kube-system/{name}")


def test_up_again_keeps_the_dns_pod_that_is_there(lab: Lab) -> None:
    before = dns_pods(lab)
    lab.up()
    assert dns_pods(lab) == before


def test_names_of_two_families_have_addresses_of_both(root: Caller) -> None:
    with root.lab("nldns-dual", DUAL_STACK) as lab:
        web = next(pod["address"] for pod in lab.json("status")["pods"] if pod["name"] == "web")
        found = json.loads(in_client(lab, sys.executable, "-c", LOOKUPS, "web"))
        assert found["addresses"] == ["10.96.0.80", "fd00:10:96::80"]
        assert found["slowest"] < 2.0
        assert addresses_of(lab, "db") == set(web.split(", "))
        query = DNSRecord.question("web.default.svc.cluster.local", "AAAA")
        for over in ("udp", "tcp"):
            (response,) = asked(lab, query, over=over, server="fd00:10:96::a")
            assert [str(record.rdata) for record in response.rr] == ["fd00:10:96::80"]
        assert in_client(lab, "curl", "--silent", "-6", "--max-time", "5", "http://web/hostname") == "web\n"
