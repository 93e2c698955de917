"""Changes, one after the other: what was true before must leave no trace."""

from __future__ import annotations

from proxy_objects import GONE, LEAVING, LOCAL, REMOTE, THIRD, UNREADY, endpoint_slice
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from proxy_tables.case import (
    AFFINITY,
    BALANCED,
    BOTH,
    EITHER,
    ETP_LOCAL,
    EXTERNAL,
    EXTERNAL_IP,
    FAR,
    HERE,
    INGRESS,
    ITP_LOCAL,
    LB,
    LOOPBACK,
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
    Last,
    Story,
    away,
)
from proxy_tables.cluster_ip import CROWD

PROXY_NAME, HEADLESS = {"service.kubernetes.io/service-proxy-name": "other"}, {"service.kubernetes.io/headless": ""}
REACHES = (POD, VIP, reaches(*EITHER))
OPEN = (OUTSIDER, NODEPORT, masqueraded(*EITHER))
PLAIN = Case("as in the beginning", (REACHES, (OUTSIDER, NODEPORT, UNTOUCHED), (OUTSIDER, LB, UNTOUCHED)))
SLICED = endpoint_slice(THERE, name="web-2")
STORIES = (
    Story(
        "a Service is given to another proxy and taken back",
        (
            Case("served", (REACHES, OPEN), spec=NODE_PORT),
            Case(
                "given away",
                ((POD, VIP, UNTOUCHED), (OUTSIDER, NODEPORT, UNTOUCHED)),
                spec=NODE_PORT,
                labels=PROXY_NAME,
            ),
            Case("taken back", (REACHES, OPEN), spec=NODE_PORT),
        ),
    ),
    Story(
        "a slice is hidden by the headless label and shown again",
        (
            PLAIN,
            Case("hidden", ((POD, VIP, REFUSED),), slice_labels=HEADLESS),
            Case(
                "one of two hidden",
                ((POD, VIP, reaches(THIRD)),),
                slice_labels=HEADLESS,
                slices=(endpoint_slice(FAR, name="web-3"),),
            ),
            Case("shown", (REACHES,)),
        ),
    ),
    Story(
        "a Service passes through all its types",
        (
            PLAIN,
            Case("NodePort", (REACHES, OPEN, (OUTSIDER, LB, UNTOUCHED)), spec=NODE_PORT),
            Case("waiting LoadBalancer", (REACHES, OPEN, (OUTSIDER, LB, UNTOUCHED)), spec=BALANCED),
            Case("LoadBalancer", (REACHES, OPEN, (OUTSIDER, LB, masqueraded(*EITHER))), spec=BALANCED, status=INGRESS),
            Case(
                "ExternalName",
                ((POD, VIP, UNTOUCHED), (OUTSIDER, NODEPORT, UNTOUCHED), (OUTSIDER, LB, UNTOUCHED)),
                spec={"type": "ExternalName", "externalName": "a.b", "clusterIP": ""},
            ),
            Case("headless", ((POD, VIP, UNTOUCHED),), spec={"clusterIP": "None"}),
            PLAIN,
        ),
    ),
    Story(
        "endpoints come, become ready, end, go and come back",
        (
            Case("none", ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)), spec=NODE_PORT, endpoints=()),
            Case("one, not ready", ((POD, VIP, REFUSED),), spec=NODE_PORT, endpoints=(away("10.244.1.5", **UNREADY),)),
            Case("ready", ((POD, VIP, reaches(LOCAL)),), spec=NODE_PORT, endpoints=(HERE,)),
            Case(
                "three",
                ((POD, VIP, reaches(*EITHER, THIRD)), (OUTSIDER, NODEPORT, masqueraded(*EITHER, THIRD))),
                spec=NODE_PORT,
                endpoints=(*BOTH, FAR),
            ),
            Case(
                "one ends",
                ((POD, VIP, reaches(REMOTE, THIRD)),),
                spec=NODE_PORT,
                endpoints=(away("10.244.1.5", **LEAVING), THERE, FAR),
            ),
            Case(
                "all end",
                ((POD, VIP, reaches(*EITHER)),),
                spec=NODE_PORT,
                endpoints=(away("10.244.1.5", **LEAVING), away("10.244.2.6", **LEAVING)),
            ),
            Case(
                "one serves no more",
                ((POD, VIP, reaches(REMOTE)),),
                spec=NODE_PORT,
                endpoints=(away("10.244.1.5", **GONE), away("10.244.2.6", **LEAVING)),
            ),
            Case("all gone", ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)), spec=NODE_PORT, endpoints=()),
            Case("back", (REACHES, OPEN), spec=NODE_PORT),
        ),
    ),
    Story(
        "traffic policies are set and taken back",
        (
            Case("Cluster", (REACHES, OPEN), spec=NODE_PORT),
            Case("external Local", (REACHES, (OUTSIDER, NODEPORT, reaches(LOCAL))), spec=ETP_LOCAL),
            Case(
                "both Local",
                ((POD, VIP, reaches(LOCAL)), (OUTSIDER, NODEPORT, reaches(LOCAL))),
                spec={**ETP_LOCAL, **ITP_LOCAL},
            ),
            Case(
                "both Local, none here",
                ((POD, VIP, DROPPED), (OUTSIDER, NODEPORT, DROPPED), (POD, NODEPORT, reaches(REMOTE))),
                spec={**ETP_LOCAL, **ITP_LOCAL},
                endpoints=(THERE,),
            ),
            Case(
                "both Local, none",
                ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED), (POD, NODEPORT, REFUSED)),
                spec={**ETP_LOCAL, **ITP_LOCAL},
                endpoints=(),
            ),
            Case(
                "internal Local, none here",
                ((POD, VIP, DROPPED), (OUTSIDER, NODEPORT, masqueraded(REMOTE))),
                spec={**NODE_PORT, **ITP_LOCAL},
                endpoints=(THERE,),
            ),
            Case("Cluster again", (REACHES, OPEN, (LOOPBACK, SELF, masqueraded(*EITHER))), spec=NODE_PORT),
        ),
    ),
    Story(
        "source ranges are set, widened and taken back, and the load balancer moves",
        (
            Case("open", ((STRANGER, LB, masqueraded(*EITHER)),), spec=BALANCED, status=INGRESS),
            Case(
                "closed", ((STRANGER, LB, DROPPED), (OUTSIDER, LB, masqueraded(*EITHER))), spec=RANGES, status=INGRESS
            ),
            Case(
                "closed to another",
                ((STRANGER, LB, masqueraded(*EITHER)), (OUTSIDER, LB, DROPPED)),
                spec={**RANGES, "loadBalancerSourceRanges": ["203.0.113.0/24"]},
                status=INGRESS,
            ),
            Case(
                "everything",
                ((STRANGER, LB, masqueraded(*EITHER)), (OUTSIDER, LB, masqueraded(*EITHER))),
                spec={**RANGES, "loadBalancerSourceRanges": ["0.0.0.0/0"]},
                status=INGRESS,
            ),
            Case(
                "closed elsewhere",
                (
                    (STRANGER, LB, UNTOUCHED),
                    (STRANGER, "203.0.113.11:80", DROPPED),
                    (OUTSIDER, "203.0.113.11:80", masqueraded(*EITHER)),
                ),
                spec=RANGES,
                status={"loadBalancer": {"ingress": [{"ip": "203.0.113.11"}]}},
            ),
            Case(
                "without endpoints",
                ((STRANGER, LB, UNTOUCHED), (STRANGER, "203.0.113.11:80", REFUSED)),
                spec=RANGES,
                endpoints=(),
                status={"loadBalancer": {"ingress": [{"ip": "203.0.113.11"}]}},
            ),
            Case("no load balancer", ((STRANGER, "203.0.113.11:80", UNTOUCHED), OPEN), spec=NODE_PORT),
        ),
    ),
    Story(
        "addresses and ports move",
        (
            Case(
                "at first",
                (REACHES, OPEN, (OUTSIDER, EXTERNAL_IP, masqueraded(*EITHER))),
                spec={**NODE_PORT, **EXTERNAL},
            ),
            Case(
                "another node port",
                (
                    (OUTSIDER, NODEPORT, UNTOUCHED),
                    (OUTSIDER, f"{NODE}:30081", masqueraded(*EITHER)),
                    (OUTSIDER, EXTERNAL_IP, UNTOUCHED),
                ),
                spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30081}]},
            ),
            Case(
                "another address",
                ((POD, VIP, UNTOUCHED), (POD, "10.96.0.12:80", reaches(*EITHER))),
                spec={"clusterIP": "10.96.0.12"},
            ),
            Case(
                "another port",
                ((POD, "10.96.0.12:80", UNTOUCHED), (POD, "10.96.0.12:81", reaches(*EITHER))),
                spec={"clusterIP": "10.96.0.12", "ports": [{"port": 81}]},
            ),
            Case(
                "another protocol",
                ((POD, "10.96.0.12:81", UNTOUCHED), (POD, "10.96.0.12:81/udp", reaches(*EITHER))),
                spec={"clusterIP": "10.96.0.12", "ports": [{"port": 81, "protocol": "UDP"}]},
                ports=({"name": "", "port": 8080, "protocol": "UDP"},),
            ),
            Case(
                "another target",
                ((POD, VIP, reaches("10.244.1.5:9090", "10.244.2.6:9090")),),
                ports=({"name": "", "port": 9090},),
            ),
            Case("a named port", ((POD, VIP, REFUSED),), spec={"ports": [{"name": "http", "port": 80}]}),
            Case(
                "named in the slice too",
                (REACHES,),
                spec={"ports": [{"name": "http", "port": 80}]},
                ports=({"name": "http", "port": 8080},),
            ),
            PLAIN,
        ),
    ),
    Story(
        "hints come, are incomplete for a moment, and go with the node's zone",
        (
            PLAIN,
            Case("half", (REACHES,), endpoints=(away("10.244.1.5", zones=["zone-a"]), THERE)),
            Case(
                "complete",
                ((POD, VIP, reaches(LOCAL)),),
                endpoints=(away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"])),
            ),
            Case(
                "in the other zone",
                ((POD, VIP, reaches(REMOTE)),),
                endpoints=(away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"])),
                zone="zone-b",
            ),
            Case(
                "in none",
                (REACHES,),
                endpoints=(away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"])),
                zone="",
            ),
            PLAIN,
        ),
    ),
    Story(
        "endpoints move from slice to slice",
        (
            Case("in one", (REACHES,)),
            Case("one in both", (REACHES,), slices=(SLICED,)),
            Case("each in its own", (REACHES,), endpoints=(HERE,), slices=(SLICED,)),
            Case("the first is empty", ((POD, VIP, reaches(REMOTE)),), endpoints=(), slices=(SLICED,)),
            Case("both are empty", ((POD, VIP, REFUSED),), endpoints=()),
            Case("in one again", (REACHES,)),
        ),
    ),
    Story(
        "affinity is set and taken back",
        (
            PLAIN,
            Case("set", (REACHES, (POD, VIP, reaches(REMOTE), Last(REMOTE))), spec=AFFINITY),
            Case(
                "set, an endpoint more",
                ((POD, VIP, reaches(THIRD), Last(THIRD)),),
                spec=AFFINITY,
                endpoints=(*BOTH, FAR),
            ),
            Case("not set", ((POD, VIP, reaches(*EITHER), Last(REMOTE)),)),
        ),
    ),
    Story(
        "a Service is deleted before its slices, and made again",
        (
            Case("there", (REACHES, OPEN), spec=NODE_PORT),
            Case("deleted", ((POD, VIP, UNTOUCHED), (OUTSIDER, NODEPORT, UNTOUCHED)), exists=False),
            Case("there again", (REACHES, OPEN), spec=NODE_PORT),
        ),
    ),
    Story(
        "endpoints become more than 1000 and fewer again",
        (
            PLAIN,
            Case(
                "more", (REACHES, ("10.244.1.5", VIP, masqueraded(LOCAL) | reaches(REMOTE))), endpoints=(*BOTH, *CROWD)
            ),
            Case("fewer", (REACHES, ("10.244.1.5", VIP, masqueraded(LOCAL) | reaches(REMOTE)))),
        ),
    ),
)
