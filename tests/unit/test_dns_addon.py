"""The cluster DNS as objects of a lab, and what a file may say about it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from netlab.api.simulate import simulate
from netlab.dns.addon import IMAGE, dns_addresses, with_cluster_dns
from netlab.load.check import check_lab
from netlab.model.topology import LabFile

TOPOLOGY = """
apiVersion: netlab/v1
kind: Topology
metadata: {name: names}
spec: {network: {%s}, expect: [%s]}
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: web, ports: [{containerPort: 80}]}]}
"""
DUAL = 'podCIDRs: [10.244.0.0/16, "fd00:10:244::/56"], serviceCIDRs: [10.96.0.0/16, "fd00:10:96::/112"]'
DUAL += ', nodeCIDRs: [172.18.0.0/24, "fd00:172:18::/64"]'


def lab(*documents: str, network: str = "", expect: str = "") -> LabFile:
    return check_lab(TOPOLOGY % (network, expect) + "".join(documents), file="names.yaml")


def service(name: str, ip: str = "", *, namespace: str = "default") -> str:
    spec = f"clusterIP: {ip}, " if ip else ""
    return f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}selector: {{app: web}}, ports: [{{port: 80}}]}}
"""


def names(file: LabFile) -> list[str]:
    return [f"{value.kind} {value.key}" for value in with_cluster_dns(file).objects]


@pytest.mark.parametrize(
    ("ranges", "addresses"),
    [
        (["10.96.0.0/12"], ["10.96.0.10"]),
        (["10.96.0.0/12", "fd00:10:96::/112"], ["10.96.0.10", "fd00:10:96::a"]),
        (["10.96.0.0/28"], ["10.96.0.10"]),
        (["10.96.0.0/29"], []),
    ],
    ids=["IPv4", "both families", "sixteen addresses", "too few addresses"],
)
def test_the_dns_has_the_tenth_address_of_each_service_range(ranges: list[str], addresses: list[str]) -> None:
    assert list(map(str, dns_addresses(map(ip_network, ranges)))) == addresses


def test_every_lab_has_a_dns_whose_service_comes_first_and_whose_pods_come_last() -> None:
    assert names(lab(POD, service("web"))) == [
        "Service kube-system/kube-dns",
        "Pod default/web",
        "Service default/web",
        "Deployment kube-system/coredns",
    ]


@pytest.mark.parametrize("network", ["", DUAL], ids=["IPv4", "both families"])
def test_the_api_takes_the_dns_as_it_is_and_gives_it_endpoints(network: str) -> None:
    snapshot = simulate(with_cluster_dns(lab(POD, service("web"), network=network)))
    (dns,) = (value for value in snapshot.services if value.metadata.namespace == "kube-system")
    (pod,) = (value for value in snapshot.pods if value.metadata.namespace == "kube-system")
    assert dns.spec.cluster_ips == (("10.96.0.10", "fd00:10:96::a") if network else ("10.96.0.10",))
    assert [(port.name, port.protocol, port.port) for port in dns.spec.ports] == [
        ("dns", "UDP", 53),
        ("dns-tcp", "TCP", 53),
    ]
    assert (pod.spec.containers[0].image, pod.metadata.name.rpartition("-")[0].rpartition("-")[0]) == (IMAGE, "coredns")
    endpoints = {
        endpoint.addresses[0]
        for each in snapshot.endpoint_slices
        if each.metadata.namespace == "kube-system"
        for endpoint in each.endpoints
    }
    assert endpoints == {entry.ip for entry in pod.status.pod_ips}


def test_the_addresses_of_the_files_own_pods_are_what_they_would_be_without_a_dns() -> None:
    file = lab(POD, service("web"))
    with_dns, without = (
        {pod.key: pod.status.pod_ip for pod in simulate(each).pods} for each in (with_cluster_dns(file), file)
    )
    assert with_dns["default/web"] == without["default/web"]
    assert len(with_dns) == len(without) + 1


@pytest.mark.parametrize(
    "documents",
    [
        [service("kube-dns", namespace="kube-system")],
        [service("web", "10.96.0.10")],
        ["---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: coredns, namespace: kube-system}\n"
         "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}},"
         " spec: {containers: [{name: web}]}}}\n"],
    ],
    ids=["has a Service kube-dns", "gives the address to another Service", "has a Deployment coredns"],
)  # fmt: skip
def test_nothing_is_added_to_a_file_that(documents: list[str]) -> None:
    file = lab(POD, *documents)
    assert with_cluster_dns(file) == file


def test_nothing_is_added_where_there_is_no_address_for_it() -> None:
    file = lab(POD, network="serviceCIDRs: [10.96.0.0/29]")
    assert with_cluster_dns(file) == file


def test_a_service_at_the_address_of_the_dns_is_warned_about() -> None:
    (warning,) = lab(POD, service("web", "10.96.0.10")).warnings
    assert (warning.path, "no name resolves" in warning.message) == ("spec.clusterIP", True)
    assert lab(POD, service("web", "10.96.0.11")).warnings == ()
    own = lab(POD, service("kube-dns", "10.96.0.10", namespace="kube-system"))
    assert [warning for warning in own.warnings if "no name resolves" in warning.message] == []


def test_an_expectation_may_name_the_dns_that_no_file_has() -> None:
    line = "{from: pod/web, to: service/kube-system/kube-dns:53, reaches: [deployment/kube-system/coredns]}"
    (expectation,) = lab(POD, expect=line).topology.spec.expect
    assert expectation.reaches == ("deployment/kube-system/coredns",)
