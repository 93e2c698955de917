"""Features and flags combined: the lines that kube-proxy 1.36 writes for them, as its behaviour says.

Each expectation was written from what kube-proxy does, not from what netlab does; the comment says why.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from proxy_objects import (
    CASES,
    CONFIG,
    LEAVING,
    MACHINE_ADDRESSES,
    NODE1,
    NODE1_6,
    documents,
    endpoint,
    endpoint_slice,
    node,
    service,
    tables,
)

from netlab.model.objects import KubernetesObject, Node
from netlab.model.rules import Family
from netlab.proxy.config import ProxyConfig
from netlab.proxy.save_text import save_text

HASH = "LOLE4ISW44XBNF3G"
"""default/web over TCP."""
HERE, THERE = endpoint("10.244.1.5"), endpoint("10.244.2.6")
BALANCED = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
NODEPORTS = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"


def lines(
    *objects: KubernetesObject,
    chain: str,
    table: str = "nat",
    family: Family = Family.IPV4,
    config: ProxyConfig = CONFIG,
    addresses: tuple[str, ...] = MACHINE_ADDRESSES,
) -> list[str]:
    """The lines of one chain of node1, as iptables-save prints them."""
    found = tables(*objects, config=config, family=family, addresses=addresses)
    (text,) = (save_text((each,)) for each in found if each.name == table)
    return [line.removeprefix(f"-A {chain} ") for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def node_with(*addresses: tuple[str, str]) -> Node:
    """node1 with these addresses, as type and address."""
    (found,) = documents(CASES / "node1.yaml")
    listed = [{"type": kind, "address": address} for kind, address in addresses]
    status = {**found.model_dump(by_alias=True)["status"], "addresses": listed}
    return Node.model_validate({**found.model_dump(by_alias=True), "status": status})


# --- health checks


PENDING = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "healthCheckNodePort": 31000,
    "allocateLoadBalancerNodePorts": False,
}


@pytest.mark.parametrize("endpoints", [(), (HERE,), (THERE,)], ids=["no", "its own", "another node's"])
@pytest.mark.parametrize("status", [{}, BALANCED], ids=["without an address yet", "with an address"])
def test_a_health_check_port_is_open_whatever_leads_to_the_service(
    status: dict[str, object], endpoints: tuple[dict[str, object], ...]
) -> None:
    """The load balancer asks before it gives an address, and on every node."""
    found = lines(
        service(spec=PENDING, status=status), endpoint_slice(*endpoints), table="filter", chain="KUBE-NODEPORTS"
    )
    assert found == ['-p tcp -m comment --comment "default/web health check node port" -m tcp --dport 31000 -j ACCEPT']


# --- --nodeport-addresses


def to_nodeports(
    *addresses: tuple[str, str], family: Family, machine: tuple[str, ...] = MACHINE_ADDRESSES, config: ProxyConfig
) -> list[str]:
    found = lines(node_with(*addresses), chain="KUBE-SERVICES", family=family, config=config, addresses=machine)
    return [
        line.replace(f'-m comment --comment "{NODEPORTS}" ', "").removesuffix(" -j KUBE-NODEPORTS") for line in found
    ]


PRIMARY = replace(CONFIG, nodeport_primary=True)
OWN4, OWN6 = ("InternalIP", NODE1), ("InternalIP", NODE1_6)


def test_primary_is_the_nodes_own_address_in_each_family() -> None:
    assert to_nodeports(OWN4, OWN6, family=Family.IPV4, config=PRIMARY) == [f"-d {NODE1}/32"]
    assert to_nodeports(OWN4, OWN6, family=Family.IPV6, config=PRIMARY) == [f"-d {NODE1_6}/128"]


def test_primary_leaves_a_family_alone_in_which_the_node_has_no_address() -> None:
    """It becomes a list of addresses, and a family that a list does not speak of is not restricted."""
    assert to_nodeports(OWN4, family=Family.IPV6, config=PRIMARY) == ["! -d ::1/128 -m addrtype --dst-type LOCAL"]
    assert to_nodeports(OWN6, family=Family.IPV4, config=PRIMARY) == ["-m addrtype --dst-type LOCAL"]


def test_primary_finds_only_an_address_that_an_interface_has() -> None:
    assert to_nodeports(OWN4, OWN6, family=Family.IPV4, config=PRIMARY, machine=("127.0.0.1", "10.9.9.9")) == []


def test_primary_closes_127_0_0_1_and_the_firewall_of_it_is_not_needed() -> None:
    assert lines(node(), chain="KUBE-FIREWALL", table="filter", config=PRIMARY) == []


def test_networks_of_one_family_leave_the_other_alone() -> None:
    config = replace(CONFIG, nodeport_addresses=(ip_network("192.168.50.0/24"), ip_network("172.20.0.0/16")))
    assert to_nodeports(OWN4, OWN6, family=Family.IPV4, config=config) == [f"-d {NODE1}/32", "-d 172.20.0.9/32"]
    assert to_nodeports(OWN4, OWN6, family=Family.IPV6, config=config) == ["! -d ::1/128 -m addrtype --dst-type LOCAL"]


def test_loopback_is_left_out_of_networks_that_hold_it_where_node_ports_do_not_work_there() -> None:
    both = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    config = replace(CONFIG, nodeport_addresses=both)
    closed = replace(config, iptables_localhost_nodeports=False)
    assert to_nodeports(OWN4, OWN6, family=Family.IPV4, config=config) == ["-d 127.0.0.1/32"]
    assert to_nodeports(OWN4, OWN6, family=Family.IPV4, config=closed) == []
    assert to_nodeports(OWN4, OWN6, family=Family.IPV6, config=config) == []


# --- source ranges and the node's own address


def allowed(*addresses: tuple[str, str], ranges: list[str], family: Family = Family.IPV4) -> list[str]:
    spec = {
        "type": "LoadBalancer",
        "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
        "loadBalancerSourceRanges": ranges,
    }
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}, {"ip": "2001:db8::10"}]}}
    sixth = endpoint_slice(endpoint("fd00:10:244:1::5"), name="web-6", family="IPv6")
    objects = (node_with(*addresses), service(spec=spec, status=status), endpoint_slice(HERE), sixth)
    found = lines(*objects, chain=f"KUBE-FW-{HASH}", family=family)
    return [line.split(" ")[1] for line in found if line.startswith("-s ")]


def test_the_node_counts_with_its_external_address_where_it_has_no_internal_one() -> None:
    assert allowed(("ExternalIP", "198.51.100.7"), ranges=["198.51.100.0/24"]) == ["198.51.100.0/24", "203.0.113.10/32"]


def test_the_nodes_internal_address_comes_before_its_external_one() -> None:
    both = (("ExternalIP", "198.51.100.7"), OWN4)
    assert allowed(*both, ranges=["198.51.100.0/24"]) == ["198.51.100.0/24"]
    assert allowed(*both, ranges=["192.168.50.0/24"]) == ["192.168.50.0/24", "203.0.113.10/32"]


def test_a_node_without_an_address_of_the_family_counts_as_loopback() -> None:
    assert allowed(OWN4, ranges=["::/1"], family=Family.IPV6) == ["::/1", "2001:db8::10/128"]
    assert allowed(OWN4, ranges=["2001:db8:9::/48"], family=Family.IPV6) == ["2001:db8:9::/48"]


def test_ranges_of_both_families_are_split_and_zero_ranges_open_one_family_alone() -> None:
    ranges = ["198.51.100.0/24", "::/0", " 10.0.0.0/8 "]
    assert allowed(OWN4, ranges=ranges) == ["198.51.100.0/24", "10.0.0.0/8"]
    assert allowed(OWN4, OWN6, ranges=ranges, family=Family.IPV6) == []


# --- endpoints that are told twice


def reached(*slices: list[dict[str, object]]) -> list[str]:
    objects = [endpoint_slice(*found, name=f"web-{number}") for number, found in enumerate(slices)]
    found = lines(service(), *objects, chain=f"KUBE-SVC-{HASH}")
    return [line.split('" ')[0].split("-> ")[1] for line in found if "->" in line]


LEAVING_HERE = endpoint("10.244.1.5", **LEAVING)
TAKEN_OVER = endpoint("10.244.1.5", node="node2")


@pytest.mark.parametrize(
    "slices",
    [([LEAVING_HERE, TAKEN_OVER],), ([TAKEN_OVER, LEAVING_HERE],), ([LEAVING_HERE], [TAKEN_OVER])],
    ids=["in one slice", "in one slice, the other way round", "in two slices"],
)
def test_a_pod_that_has_the_address_of_one_that_terminates_is_the_one_that_counts(
    slices: tuple[list[dict[str, object]], ...],
) -> None:
    """Also where the one that terminates is on this node (kubernetes/kubernetes#135593, in 1.36)."""
    assert reached(*slices) == ["10.244.1.5:8080"]


# --- as often as it is written


def test_an_address_that_a_service_has_twice_has_two_lines() -> None:
    """Nothing in the API forbids it and kube-proxy does not look for it."""
    spec = {"type": "LoadBalancer", "externalIPs": ["203.0.113.20", "203.0.113.20"]}
    found = lines(service(spec=spec, status=BALANCED), endpoint_slice(HERE), chain="KUBE-SERVICES")
    assert sum("external IP" in line for line in found) == 2


def test_a_load_balancer_may_have_a_link_local_address() -> None:
    """Kubernetes refuses link-local addresses as endpoints and externalIPs, not in a status."""
    status = {"loadBalancer": {"ingress": [{"ip": "169.254.7.7"}]}}
    found = lines(service(spec={"type": "LoadBalancer"}, status=status), endpoint_slice(HERE), chain="KUBE-SERVICES")
    assert found[1] == (
        '-d 169.254.7.7/32 -p tcp -m comment --comment "default/web loadbalancer IP" -m tcp --dport 80 '
        f"-j KUBE-EXT-{HASH}"
    )


# --- everything at once


def test_everything_that_a_load_balancer_can_have_on_a_node_without_local_endpoint() -> None:
    """Both policies Local, source ranges, affinity, external addresses, a health check, hints for another zone.

    Pods and the node take the short way to the hinted endpoints; nobody else goes on, and the filter drops them.
    """
    spec = {
        "type": "LoadBalancer",
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}],
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        "externalIPs": ["203.0.113.20"],
        "loadBalancerSourceRanges": ["198.51.100.0/24"],
        "healthCheckNodePort": 31000,
    }
    hinted, other = endpoint("10.244.2.6", zones=["zone-a"]), endpoint("10.244.3.7", zones=["zone-b"])
    objects = (node(), service(spec=spec, status=BALANCED), endpoint_slice(hinted, other))
    what, port = "default/web external destinations", "-p tcp -m comment --comment"
    assert lines(*objects, chain="KUBE-SERVICES")[:-1] == [
        f'-d 203.0.113.20/32 {port} "default/web external IP" -m tcp --dport 80 -j KUBE-EXT-{HASH}',
        f'-d 203.0.113.10/32 {port} "default/web loadbalancer IP" -m tcp --dport 80 -j KUBE-FW-{HASH}',
    ]
    assert lines(*objects, chain=f"KUBE-EXT-{HASH}") == [
        f'-s 10.244.0.0/16 -m comment --comment "pod traffic for {what}" -j KUBE-SVC-{HASH}',
        f'-m comment --comment "masquerade LOCAL traffic for {what}" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ',
        f'-m comment --comment "route LOCAL traffic for {what}" -m addrtype --src-type LOCAL -j KUBE-SVC-{HASH}',
    ]
    (sticky, only) = lines(*objects, chain=f"KUBE-SVC-{HASH}")
    chain = only.rsplit(" ", 1)[-1]
    comment = '-m comment --comment "default/web -> 10.244.2.6:8080"'
    mask = "--mask 255.255.255.255 --rsource"
    assert sticky == f"{comment} -m recent --rcheck --seconds 60 --reap --name {chain} {mask} -j {chain}"
    assert only == f"{comment} -j {chain}"
    assert lines(*objects, chain="KUBE-SERVICES", table="filter") == [
        f'-d 10.96.0.10/32 {port} "default/web has no local endpoints" -m tcp --dport 80 -j DROP'
    ]
    assert lines(*objects, chain="KUBE-EXTERNAL-SERVICES", table="filter") == [
        f'-d 203.0.113.20/32 {port} "default/web has no local endpoints" -m tcp --dport 80 -j DROP',
        f'-d 203.0.113.10/32 {port} "default/web has no local endpoints" -m tcp --dport 80 -j DROP',
        f'{port} "default/web has no local endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30080 -j DROP',
    ]
    assert lines(*objects, chain="KUBE-PROXY-FIREWALL", table="filter") == [
        f'-d 203.0.113.10/32 {port} "default/web traffic not accepted by KUBE-FW-{HASH}" -m tcp --dport 80 -j DROP'
    ]
    assert lines(*objects, chain=f"KUBE-SVL-{HASH}") == []
