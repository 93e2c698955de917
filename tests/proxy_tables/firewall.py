"""A load balancer's source ranges: who may use its addresses."""

from __future__ import annotations

from proxy_objects import LOCAL, REMOTE
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from proxy_tables.case import (
    BALANCED,
    EITHER,
    EXTERNAL,
    EXTERNAL_IP,
    INGRESS,
    LB,
    NEIGHBOUR,
    NODE,
    NODEPORT,
    OUTSIDER,
    POD,
    RANGES,
    STRANGER,
    THERE,
    VIP,
    Case,
)

ADDRESS = "203.0.113.10"
NODE_RANGE = {**BALANCED, "loadBalancerSourceRanges": [" 192.168.50.0/24 "]}
CASES = (
    Case(
        "source ranges close the load balancer's address but not the node port",
        (
            (OUTSIDER, LB, masqueraded(*EITHER)),
            (STRANGER, LB, DROPPED),
            (POD, LB, DROPPED),
            (NEIGHBOUR, LB, DROPPED),
            (NODE, LB, DROPPED),
            (ADDRESS, LB, DROPPED),
            (STRANGER, NODEPORT, masqueraded(*EITHER)),
            (STRANGER, EXTERNAL_IP, masqueraded(*EITHER)),
            (STRANGER, VIP, masqueraded(*EITHER)),
            (POD, VIP, reaches(*EITHER)),
            (STRANGER, "203.0.113.10:81", UNTOUCHED),
        ),
        spec={**RANGES, **EXTERNAL},
        status=INGRESS,
    ),
    Case(
        "source ranges that hold the node let the load balancer's own address in",
        (
            (NODE, LB, masqueraded(*EITHER)),
            (ADDRESS, LB, masqueraded(*EITHER)),
            (POD, LB, DROPPED),
            (OUTSIDER, LB, DROPPED),
        ),
        spec=NODE_RANGE,
        status=INGRESS,
    ),
    Case(
        "a load balancer's address that the node itself has",
        (
            (OUTSIDER, LB, masqueraded(*EITHER)),
            (NODE, LB, masqueraded(*EITHER)),
            (ADDRESS, LB, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.10:30080", masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.10:22", UNTOUCHED),
        ),
        spec=BALANCED,
        status=INGRESS,
        addresses=(ADDRESS,),
    ),
    Case(
        "source ranges at a load balancer's address that the node itself has",
        (
            (OUTSIDER, LB, DROPPED),
            (NODE, LB, masqueraded(*EITHER)),
            (ADDRESS, LB, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.10:22", UNTOUCHED),
            (OUTSIDER, "203.0.113.10:30080", masqueraded(*EITHER)),
        ),
        spec=NODE_RANGE,
        status=INGRESS,
        addresses=(ADDRESS,),
    ),
    Case(
        "source ranges without the node close a load balancer's address that the node itself has even to the node",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (STRANGER, LB, DROPPED), (NODE, LB, DROPPED), (ADDRESS, LB, DROPPED)),
        spec=RANGES,
        status=INGRESS,
        addresses=(ADDRESS,),
    ),
    Case(
        "a source range that holds the load balancer's address lets packets from it in",
        ((ADDRESS, LB, masqueraded(*EITHER)), (STRANGER, LB, masqueraded(*EITHER)), (OUTSIDER, LB, DROPPED)),
        spec={**BALANCED, "loadBalancerSourceRanges": ["203.0.113.0/24"]},
        status=INGRESS,
    ),
    Case(
        "source ranges hold for every port and address of the load balancer",
        (
            (OUTSIDER, LB, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.11:443", masqueraded("10.244.1.5:8443", "10.244.2.6:8443")),
            (STRANGER, LB, DROPPED),
            (STRANGER, "203.0.113.11:443", DROPPED),
        ),
        spec={**RANGES, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}]},
        status={"loadBalancer": {"ingress": [{"ip": ADDRESS}, {"ip": "203.0.113.11"}]}},
        ports=({"name": "a", "port": 8080}, {"name": "b", "port": 8443}),
    ),
    Case(
        "several source ranges are open together",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (POD, LB, masqueraded(*EITHER)), (STRANGER, LB, DROPPED)),
        spec={**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24", "10.244.0.0/16"]},
        status=INGRESS,
    ),
    Case(
        "a source range of everything is no firewall",
        ((STRANGER, LB, masqueraded(*EITHER)), (POD, LB, masqueraded(*EITHER))),
        spec={**BALANCED, "loadBalancerSourceRanges": ["198.51.100.0/24", "0.0.0.0/0"]},
        status=INGRESS,
    ),
    Case(
        "source ranges of the other family alone are no firewall",
        ((STRANGER, LB, masqueraded(*EITHER)),),
        spec={**BALANCED, "loadBalancerSourceRanges": ["2001:db8:ffff::/48"]},
        status=INGRESS,
    ),
    Case(
        "source ranges of the other family beside one of this change nothing",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (STRANGER, LB, DROPPED)),
        spec={**BALANCED, "loadBalancerSourceRanges": ["2001:db8:ffff::/48", "198.51.100.0/24"]},
        status=INGRESS,
    ),
    Case(
        "source ranges with no endpoint: everybody is refused, what the node sends passes",
        ((OUTSIDER, LB, REFUSED), (STRANGER, LB, REFUSED), (POD, LB, REFUSED), (NODE, LB, UNTOUCHED)),
        spec=RANGES,
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "source ranges do nothing at an address of mode Proxy",
        ((STRANGER, LB, UNTOUCHED), (OUTSIDER, LB, UNTOUCHED), (STRANGER, NODEPORT, masqueraded(*EITHER))),
        spec=RANGES,
        status={"loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "Proxy"}]}},
    ),
    Case(
        "source ranges and policy Local: who is listed keeps its address and meets this node's endpoints",
        (
            (OUTSIDER, LB, reaches(LOCAL)),
            (STRANGER, LB, DROPPED),
            (POD, LB, DROPPED),
            (STRANGER, NODEPORT, reaches(LOCAL)),
        ),
        spec={**RANGES, "externalTrafficPolicy": "Local"},
        status=INGRESS,
    ),
    Case(
        "source ranges and policy Local with no endpoint here: silence for all but Pods that are listed",
        ((STRANGER, LB, DROPPED), (OUTSIDER, LB, DROPPED), (NODE, LB, DROPPED), (POD, LB, reaches(REMOTE))),
        spec={
            **RANGES,
            "externalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["198.51.100.0/24", "10.244.0.0/16"],
        },
        status=INGRESS,
        endpoints=(THERE,),
    ),
)
