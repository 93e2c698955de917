"""Features together: what each does alone says little about what they do to one another."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from proxy_objects import CONFIG, GONE, LEAVING, LOCAL, REMOTE, THIRD, UNREADY, endpoint_slice, service
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from netlab.model.rules import Verdict
from netlab.proxy.config import DetectLocalMode
from proxy_tables.case import (
    AFFINITY,
    BALANCED,
    BOTH,
    EITHER,
    ENDPOINT,
    ETP_LOCAL,
    EXTERNAL,
    EXTERNAL_IP,
    FAR,
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
    SELF,
    STRANGER,
    THERE,
    VIP,
    Case,
    Last,
    away,
)

SECOND = "10.244.1.6:8080"
PODS_LISTED = ["198.51.100.0/24", "10.244.0.0/16"]
THREE_ZONES = (
    away("10.244.1.5", zones=["zone-b"]),
    away("10.244.2.6", zones=["zone-a"]),
    away("10.244.3.7", zones=["zone-a"]),
)
STICKY = (
    Case(
        "affinity, policy Local outside, an endpoint here that ends and hints elsewhere",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (OUTSIDER, NODEPORT, reaches(LOCAL), Last(REMOTE)),
            (POD, NODEPORT, reaches(REMOTE)),
            (POD, VIP, reaches(REMOTE)),
            (POD, VIP, reaches(REMOTE), Last(LOCAL)),
            (NODE, NODEPORT, masqueraded(REMOTE), Last(REMOTE)),
        ),
        spec={**ETP_LOCAL, **AFFINITY},
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], **LEAVING),
            away("10.244.2.6", zones=["zone-a"]),
            away("10.244.3.7", zones=["zone-b"]),
        ),
    ),
    Case(
        "affinity and policy Local: an outsider stays on this node, a Pod with the endpoint that it had",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL, SECOND), Last(REMOTE)),
            (OUTSIDER, NODEPORT, reaches(SECOND), Last(SECOND)),
            (POD, NODEPORT, reaches(REMOTE), Last(REMOTE)),
            (NODE, NODEPORT, masqueraded(REMOTE), Last(REMOTE)),
            (POD, VIP, reaches(LOCAL, SECOND, REMOTE)),
        ),
        spec={**ETP_LOCAL, **AFFINITY},
        endpoints=(HERE, away("10.244.1.6"), THERE),
    ),
    Case(
        "affinity to an endpoint that hints leave out gives way to the hints",
        (
            (POD, VIP, reaches(REMOTE, THIRD), Last(LOCAL)),
            (POD, VIP, reaches(THIRD), Last(THIRD)),
            (OUTSIDER, NODEPORT, masqueraded(REMOTE), Last(REMOTE)),
        ),
        spec={**NODE_PORT, **AFFINITY},
        endpoints=THREE_ZONES,
    ),
    Case(
        "affinity behind source ranges under policy Local",
        (
            (OUTSIDER, LB, reaches(SECOND), Last(SECOND)),
            (STRANGER, LB, DROPPED, Last(LOCAL)),
            (POD, LB, reaches(REMOTE), Last(REMOTE)),
            (STRANGER, NODEPORT, reaches(LOCAL), Last(LOCAL)),
        ),
        spec={**BALANCED, **AFFINITY, "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": PODS_LISTED},
        status=INGRESS,
        endpoints=(HERE, away("10.244.1.6"), THERE),
    ),
    Case(
        "affinity with internalTrafficPolicy Local keeps a Pod on its node",
        (
            (POD, VIP, reaches(LOCAL, SECOND), Last(REMOTE)),
            (POD, VIP, reaches(SECOND), Last(SECOND)),
            (OUTSIDER, NODEPORT, masqueraded(REMOTE), Last(REMOTE)),
        ),
        spec={**NODE_PORT, **ITP_LOCAL, **AFFINITY},
        endpoints=(HERE, away("10.244.1.6"), THERE),
    ),
)
CHOSEN = (
    Case(
        "hints, an endpoint that ends and one that is not ready: the ready ones of this zone",
        (
            (POD, VIP, reaches(THIRD)),
            (OUTSIDER, LB, masqueraded(THIRD)),
            (OUTSIDER, EXTERNAL_IP, masqueraded(THIRD)),
            (LOOPBACK, SELF, masqueraded(THIRD)),
        ),
        spec={**BALANCED, **EXTERNAL},
        status=INGRESS,
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], **LEAVING),
            away("10.244.2.6", zones=["zone-b"]),
            away("10.244.3.7", zones=["zone-a"]),
            away("10.244.4.8", zones=["zone-a"], **UNREADY),
        ),
    ),
    Case(
        "all endpoints end, some serve no more: policy Local takes what serves here, all others what serves anywhere",
        (
            (OUTSIDER, LB, reaches(SECOND)),
            (POD, LB, reaches(SECOND, REMOTE)),
            (POD, VIP, reaches(SECOND)),
            (NODE, VIP, masqueraded(SECOND)),
            (NODE, LB, masqueraded(SECOND, REMOTE)),
        ),
        spec={**BALANCED, **ITP_LOCAL, "externalTrafficPolicy": "Local"},
        status=INGRESS,
        endpoints=(away("10.244.1.5", **GONE), away("10.244.1.6", **LEAVING), away("10.244.2.6", **LEAVING)),
    ),
    Case(
        "node hints under policy Local outside: outsiders stay here, Pods follow the hints",
        ((OUTSIDER, NODEPORT, reaches(LOCAL)), (POD, NODEPORT, reaches(REMOTE)), (POD, VIP, reaches(REMOTE))),
        spec=ETP_LOCAL,
        endpoints=(away("10.244.1.5", nodes=["node2"]), away("10.244.2.6", nodes=["node1"])),
    ),
    Case(
        "hints that lie in two slices count together",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]),),
        slices=(endpoint_slice(away("10.244.2.6", zones=["zone-b"]), name="web-2"),),
    ),
    Case(
        "hints that one of two slices lacks are ignored",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]),),
        slices=(endpoint_slice(THERE, name="web-2"),),
    ),
    Case(
        "the headless label on one of two slices leaves the other",
        ((POD, VIP, reaches(REMOTE)), (OUTSIDER, NODEPORT, DROPPED)),
        spec=ETP_LOCAL,
        slice_labels={"service.kubernetes.io/headless": ""},
        slices=(endpoint_slice(THERE, name="web-2"),),
    ),
    Case(
        "each port chooses by itself: one has endpoints here, one elsewhere, one nowhere",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (OUTSIDER, f"{NODE}:30443", DROPPED),
            (OUTSIDER, f"{NODE}:30053/udp", REFUSED),
            (POD, "10.96.0.10:443", reaches("10.244.2.6:8443")),
            (POD, "10.96.0.10:53/udp", REFUSED),
        ),
        spec={
            "type": "NodePort",
            "externalTrafficPolicy": "Local",
            "ports": [
                {"name": "http", "port": 80, "nodePort": 30080},
                {"name": "https", "port": 443, "nodePort": 30443},
                {"name": "dns", "port": 53, "nodePort": 30053, "protocol": "UDP"},
            ],
        },
        endpoints=(HERE,),
        ports=({"name": "http", "port": 8080},),
        slices=(endpoint_slice(THERE, name="web-2", ports=[{"name": "https", "port": 8443}]),),
    ),
)
TOLD = (
    Case(
        "--masquerade-all, source ranges and policy Local: the ClusterIP masquerades, the rest keeps addresses",
        (
            (POD, VIP, masqueraded(*EITHER)),
            (POD, LB, reaches(*EITHER)),
            (OUTSIDER, LB, reaches(LOCAL)),
            (STRANGER, LB, DROPPED),
            (NEIGHBOUR, VIP, masqueraded(*EITHER)),
        ),
        spec={**BALANCED, "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": PODS_LISTED},
        status=INGRESS,
        config=replace(CONFIG, masquerade_all=True),
    ),
    Case(
        "--masquerade-all with internalTrafficPolicy Local",
        ((POD, VIP, masqueraded(LOCAL)), (POD, NODEPORT, masqueraded(*EITHER)), (NODE, VIP, masqueraded(LOCAL))),
        spec={**NODE_PORT, **ITP_LOCAL},
        config=replace(CONFIG, masquerade_all=True),
    ),
    Case(
        "Pods told by their bridge, policies Local inside and outside, no endpoint here",
        (
            (POD, VIP, DROPPED),
            (POD, NODEPORT, reaches(REMOTE)),
            (NEIGHBOUR, NODEPORT, DROPPED),
            (NODE, NODEPORT, masqueraded(REMOTE)),
            (OUTSIDER, LB, DROPPED),
            (POD, LB, reaches(REMOTE)),
        ),
        spec={**BALANCED, **ITP_LOCAL, "externalTrafficPolicy": "Local"},
        status=INGRESS,
        endpoints=(THERE,),
        config=replace(CONFIG, detect_local_mode=DetectLocalMode.BRIDGE_INTERFACE, bridge_interface="cni0"),
    ),
    Case(
        "nobody told apart, policy Local outside and no endpoint here: only the node gets through",
        ((POD, NODEPORT, DROPPED), (OUTSIDER, NODEPORT, DROPPED), (NODE, NODEPORT, masqueraded(REMOTE))),
        spec=ETP_LOCAL,
        endpoints=(THERE,),
        config=replace(CONFIG, cluster_cidrs=()),
    ),
    Case(
        "policy DROP of FORWARD, source ranges and a load balancer's address that the node has",
        (
            (OUTSIDER, LB, masqueraded(*EITHER)),
            (STRANGER, LB, DROPPED),
            (NODE, LB, DROPPED),
            (OUTSIDER, "203.0.113.10:22", UNTOUCHED),
            (POD, VIP, DROPPED),
        ),
        spec={**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24"]},
        status=INGRESS,
        addresses=("203.0.113.10",),
        policies=(("FORWARD", Verdict.DROP),),
    ),
    Case(
        "node ports on one address only, policy Local and no endpoint here: silence there, and on all other addresses",
        (
            (OUTSIDER, "172.20.0.9:30080", DROPPED),
            (OUTSIDER, NODEPORT, DROPPED),
            (POD, "172.20.0.9:30080", reaches(REMOTE)),
            (POD, NODEPORT, DROPPED),
        ),
        spec=ETP_LOCAL,
        endpoints=(THERE,),
        config=replace(CONFIG, nodeport_addresses=(ip_network("172.16.0.0/12"),)),
    ),
    Case(
        "localhost node ports under policy Local without an endpoint here reach the others",
        ((LOOPBACK, SELF, masqueraded(REMOTE)), (OUTSIDER, "127.0.0.1:30080", DROPPED)),
        spec=ETP_LOCAL,
        endpoints=(THERE,),
    ),
    Case(
        "an outsider at 127.0.0.1 is translated where there is a node port, and dropped elsewhere",
        ((OUTSIDER, "127.0.0.1:30080", masqueraded(*EITHER)), (OUTSIDER, "127.0.0.1:30081", DROPPED)),
        spec=NODE_PORT,
    ),
)
SHARED = (
    Case(
        "two Services of different policies over the same Pods do not meet",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (OUTSIDER, f"{NODE}:30081", masqueraded(*EITHER)),
            (POD, VIP, reaches(*EITHER)),
            (POD, "10.96.0.11:80", reaches(LOCAL)),
            (ENDPOINT, "10.96.0.11:80", masqueraded(LOCAL)),
        ),
        spec=ETP_LOCAL,
        more=(
            service(
                "db",
                spec={
                    "clusterIP": "10.96.0.11",
                    "type": "NodePort",
                    "ports": [{"port": 80, "nodePort": 30081}],
                    **ITP_LOCAL,
                },
            ),
            endpoint_slice(*BOTH, name="db-1", service="db"),
        ),
    ),
    Case(
        "two Services at one external address are told apart by their ports",
        (
            (OUTSIDER, EXTERNAL_IP, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.20:81", masqueraded(THIRD)),
            (OUTSIDER, "203.0.113.20:82", UNTOUCHED),
        ),
        spec=EXTERNAL,
        more=(
            service("db", spec={"clusterIP": "10.96.0.11", "ports": [{"port": 81}], **EXTERNAL}),
            endpoint_slice(FAR, name="db-1", service="db"),
        ),
    ),
)
CASES = STICKY + CHOSEN + TOLD + SHARED
