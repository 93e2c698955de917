"""How kube-proxy was started: who is masqueraded, where node ports are, what a node forwards."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from proxy_objects import CONFIG, LOCAL, REMOTE
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from netlab.model.rules import Verdict
from netlab.proxy.config import DetectLocalMode
from proxy_tables.case import (
    AFFINITY,
    BALANCED,
    EITHER,
    ENDPOINT,
    ETP_LOCAL,
    HERE,
    INGRESS,
    LB,
    LOOPBACK,
    NEIGHBOUR,
    NODE,
    NODE_PORT,
    NODEPORT,
    OUTSIDER,
    POD,
    SELF,
    THERE,
    VIP,
    Case,
)

NO_FORWARDING = (("FORWARD", Verdict.DROP),)
OTHER = "172.20.0.9:30080"
BY_BRIDGE = replace(CONFIG, detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface="cni0")
BY_PREFIX = replace(CONFIG, detect_local_mode=DetectLocalMode.INTERFACE_NAME_PREFIX, interface_name_prefix="cn")
BY_NODE = replace(CONFIG, detect_local_mode=DetectLocalMode.NODE_CIDR)
NO_RANGE = replace(CONFIG, cluster_cidrs=())
ALL_MASQUERADED = replace(CONFIG, masquerade_all=True)
LISTED = replace(CONFIG, nodeport_addresses=(ip_network("172.16.0.0/12"),))
LOCALHOST_ONLY = replace(CONFIG, nodeport_addresses=(ip_network("127.0.0.0/8"),))
NOT_LOCALHOST = replace(CONFIG, iptables_localhost_nodeports=False)
MASQUERADING = (
    Case(
        "--masquerade-all masquerades Pods at the ClusterIP",
        ((POD, VIP, masqueraded(*EITHER)), (NEIGHBOUR, VIP, masqueraded(*EITHER)), (NODE, VIP, masqueraded(*EITHER))),
        config=ALL_MASQUERADED,
    ),
    Case(
        "--masquerade-all needs no cluster CIDR",
        ((POD, VIP, masqueraded(*EITHER)), (OUTSIDER, VIP, masqueraded(*EITHER))),
        config=replace(ALL_MASQUERADED, cluster_cidrs=()),
    ),
    Case(
        "--masquerade-all leaves the addresses of outsiders, and of Pods, at external addresses under policy Local",
        ((OUTSIDER, NODEPORT, reaches(LOCAL)), (POD, NODEPORT, reaches(*EITHER)), (POD, VIP, masqueraded(*EITHER))),
        spec=ETP_LOCAL,
        config=ALL_MASQUERADED,
    ),
    Case(
        "without a way to tell Pods nobody is masqueraded at the ClusterIP and Pods have no short cut",
        (
            (POD, VIP, reaches(*EITHER)),
            (OUTSIDER, VIP, reaches(*EITHER)),
            (NODE, VIP, reaches(*EITHER)),
            (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE)),
            (POD, NODEPORT, reaches(LOCAL)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
        ),
        spec=ETP_LOCAL,
        config=NO_RANGE,
    ),
    Case(
        "without a way to tell Pods node ports still masquerade",
        ((POD, NODEPORT, masqueraded(*EITHER)), (OUTSIDER, NODEPORT, masqueraded(*EITHER))),
        spec=NODE_PORT,
        config=NO_RANGE,
    ),
    Case(
        "--detect-local-mode NodeCIDR knows this node's Pods only",
        (
            (POD, VIP, reaches(*EITHER)),
            (NEIGHBOUR, VIP, masqueraded(*EITHER)),
            (POD, NODEPORT, reaches(*EITHER)),
            (NEIGHBOUR, NODEPORT, reaches(LOCAL)),
            (OUTSIDER, VIP, masqueraded(*EITHER)),
        ),
        spec=ETP_LOCAL,
        config=BY_NODE,
    ),
    *(
        Case(
            f"--detect-local-mode {config.detect_local_mode} knows what comes in by this node's Pods' interfaces",
            (
                (POD, VIP, reaches(*EITHER)),
                (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE)),
                (NEIGHBOUR, VIP, masqueraded(*EITHER)),
                (NODE, VIP, masqueraded(*EITHER)),
                (OUTSIDER, VIP, masqueraded(*EITHER)),
                (POD, NODEPORT, reaches(*EITHER)),
                (NEIGHBOUR, NODEPORT, reaches(LOCAL)),
                (NODE, NODEPORT, masqueraded(*EITHER)),
                (OUTSIDER, NODEPORT, reaches(LOCAL)),
            ),
            spec=ETP_LOCAL,
            config=config,
        )
        for config in (BY_BRIDGE, BY_PREFIX)
    ),
    Case(
        "another masquerade bit does as the usual one",
        (
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (POD, VIP, reaches(*EITHER)),
            (ENDPOINT, NODEPORT, masqueraded(*EITHER)),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, masquerade_bit=3),
    ),
    Case(
        "masquerading without random ports",
        ((OUTSIDER, NODEPORT, masqueraded(*EITHER)), (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE))),
        spec=NODE_PORT,
        config=replace(CONFIG, random_fully=False),
    ),
)
LISTENERS = (
    Case(
        "--nodeport-addresses bind node ports to the machine's addresses in these ranges",
        (
            (OUTSIDER, NODEPORT, UNTOUCHED),
            (POD, "10.244.1.1:30080", UNTOUCHED),
            (OUTSIDER, OTHER, masqueraded(*EITHER)),
            (NODE, OTHER, masqueraded(*EITHER)),
            (LOOPBACK, SELF, UNTOUCHED),
            (POD, VIP, reaches(*EITHER)),
        ),
        spec=NODE_PORT,
        config=LISTED,
    ),
    Case(
        "--nodeport-addresses that leave loopback out close no loopback address",
        ((OUTSIDER, "127.0.0.1:22", DROPPED), (LOOPBACK, "127.0.0.1:22", UNTOUCHED)),
        spec=NODE_PORT,
        config=LISTED,
    ),
    Case(
        "--nodeport-addresses may be several",
        (
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (OUTSIDER, OTHER, masqueraded(*EITHER)),
            (LOOPBACK, SELF, UNTOUCHED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("172.16.0.0/12"), ip_network("192.168.50.0/24"))),
    ),
    Case(
        "--nodeport-addresses of everything are every address",
        ((OUTSIDER, NODEPORT, masqueraded(*EITHER)), (POD, "10.244.1.1:30080", masqueraded(*EITHER))),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("0.0.0.0/0"),)),
    ),
    Case(
        "--nodeport-addresses may name loopback",
        (
            (OUTSIDER, NODEPORT, UNTOUCHED),
            (LOOPBACK, SELF, masqueraded(*EITHER)),
            (OUTSIDER, "127.0.0.1:22", DROPPED),
        ),
        spec=NODE_PORT,
        config=LOCALHOST_ONLY,
    ),
    Case(
        "--nodeport-addresses that name loopback do nothing without localhost node ports",
        ((LOOPBACK, SELF, UNTOUCHED), (OUTSIDER, NODEPORT, UNTOUCHED)),
        spec=NODE_PORT,
        config=replace(LOCALHOST_ONLY, iptables_localhost_nodeports=False),
    ),
    Case(
        "--nodeport-addresses primary binds node ports to the node's own address",
        (
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
            (OUTSIDER, OTHER, UNTOUCHED),
            (LOOPBACK, SELF, UNTOUCHED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_primary=True),
    ),
    Case(
        "--nodeport-addresses of the other family alone bind nothing",
        ((OUTSIDER, NODEPORT, masqueraded(*EITHER)), (LOOPBACK, SELF, masqueraded(*EITHER))),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("2001:db8:ffff::/48"),)),
    ),
    Case(
        "--nodeport-addresses do not concern a load balancer's address",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (OUTSIDER, NODEPORT, UNTOUCHED)),
        spec=BALANCED,
        status=INGRESS,
        config=LISTED,
    ),
    Case(
        "--nodeport-addresses without an endpoint: every local address refuses",
        ((OUTSIDER, NODEPORT, REFUSED), (OUTSIDER, OTHER, REFUSED)),
        spec=NODE_PORT,
        endpoints=(),
        config=LISTED,
    ),
    Case(
        "without localhost node ports the loopback addresses have none",
        (
            (LOOPBACK, SELF, UNTOUCHED),
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
        ),
        spec=NODE_PORT,
        config=NOT_LOCALHOST,
    ),
)
FORWARDING = (
    Case(
        "a reset that belongs to no connection is dropped on its way through",
        (
            (POD, f"{REMOTE}/rst", DROPPED),
            (POD, f"{VIP}/rst", DROPPED),
            (OUTSIDER, f"{LOCAL}/rst", DROPPED),
            (OUTSIDER, f"{NODE}:22/rst", UNTOUCHED),
            (NODE, f"{REMOTE}/rst", UNTOUCHED),
        ),
    ),
    Case(
        "a reset that belongs to no connection passes where conntrack is told to be liberal",
        ((POD, f"{REMOTE}/rst", UNTOUCHED), (POD, f"{VIP}/rst", UNTOUCHED), (POD, VIP, reaches(*EITHER))),
        config=replace(CONFIG, conntrack_tcp_liberal=True),
    ),
    Case(
        "policy DROP of FORWARD: what is masqueraded is accepted with its answers, the rest is not",
        (
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (OUTSIDER, VIP, masqueraded(*EITHER)),
            (POD, NODEPORT, masqueraded(*EITHER)),
            (NODE, VIP, masqueraded(*EITHER)),
            (LOOPBACK, SELF, masqueraded(*EITHER)),
            (POD, VIP, DROPPED),
            (POD, REMOTE, DROPPED),
            (POD, "10.96.0.10:81", DROPPED),
            (OUTSIDER, f"{NODE}:22", UNTOUCHED),
        ),
        spec=NODE_PORT,
        policies=NO_FORWARDING,
    ),
    Case(
        "policy DROP of FORWARD: an outsider under policy Local is not accepted, a Pod that reaches itself is",
        ((OUTSIDER, NODEPORT, DROPPED), (ENDPOINT, VIP, masqueraded(LOCAL)), (NODE, NODEPORT, masqueraded(LOCAL))),
        spec=ETP_LOCAL,
        endpoints=(HERE,),
        policies=NO_FORWARDING,
    ),
    Case(
        "policy DROP of FORWARD: no endpoint is refused all the same",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED), (NODE, VIP, REFUSED)),
        spec={**NODE_PORT, **AFFINITY},
        endpoints=(),
        policies=NO_FORWARDING,
    ),
    Case(
        "policy DROP of FORWARD with --masquerade-all: everybody reaches the ClusterIP",
        ((POD, VIP, masqueraded(*EITHER)), (NEIGHBOUR, VIP, masqueraded(*EITHER)), (POD, REMOTE, DROPPED)),
        config=ALL_MASQUERADED,
        policies=NO_FORWARDING,
    ),
)
HEALTH: dict[str, object] = {**BALANCED, "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
CLOSED = (
    *(
        Case(
            f"policy DROP of INPUT leaves health checks and node ports open, with {what}",
            (
                (OUTSIDER, f"{NODE}:31000", UNTOUCHED),
                (OUTSIDER, f"{NODE}:31000/udp", DROPPED),
                (OUTSIDER, f"{NODE}:22", DROPPED),
                (OUTSIDER, NODEPORT, fate),
            ),
            spec=HEALTH,
            status=INGRESS,
            endpoints=endpoints,
            policies=(("INPUT", Verdict.DROP),),
        )
        for what, endpoints, fate in (
            ("an endpoint here", (HERE,), reaches(LOCAL)),
            ("an endpoint elsewhere", (THERE,), DROPPED),
            ("none", (), REFUSED),
        )
    ),
    Case(
        "a health check's port is open for it where a Service refuses all",
        ((OUTSIDER, f"{NODE}:31000", UNTOUCHED), (OUTSIDER, LB, REFUSED), (OUTSIDER, f"{NODE}:31001", UNTOUCHED)),
        spec=HEALTH,
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "the node itself reaches loopback addresses only from loopback addresses",
        ((NODE, "127.0.0.1:22", DROPPED), (LOOPBACK, "127.0.0.1:22", UNTOUCHED), (LOOPBACK, "127.1.2.3:22", UNTOUCHED)),
    ),
)
CASES = CLOSED + MASQUERADING + LISTENERS + FORWARDING
