"""The ClusterIP: who reaches which endpoint, ports and protocols, and what is no Service at all."""

from __future__ import annotations

from proxy_objects import GONE, LOCAL, REMOTE, UNREADY, endpoint_slice, service
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from proxy_tables.case import (
    BALANCED,
    BOTH,
    EITHER,
    ENDPOINT,
    EXTERNAL,
    EXTERNAL_IP,
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
    away,
)

DNS: dict[str, object] = {"ports": [{"port": 53, "targetPort": 5353, "protocol": "UDP"}]}
DNS_PORTS = ({"name": "", "port": 5353, "protocol": "UDP"},)
DNS_VIP = "10.96.0.10:53/udp"
LOCAL_DNS, REMOTE_DNS = "10.244.1.5:5353", "10.244.2.6:5353"
THREE_PROTOCOLS = {"TCP": 8001, "UDP": 8002, "SCTP": 8003}
TWO_NAMES: dict[str, object] = {"ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]}
TLS_VIP = "10.96.0.10:443"
ANOTHER = service("db", spec={"clusterIP": "10.96.0.11"})
CROWD = [away(f"10.244.{5 + i // 200}.{1 + i % 200}", **UNREADY) for i in range(1000)]
ADDRESSES = (
    Case(
        "a ClusterIP reaches every endpoint, Pods keep their address and others do not",
        (
            (POD, VIP, reaches(*EITHER)),
            (NEIGHBOUR, VIP, reaches(*EITHER)),
            (NODE, VIP, masqueraded(*EITHER)),
            ("172.20.0.9", VIP, masqueraded(*EITHER)),
            (OUTSIDER, VIP, masqueraded(*EITHER)),
        ),
    ),
    Case(
        "a port or protocol that the ClusterIP does not have, and an address that no Service has, pass untranslated",
        (
            (POD, "10.96.0.10:81", UNTOUCHED),
            (POD, "10.96.0.10:80/udp", UNTOUCHED),
            (POD, "10.96.0.11:80", UNTOUCHED),
            (NODE, "10.96.0.11:80", UNTOUCHED),
            (OUTSIDER, "10.96.0.10:81", UNTOUCHED),
        ),
    ),
    Case(
        "what is for no Service passes untranslated",
        (
            (POD, REMOTE, UNTOUCHED),
            (NEIGHBOUR, LOCAL, UNTOUCHED),
            (POD, "198.51.100.7:443", UNTOUCHED),
            (OUTSIDER, f"{NODE}:22", UNTOUCHED),
            (NODE, f"{NODE}:22", UNTOUCHED),
        ),
    ),
    Case(
        "a Pod that reaches itself through its Service is masqueraded",
        ((ENDPOINT, VIP, masqueraded(LOCAL)),),
        endpoints=(HERE,),
    ),
    Case(
        "an endpoint among several is masqueraded only where it reaches itself",
        (
            (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE)),
            ("10.244.2.6", VIP, reaches(LOCAL) | masqueraded(REMOTE)),
        ),
    ),
    Case(
        "a remote endpoint that reaches itself through this node is masqueraded",
        (("10.244.2.6", VIP, masqueraded(REMOTE)), (NEIGHBOUR, VIP, reaches(REMOTE))),
        endpoints=(THERE,),
    ),
    Case(
        "an endpoint in the node's own network is reached on the node itself",
        (
            (POD, DNS_VIP, reaches(f"{NODE}:5353")),
            (OUTSIDER, DNS_VIP, reaches(f"{NODE}:5353")),
        ),
        spec=DNS,
        ports=DNS_PORTS,
        endpoints=(away(NODE, node="node1"),),
    ),
)
NOBODY = (
    Case(
        "no endpoint anywhere: refused, whatever the address",
        (
            (POD, VIP, REFUSED),
            (NEIGHBOUR, VIP, REFUSED),
            (NODE, VIP, REFUSED),
            (OUTSIDER, VIP, REFUSED),
            (OUTSIDER, NODEPORT, REFUSED),
            (POD, NODEPORT, REFUSED),
            (POD, LB, REFUSED),
            (OUTSIDER, LB, REFUSED),
            (OUTSIDER, EXTERNAL_IP, REFUSED),
        ),
        spec={**BALANCED, **EXTERNAL},
        status=INGRESS,
        endpoints=(away("10.244.1.5", **UNREADY), away("10.244.2.6", **GONE)),
    ),
    Case(
        "no endpoint anywhere: the node is refused at its own addresses, what it sends to others' passes",
        (
            (NODE, NODEPORT, REFUSED),
            (LOOPBACK, SELF, REFUSED),
            (NODE, LB, UNTOUCHED),
            (NODE, EXTERNAL_IP, UNTOUCHED),
        ),
        spec={**BALANCED, **EXTERNAL},
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "no endpoint anywhere: UDP is refused too, and another port of the address passes",
        ((POD, DNS_VIP, REFUSED), (NODE, DNS_VIP, REFUSED), (POD, "10.96.0.10:53", UNTOUCHED)),
        spec=DNS,
        ports=DNS_PORTS,
        endpoints=(),
    ),
    Case(
        "a port that no slice names has no endpoint, the others have",
        ((POD, VIP, reaches(*EITHER)), (POD, TLS_VIP, REFUSED)),
        spec=TWO_NAMES,
        ports=({"name": "http", "port": 8080},),
    ),
    Case(
        "a slice's port without a number is none",
        ((POD, VIP, REFUSED),),
        ports=({"name": "", "protocol": "TCP"},),
    ),
    Case(
        "a headless Service has no rules",
        ((POD, VIP, UNTOUCHED), (NODE, VIP, UNTOUCHED)),
        spec={"clusterIP": "None"},
    ),
    Case(
        "a Service of type ExternalName has no rules",
        ((POD, VIP, UNTOUCHED), (OUTSIDER, EXTERNAL_IP, UNTOUCHED)),
        spec={"type": "ExternalName", "externalName": "example.com", "clusterIP": "", **EXTERNAL},
    ),
    Case(
        "a Service of another proxy has no rules, whatever the label says",
        ((POD, VIP, UNTOUCHED), (OUTSIDER, NODEPORT, UNTOUCHED)),
        spec=NODE_PORT,
        labels={"service.kubernetes.io/service-proxy-name": ""},
    ),
    Case(
        "the headless label hides a slice",
        ((POD, VIP, REFUSED),),
        slice_labels={"service.kubernetes.io/headless": ""},
    ),
    Case(
        "the headless label hides no Service",
        ((POD, VIP, reaches(*EITHER)),),
        labels={"service.kubernetes.io/headless": ""},
    ),
)
PORTS = (
    Case(
        "UDP is translated as TCP is",
        (
            (POD, DNS_VIP, reaches(LOCAL_DNS, REMOTE_DNS)),
            (NODE, DNS_VIP, masqueraded(LOCAL_DNS, REMOTE_DNS)),
            (OUTSIDER, DNS_VIP, masqueraded(LOCAL_DNS, REMOTE_DNS)),
            (ENDPOINT, DNS_VIP, masqueraded(LOCAL_DNS) | reaches(REMOTE_DNS)),
            (POD, "10.96.0.10:53", UNTOUCHED),
        ),
        spec=DNS,
        ports=DNS_PORTS,
    ),
    Case(
        "the same port in three protocols leads to three places",
        (
            (POD, "10.96.0.10:53", reaches("10.244.1.5:8001", "10.244.2.6:8001")),
            (POD, "10.96.0.10:53/udp", reaches("10.244.1.5:8002", "10.244.2.6:8002")),
            (POD, "10.96.0.10:53/sctp", reaches("10.244.1.5:8003", "10.244.2.6:8003")),
            (OUTSIDER, "10.96.0.10:53/sctp", masqueraded("10.244.1.5:8003", "10.244.2.6:8003")),
        ),
        spec={"ports": [{"name": name.lower(), "port": 53, "protocol": name} for name in THREE_PROTOCOLS]},
        ports=tuple({"name": name.lower(), "port": to, "protocol": name} for name, to in THREE_PROTOCOLS.items()),
    ),
    Case(
        "SCTP without an endpoint is refused",
        ((POD, "10.96.0.10:53/sctp", REFUSED), (POD, "10.96.0.10:53/udp", UNTOUCHED)),
        spec={"ports": [{"port": 53, "protocol": "SCTP"}]},
        endpoints=(),
    ),
    Case(
        "each of several ports has its own targets",
        (
            (POD, VIP, reaches(*EITHER)),
            (POD, TLS_VIP, reaches("10.244.1.5:8443", "10.244.2.6:8443")),
            (OUTSIDER, TLS_VIP, masqueraded("10.244.1.5:8443", "10.244.2.6:8443")),
        ),
        spec=TWO_NAMES,
        ports=({"name": "http", "port": 8080}, {"name": "https", "port": 8443}),
    ),
    Case(
        "a target port that is named differs from Pod to Pod",
        ((POD, VIP, reaches(LOCAL, "10.244.2.6:9090")),),
        endpoints=(HERE,),
        slices=(endpoint_slice(THERE, name="web-2", ports=[{"name": "", "port": 9090}]),),
    ),
    Case(
        "two Services share their Pods",
        ((POD, VIP, reaches(*EITHER)), (POD, "10.96.0.11:80", reaches(*EITHER)), (POD, "10.96.0.12:80", UNTOUCHED)),
        more=(ANOTHER, endpoint_slice(*BOTH, name="db-1", service="db")),
    ),
    Case(
        "a Service that has no slice is refused beside one that has",
        ((POD, VIP, reaches(*EITHER)), (POD, "10.96.0.11:80", REFUSED)),
        more=(ANOTHER,),
    ),
)
SLICES = (
    Case(
        "several slices make one Service",
        ((POD, VIP, reaches(*EITHER, "10.244.3.7:8080")),),
        endpoints=(HERE,),
        slices=(endpoint_slice(THERE, away("10.244.3.7"), name="web-2"),),
    ),
    Case(
        "an address in two slices counts once",
        ((POD, VIP, reaches(*EITHER)), (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE))),
        slices=(endpoint_slice(*BOTH, name="web-2"),),
    ),
    Case(
        "only the first address of an endpoint counts",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=({**HERE, "addresses": ["10.244.1.5", "10.244.1.6"]},),
    ),
    Case(
        "an endpoint of which nothing is said is ready",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=({"addresses": ["10.244.1.5"]},),
    ),
    Case(
        "over 1000 endpoints change no packet's way",
        (
            (POD, VIP, reaches(*EITHER)),
            (OUTSIDER, VIP, masqueraded(*EITHER)),
            (ENDPOINT, VIP, masqueraded(LOCAL) | reaches(REMOTE)),
            (OUTSIDER, "127.0.0.1:22", DROPPED),
        ),
        spec=NODE_PORT,
        endpoints=(*BOTH, *CROWD),
    ),
)
DUAL: dict[str, object] = {
    "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
    "ipFamilies": ["IPv4", "IPv6"],
    "ipFamilyPolicy": "RequireDualStack",
}
IN_IPV6 = endpoint_slice(away("fd00:10:244:1::5", node="node1"), name="web-6", family="IPv6")
VIP_6, POD_6, NODE_6, LOCAL_6 = "[fd00:10:96::10]:80", "fd00:10:244:1::9", "fd00:50::11", "[fd00:10:244:1::5]:8080"
OUTSIDER_6 = "2001:db8:198::7"
DUAL_STACK = (
    Case(
        "a dual-stack Service leads each family to its own endpoints",
        (
            (POD, VIP, reaches(*EITHER)),
            (POD_6, VIP_6, reaches(LOCAL_6)),
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (OUTSIDER_6, f"[{NODE_6}]:30080", masqueraded(LOCAL_6)),
            (NODE_6, VIP_6, masqueraded(LOCAL_6)),
        ),
        spec={**DUAL, **NODE_PORT},
        slices=(IN_IPV6,),
        translate=False,
    ),
    Case(
        "a dual-stack Service with endpoints in one family is refused in the other",
        ((POD, VIP, reaches(*EITHER)), (POD_6, VIP_6, REFUSED), (OUTSIDER_6, f"[{NODE_6}]:30080", REFUSED)),
        spec={**DUAL, **NODE_PORT},
        translate=False,
    ),
    Case(
        "a Service of one family has no rules in the other, though a slice is there",
        ((POD, VIP, reaches(*EITHER)), (POD_6, VIP_6, UNTOUCHED), (OUTSIDER_6, f"[{NODE_6}]:30080", UNTOUCHED)),
        spec=NODE_PORT,
        slices=(IN_IPV6,),
        translate=False,
    ),
)
CASES = ADDRESSES + NOBODY + PORTS + SLICES + DUAL_STACK
