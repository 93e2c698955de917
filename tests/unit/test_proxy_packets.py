"""What becomes of a packet on node1: tables of packets, traced through the rules that netlab spells.

node1 is 192.168.50.11 in zone-a and runs the endpoint 10.244.1.5; 10.244.2.6 runs on node2, 10.244.3.7 on node3. A Pod
of the cluster, the node itself, or an outsider sends the first packet of a flow.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import pytest
from proxy_objects import (
    CONFIG,
    GONE,
    LEAVING,
    LOCAL,
    REMOTE,
    THIRD,
    UNREADY,
    endpoint,
    endpoint_slice,
    node,
    service,
    tables,
)
from proxy_tracer import (
    DROPPED,
    NODE,
    NODE_6,
    OUTSIDER,
    OUTSIDER_6,
    POD,
    POD_6,
    REFUSED,
    UNTOUCHED,
    Node,
    Outcome,
    masqueraded,
    reaches,
)

from netlab.model.rules import Family, Protocol
from netlab.proxy.config import DetectLocalMode, ProxyConfig

VIP, NODEPORT, LB, EXTERNAL_IP = "10.96.0.10:80", f"{NODE}:30080", "203.0.113.10:80", "203.0.113.20:80"
HERE, THERE, FAR = endpoint("10.244.1.5"), endpoint("10.244.2.6"), endpoint("10.244.3.7")
BOTH = (HERE, THERE)
NODE_PORT = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}
ETP_LOCAL = {**NODE_PORT, "externalTrafficPolicy": "Local"}
ITP_LOCAL = {"internalTrafficPolicy": "Local"}
BALANCED = {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}
INGRESS = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
RANGES = {**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24"]}


@dataclass(frozen=True)
class Case:
    """A sentence, what there is, and what each packet must meet."""

    sentence: str
    packets: tuple[tuple[str, str, Outcome], ...]
    spec: dict[str, object] = field(default_factory=dict)
    endpoints: tuple[dict[str, object], ...] = BOTH
    status: dict[str, object] = field(default_factory=dict)
    config: ProxyConfig = CONFIG
    zone: str = "zone-a"


def away(address: str, **state: object) -> dict[str, object]:
    return endpoint(address, **state)  # type: ignore[arg-type]


CASES = [
    Case(
        "a ClusterIP reaches every endpoint, Pods keep their address and others do not",
        (
            (POD, VIP, reaches(LOCAL, REMOTE)),
            (NODE, VIP, masqueraded(LOCAL, REMOTE)),
            (OUTSIDER, VIP, masqueraded(LOCAL, REMOTE)),
        ),
    ),
    Case(
        "a port that the ClusterIP does not have passes untranslated",
        ((POD, "10.96.0.10:81", UNTOUCHED), (POD, "10.96.0.11:80", UNTOUCHED)),
    ),
    Case(
        "a Pod that reaches itself through its Service is masqueraded",
        (("10.244.1.5", VIP, masqueraded(LOCAL)),),
        endpoints=(HERE,),
    ),
    Case(
        "no endpoint anywhere: refused, whatever the address",
        (
            (POD, VIP, REFUSED),
            (NODE, VIP, REFUSED),
            (OUTSIDER, NODEPORT, REFUSED),
            (POD, LB, REFUSED),
            (OUTSIDER, LB, REFUSED),
            (OUTSIDER, EXTERNAL_IP, REFUSED),
        ),
        spec={**BALANCED, "externalIPs": ["203.0.113.20"]},
        status=INGRESS,
        endpoints=(away("10.244.1.5", **UNREADY), away("10.244.2.6", **GONE)),
    ),
    Case(
        "with the policies Local and no endpoint anywhere it is refused, not dropped",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(),
    ),
    Case(
        "internalTrafficPolicy Local uses this node's endpoints only",
        ((POD, VIP, reaches(LOCAL)), (NODE, VIP, masqueraded(LOCAL)), (OUTSIDER, VIP, masqueraded(LOCAL))),
        spec=ITP_LOCAL,
    ),
    Case(
        "internalTrafficPolicy Local without an endpoint here drops",
        ((POD, VIP, DROPPED), (NODE, VIP, DROPPED)),
        spec=ITP_LOCAL,
        endpoints=(THERE,),
    ),
    Case(
        "internalTrafficPolicy Local does not bind external traffic",
        ((POD, VIP, DROPPED), (OUTSIDER, NODEPORT, masqueraded(REMOTE)), (POD, NODEPORT, masqueraded(REMOTE))),
        spec={**NODE_PORT, **ITP_LOCAL},
        endpoints=(THERE,),
    ),
    Case(
        "a node port reaches every endpoint and always masquerades",
        (
            (OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE)),
            (POD, NODEPORT, masqueraded(LOCAL, REMOTE)),
            (NODE, NODEPORT, masqueraded(LOCAL, REMOTE)),
            ("127.0.0.1", "127.0.0.1:30080", masqueraded(LOCAL, REMOTE)),
            (OUTSIDER, "192.168.50.12:30080", UNTOUCHED),
        ),
        spec=NODE_PORT,
    ),
    Case(
        "externalTrafficPolicy Local keeps outsiders' addresses and binds them to this node",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (POD, NODEPORT, reaches(LOCAL, REMOTE)),
            (NODE, NODEPORT, masqueraded(LOCAL, REMOTE)),
            (POD, VIP, reaches(LOCAL, REMOTE)),
        ),
        spec=ETP_LOCAL,
    ),
    Case(
        "externalTrafficPolicy Local without an endpoint here: silence for outsiders, Pods and the node reach all",
        (
            (OUTSIDER, NODEPORT, DROPPED),
            (POD, NODEPORT, reaches(REMOTE)),
            (NODE, NODEPORT, masqueraded(REMOTE)),
        ),
        spec=ETP_LOCAL,
        endpoints=(THERE,),
    ),
    Case(
        "both policies Local and no endpoint here: Pods still reach all by the node port",
        ((POD, VIP, DROPPED), (OUTSIDER, NODEPORT, DROPPED), (POD, NODEPORT, reaches(REMOTE))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(THERE,),
    ),
    Case(
        "an endpoint without nodeName is on no node",
        ((POD, VIP, DROPPED),),
        spec=ITP_LOCAL,
        endpoints=(away("10.244.1.5", node=None),),
    ),
    Case(
        "a load balancer's address is caught on the node",
        ((OUTSIDER, LB, masqueraded(LOCAL, REMOTE)), (POD, LB, masqueraded(LOCAL, REMOTE))),
        spec=BALANCED,
        status=INGRESS,
    ),
    Case(
        "a load balancer's address of mode Proxy is left alone",
        ((OUTSIDER, LB, UNTOUCHED), (OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE))),
        spec=BALANCED,
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.10", "ipMode": "Proxy"}]}},
    ),
    Case(
        "a load balancer's address with policy Local keeps outsiders' addresses",
        ((OUTSIDER, LB, reaches(LOCAL)), (POD, LB, reaches(LOCAL, REMOTE)), (NODE, LB, masqueraded(LOCAL, REMOTE))),
        spec={**BALANCED, "externalTrafficPolicy": "Local"},
        status=INGRESS,
    ),
    Case(
        "source ranges close the load balancer's address but not the node port",
        (
            (OUTSIDER, LB, masqueraded(LOCAL, REMOTE)),
            ("203.0.113.99", LB, DROPPED),
            (POD, LB, DROPPED),
            (NODE, LB, DROPPED),
            ("203.0.113.10", LB, DROPPED),
            ("203.0.113.99", NODEPORT, masqueraded(LOCAL, REMOTE)),
            (POD, VIP, reaches(LOCAL, REMOTE)),
        ),
        spec=RANGES,
        status=INGRESS,
    ),
    Case(
        "source ranges that hold the node let the load balancer's own address in",
        ((NODE, LB, masqueraded(LOCAL, REMOTE)), ("203.0.113.10", LB, masqueraded(LOCAL, REMOTE)), (POD, LB, DROPPED)),
        spec={**BALANCED, "loadBalancerSourceRanges": [" 192.168.50.0/24 "]},
        status=INGRESS,
    ),
    Case(
        "a source range of everything is no firewall",
        (("203.0.113.99", LB, masqueraded(LOCAL, REMOTE)),),
        spec={**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24", "0.0.0.0/0"]},
        status=INGRESS,
    ),
    Case(
        "source ranges of the other family alone are no firewall",
        (("203.0.113.99", LB, masqueraded(LOCAL, REMOTE)),),
        spec={**BALANCED, "loadBalancerSourceRanges": ["2001:db8::/32"]},
        status=INGRESS,
    ),
    Case(
        "source ranges with no endpoint: everybody is refused",
        ((OUTSIDER, LB, REFUSED), ("203.0.113.99", LB, REFUSED)),
        spec=RANGES,
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "source ranges and policy Local with no endpoint here: silence for all but Pods that are listed",
        (("203.0.113.99", LB, DROPPED), (OUTSIDER, LB, DROPPED), (POD, LB, reaches(REMOTE))),
        spec={
            **RANGES,
            "externalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["198.51.100.0/24", "10.244.0.0/16"],
        },
        status=INGRESS,
        endpoints=(THERE,),
    ),
    Case(
        "an external address is caught, and under policy Local a plain ClusterIP Service honours it",
        ((OUTSIDER, EXTERNAL_IP, reaches(LOCAL)), (POD, EXTERNAL_IP, reaches(LOCAL, REMOTE))),
        spec={"externalIPs": ["203.0.113.20"], "externalTrafficPolicy": "Local"},
    ),
    Case(
        "--masquerade-all masquerades Pods at the ClusterIP",
        ((POD, VIP, masqueraded(LOCAL, REMOTE)),),
        config=replace(CONFIG, masquerade_all=True),
    ),
    Case(
        "--masquerade-all leaves the addresses of outsiders under policy Local",
        ((OUTSIDER, NODEPORT, reaches(LOCAL)),),
        spec=ETP_LOCAL,
        config=replace(CONFIG, masquerade_all=True),
    ),
    Case(
        "without a way to tell Pods nobody is masqueraded at the ClusterIP and Pods have no short cut",
        (
            (POD, VIP, reaches(LOCAL, REMOTE)),
            (OUTSIDER, VIP, reaches(LOCAL, REMOTE)),
            (POD, NODEPORT, reaches(LOCAL)),
            (NODE, NODEPORT, masqueraded(LOCAL, REMOTE)),
        ),
        spec=ETP_LOCAL,
        config=replace(CONFIG, cluster_cidrs=()),
    ),
    Case(
        "--detect-local-mode NodeCIDR knows this node's Pods only",
        ((POD, VIP, reaches(LOCAL, REMOTE)), ("10.244.2.9", VIP, masqueraded(LOCAL, REMOTE))),
        config=replace(CONFIG, detect_local_mode=DetectLocalMode.NODE_CIDR),
    ),
    Case(
        "an endpoint that ends still serves when none is ready",
        ((POD, VIP, reaches(LOCAL, REMOTE)),),
        endpoints=(away("10.244.1.5", **LEAVING), away("10.244.2.6", **LEAVING), away("10.244.3.7", **UNREADY)),
    ),
    Case(
        "an endpoint that serves but is neither ready nor about to end is not used",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)),
        spec=ETP_LOCAL,
        endpoints=(away("10.244.1.5", ready=False, serving=True),),
    ),
    Case(
        "an endpoint that ends serves nobody while another is ready",
        ((POD, VIP, reaches(REMOTE)),),
        endpoints=(away("10.244.1.5", **LEAVING), THERE),
    ),
    Case(
        "a local endpoint that ends serves the policies Local though a remote one is ready",
        ((POD, VIP, reaches(LOCAL)), (OUTSIDER, NODEPORT, reaches(LOCAL)), (POD, NODEPORT, reaches(REMOTE))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", **LEAVING), THERE),
    ),
    Case(
        "zone hints: only this zone's endpoints",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"])),
    ),
    Case(
        "zone hints are ignored when one ready endpoint has none",
        ((POD, VIP, reaches(LOCAL, REMOTE)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]), THERE),
    ),
    Case(
        "an endpoint that is not ready needs no hint",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"]),
            away("10.244.2.6", zones=["zone-b"]),
            away("10.244.3.7", **UNREADY),
        ),
    ),
    Case(
        "zone hints are ignored when none names this zone",
        ((POD, VIP, reaches(LOCAL, REMOTE)),),
        endpoints=(away("10.244.1.5", zones=["zone-b"]), away("10.244.2.6", zones=["zone-c"])),
    ),
    Case(
        "zone hints are ignored on a node without a zone",
        ((POD, VIP, reaches(LOCAL, REMOTE)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"])),
        zone="",
    ),
    Case(
        "node hints come before zone hints",
        ((POD, VIP, reaches(REMOTE)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], nodes=["node2"]),
            away("10.244.2.6", zones=["zone-b"], nodes=["node1"]),
        ),
    ),
    Case(
        "node hints that name another node leave the zone hints",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], nodes=["node2"]),
            away("10.244.2.6", zones=["zone-b"], nodes=["node3"]),
        ),
    ),
    Case(
        "hints are ignored among endpoints that end",
        ((POD, VIP, reaches(LOCAL, REMOTE)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], **LEAVING),
            away("10.244.2.6", zones=["zone-b"], **LEAVING),
        ),
    ),
    Case(
        "hints do not concern the policies Local",
        ((POD, VIP, reaches(LOCAL)), (POD, NODEPORT, reaches(REMOTE)), (OUTSIDER, NODEPORT, reaches(LOCAL))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", zones=["zone-b"]), away("10.244.2.6", zones=["zone-a"])),
    ),
    Case(
        "--nodeport-addresses bind node ports to the machine's addresses in these ranges",
        (
            (OUTSIDER, NODEPORT, UNTOUCHED),
            (OUTSIDER, "172.20.0.9:30080", masqueraded(LOCAL, REMOTE)),
            ("127.0.0.1", "127.0.0.1:30080", UNTOUCHED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("172.16.0.0/12"),)),
    ),
    Case(
        "--nodeport-addresses may name loopback",
        (
            (OUTSIDER, NODEPORT, UNTOUCHED),
            ("127.0.0.1", "127.0.0.1:30080", masqueraded(LOCAL, REMOTE)),
            (OUTSIDER, "127.0.0.1:22", DROPPED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("127.0.0.0/8"),)),
    ),
    Case(
        "--nodeport-addresses that name loopback do nothing without localhost node ports",
        (("127.0.0.1", "127.0.0.1:30080", UNTOUCHED),),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("127.0.0.0/8"),), iptables_localhost_nodeports=False),
    ),
    Case(
        "--nodeport-addresses primary binds node ports to the node's own address",
        ((OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE)), (OUTSIDER, "172.20.0.9:30080", UNTOUCHED)),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_primary=True),
    ),
    Case(
        "--nodeport-addresses of the other family alone bind nothing",
        (
            (OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE)),
            ("127.0.0.1", "127.0.0.1:30080", masqueraded(LOCAL, REMOTE)),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("fd00:50::/64"),)),
    ),
    Case(
        "without localhost node ports the loopback addresses have none",
        (("127.0.0.1", "127.0.0.1:30080", UNTOUCHED), (OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE))),
        spec=NODE_PORT,
        config=replace(CONFIG, iptables_localhost_nodeports=False),
    ),
    Case(
        "packets from elsewhere to a loopback address are dropped",
        ((OUTSIDER, "127.0.0.1:22", DROPPED), ("127.0.0.1", "127.0.0.1:22", UNTOUCHED)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_packets(case: Case) -> None:
    rules = tables(
        node(case.zone),
        service(spec=case.spec, status=case.status),
        endpoint_slice(*case.endpoints),
        config=case.config,
    )
    here = Node(rules)
    seen = {(source, to): here.send(source, to) for source, to, _ in case.packets}
    assert seen == {(source, to): outcome for source, to, outcome in case.packets}


def test_three_endpoints_are_chosen_with_equal_chance() -> None:
    rules = tables(node(), service(), endpoint_slice(HERE, THERE, FAR))
    (chain,) = (c for table in rules for c in table.chains if c.name.startswith("KUBE-SVC-"))
    picks = [rule for rule in chain.rules if rule.comment and "->" in rule.comment]
    left, chances = 1.0, []
    for rule in picks:
        chances.append(left * (rule.statistic or 1.0))
        left -= chances[-1]
    assert chances == pytest.approx([1 / 3] * 3, abs=1e-9)


def test_a_client_with_affinity_returns_to_its_endpoint_until_the_time_is_over() -> None:
    spec = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100}}}
    rules = tables(node(), service(spec=spec), endpoint_slice(HERE, THERE, FAR))
    to_remote = next(
        rule.target.chain  # type: ignore[union-attr]
        for table in rules
        for chain in table.chains
        for rule in chain.rules
        if rule.recent and rule.comment == f"default/web -> {REMOTE}"
    )
    here = Node(rules)
    assert here.send(POD, VIP) == reaches(LOCAL, REMOTE, THIRD)
    assert here.send(POD, VIP, seconds_since=((to_remote, 99),)) == reaches(REMOTE)
    assert here.send(POD, VIP, seconds_since=((to_remote, 101),)) == reaches(LOCAL, REMOTE, THIRD)


@pytest.mark.parametrize(
    ("mode", "near"),
    [
        pytest.param(
            {"detect_local_mode": DetectLocalMode.BRIDGE_INTERFACE, "bridge_interface": "cni0"}, "cni0", id="a bridge"
        ),
        pytest.param(
            {"detect_local_mode": DetectLocalMode.INTERFACE_NAME_PREFIX, "interface_name_prefix": "veth"},
            "veth1234",
            id="interfaces whose names begin so",
        ),
    ],
)
def test_local_traffic_is_told_by(mode: dict[str, object], near: str) -> None:
    config = replace(CONFIG, **mode)  # type: ignore[arg-type]
    here = Node(tables(node(), service(spec=ETP_LOCAL), endpoint_slice(*BOTH), config=config))
    assert here.send(POD, VIP, in_interface=near) == reaches(LOCAL, REMOTE)
    assert here.send(POD, VIP, in_interface="eth0") == masqueraded(LOCAL, REMOTE)
    assert here.send(OUTSIDER, NODEPORT, in_interface=near) == reaches(LOCAL, REMOTE)
    assert here.send(OUTSIDER, NODEPORT, in_interface="eth0") == reaches(LOCAL)


@pytest.mark.parametrize("ranges", [["198.51.100.0/24", "0.0.0.0/0"], ["2001:db8::/32"], []])
def test_there_is_no_firewall_chain_for(ranges: list[str]) -> None:
    spec = {**BALANCED, "loadBalancerSourceRanges": ranges}
    rules = tables(node(), service(spec=spec, status=INGRESS), endpoint_slice(*BOTH))
    assert not [chain.name for table in rules for chain in table.chains if chain.name.startswith("KUBE-FW-")]


def test_the_same_port_in_three_protocols_leads_to_three_places() -> None:
    names = {Protocol.TCP: 8001, Protocol.UDP: 8002, Protocol.SCTP: 8003}
    ports = [{"name": p.value, "port": 53, "protocol": p.value.upper()} for p in names]
    targets = [{"name": p.value, "port": to, "protocol": p.value.upper()} for p, to in names.items()]
    here = Node(tables(node(), service(spec={"ports": ports}), endpoint_slice(HERE, ports=targets)))
    seen = {protocol: here.send(POD, "10.96.0.10:53", protocol=protocol) for protocol in names}
    assert seen == {protocol: reaches(f"10.244.1.5:{port}") for protocol, port in names.items()}


def test_a_named_target_port_differs_from_slice_to_slice() -> None:
    old = endpoint_slice(HERE, ports=[{"name": "", "port": 8080}])
    new = endpoint_slice(THERE, name="web-2", ports=[{"name": "", "port": 9090}])
    here = Node(tables(node(), service(), old, new))
    assert here.send(POD, VIP) == reaches(LOCAL, "10.244.2.6:9090")


def test_ipv6_does_as_ipv4_but_for_loopback_node_ports() -> None:
    spec = {
        "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
        "clusterIP": "10.96.0.10",
        "ipFamilies": ["IPv4", "IPv6"],
        **ETP_LOCAL,
    }
    six = endpoint_slice(
        endpoint("fd00:10:244:1::5", node="node1"), endpoint("fd00:10:244:2::6", node="node2"), family="IPv6"
    )
    near, far = "[fd00:10:244:1::5]:8080", "[fd00:10:244:2::6]:8080"
    here = Node(tables(node(), service(spec=spec), six, family=Family.IPV6))
    assert here.send(POD_6, "[fd00:10:96::10]:80") == reaches(near, far)
    assert here.send(OUTSIDER_6, "[fd00:10:96::10]:80") == masqueraded(near, far)
    assert here.send(OUTSIDER_6, f"[{NODE_6}]:30080") == reaches(near)
    assert here.send(NODE_6, f"[{NODE_6}]:30080") == masqueraded(near, far)
    assert here.send("::1", "[::1]:30080") == UNTOUCHED


@pytest.mark.parametrize("endpoints", [pytest.param((THERE,), id="one elsewhere"), pytest.param((), id="none")])
def test_a_health_check_port_is_open_whatever_endpoints_there_are(endpoints: tuple[dict[str, object], ...]) -> None:
    spec = {**BALANCED, "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    rules = tables(node(), service(spec=spec, status=INGRESS), endpoint_slice(*endpoints))
    (chain,) = (c for c in rules[2].chains if c.name == "KUBE-NODEPORTS")
    assert [(rule.destination_port, rule.protocol) for rule in chain.rules] == [(31000, Protocol.TCP)]
