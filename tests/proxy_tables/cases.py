"""Cases."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from proxy_objects import CONFIG, GONE, LEAVING, LOCAL, REMOTE, UNREADY
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from netlab.proxy.config import DetectLocalMode
from proxy_tables.case import (
    BALANCED,
    ENDPOINT,
    ETP_LOCAL,
    EXTERNAL_IP,
    HERE,
    INGRESS,
    ITP_LOCAL,
    LB,
    LOOPBACK,
    NEIGHBOUR,
    NODE,
    NODE_PORT,
    NODEPORT,
    OUTSIDER,
    POD,
    RANGES,
    SELF,
    STRANGER,
    THERE,
    VIP,
    Case,
    away,
)

CASES = (
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
        ((ENDPOINT, VIP, masqueraded(LOCAL)),),
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
            (LOOPBACK, SELF, masqueraded(LOCAL, REMOTE)),
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
            (STRANGER, LB, DROPPED),
            (POD, LB, DROPPED),
            (NODE, LB, DROPPED),
            ("203.0.113.10", LB, DROPPED),
            (STRANGER, NODEPORT, masqueraded(LOCAL, REMOTE)),
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
        ((STRANGER, LB, masqueraded(LOCAL, REMOTE)),),
        spec={**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24", "0.0.0.0/0"]},
        status=INGRESS,
    ),
    Case(
        "source ranges of the other family alone are no firewall",
        ((STRANGER, LB, masqueraded(LOCAL, REMOTE)),),
        spec={**BALANCED, "loadBalancerSourceRanges": ["2001:db8:ffff::/48"]},
        status=INGRESS,
    ),
    Case(
        "source ranges with no endpoint: everybody is refused",
        ((OUTSIDER, LB, REFUSED), (STRANGER, LB, REFUSED)),
        spec=RANGES,
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "source ranges and policy Local with no endpoint here: silence for all but Pods that are listed",
        ((STRANGER, LB, DROPPED), (OUTSIDER, LB, DROPPED), (POD, LB, reaches(REMOTE))),
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
        ((POD, VIP, reaches(LOCAL, REMOTE)), (NEIGHBOUR, VIP, masqueraded(LOCAL, REMOTE))),
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
            (LOOPBACK, SELF, UNTOUCHED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("172.16.0.0/12"),)),
    ),
    Case(
        "--nodeport-addresses may name loopback",
        (
            (OUTSIDER, NODEPORT, UNTOUCHED),
            (LOOPBACK, SELF, masqueraded(LOCAL, REMOTE)),
            (OUTSIDER, "127.0.0.1:22", DROPPED),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("127.0.0.0/8"),)),
    ),
    Case(
        "--nodeport-addresses that name loopback do nothing without localhost node ports",
        ((LOOPBACK, SELF, UNTOUCHED),),
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
            (LOOPBACK, SELF, masqueraded(LOCAL, REMOTE)),
        ),
        spec=NODE_PORT,
        config=replace(CONFIG, nodeport_addresses=(ip_network("fd00:50::/64"),)),
    ),
    Case(
        "without localhost node ports the loopback addresses have none",
        ((LOOPBACK, SELF, UNTOUCHED), (OUTSIDER, NODEPORT, masqueraded(LOCAL, REMOTE))),
        spec=NODE_PORT,
        config=replace(CONFIG, iptables_localhost_nodeports=False),
    ),
    Case(
        "packets from elsewhere to a loopback address are dropped",
        ((OUTSIDER, "127.0.0.1:22", DROPPED), ("127.0.0.1", "127.0.0.1:22", UNTOUCHED)),
    ),
)
