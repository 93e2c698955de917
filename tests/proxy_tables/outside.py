"""What leads in from outside: node ports, external addresses, load balancers and who may use them."""

from __future__ import annotations

from proxy_objects import endpoint, endpoint_slice
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, masqueraded, reaches

from proxy_tables.case import (
    BALANCED,
    EITHER,
    ENDPOINT,
    EXTERNAL_IP,
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
    VIP,
    Case,
)

ADDRESS, SECOND = "203.0.113.10", "203.0.113.11:80"
ONLY_IPV6 = {"clusterIP": "fd00:10:96::10", "ipFamilies": ["IPv6"]}
THERE_6 = endpoint_slice(endpoint("fd00:10:244:2::6", node="node2"), name="web-6", family="IPv6")
OUTSIDER_6 = "2001:db8:198::7"
NODE_PORTS = (
    Case(
        "a node port reaches every endpoint and always masquerades",
        (
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
            (POD, NODEPORT, masqueraded(*EITHER)),
            (NEIGHBOUR, NODEPORT, masqueraded(*EITHER)),
            (ENDPOINT, NODEPORT, masqueraded(*EITHER)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
            (LOOPBACK, SELF, masqueraded(*EITHER)),
        ),
        spec=NODE_PORT,
    ),
    Case(
        "a node port is on every address of the node, and on no other",
        (
            (OUTSIDER, "172.20.0.9:30080", masqueraded(*EITHER)),
            (OUTSIDER, "10.244.1.1:30080", masqueraded(*EITHER)),
            (POD, "10.244.1.1:30080", masqueraded(*EITHER)),
            (NODE, "172.20.0.9:30080", masqueraded(*EITHER)),
            (OUTSIDER, "192.168.50.12:30080", UNTOUCHED),
            (POD, "10.244.1.5:30080", UNTOUCHED),
            (POD, "10.96.0.10:30080", UNTOUCHED),
            (OUTSIDER, f"{NODE}:80", UNTOUCHED),
            (OUTSIDER, f"{NODE}:30081", UNTOUCHED),
            (OUTSIDER, f"{NODE}:30080/udp", UNTOUCHED),
        ),
        spec=NODE_PORT,
    ),
    Case(
        "a node port over UDP",
        (
            (OUTSIDER, f"{NODE}:30053/udp", masqueraded("10.244.1.5:5353", "10.244.2.6:5353")),
            (LOOPBACK, "127.0.0.1:30053/udp", masqueraded("10.244.1.5:5353", "10.244.2.6:5353")),
            (OUTSIDER, f"{NODE}:30053", UNTOUCHED),
        ),
        spec={"type": "NodePort", "ports": [{"port": 53, "nodePort": 30053, "protocol": "UDP"}]},
        ports=({"name": "", "port": 5353, "protocol": "UDP"},),
    ),
    Case(
        "the same node port in TCP, UDP and SCTP leads to three places",
        (
            (OUTSIDER, NODEPORT, masqueraded("10.244.1.5:8001", "10.244.2.6:8001")),
            (OUTSIDER, f"{NODEPORT}/udp", masqueraded("10.244.1.5:8002", "10.244.2.6:8002")),
            (OUTSIDER, f"{NODEPORT}/sctp", masqueraded("10.244.1.5:8003", "10.244.2.6:8003")),
        ),
        spec={
            "type": "NodePort",
            "ports": [
                {"name": name.lower(), "port": 53, "nodePort": 30080, "protocol": name}
                for name in ("TCP", "UDP", "SCTP")
            ],
        },
        ports=tuple(
            {"name": name.lower(), "port": 8001 + i, "protocol": name} for i, name in enumerate(("TCP", "UDP", "SCTP"))
        ),
    ),
    Case(
        "packets from elsewhere to a loopback address are dropped",
        (
            (OUTSIDER, "127.0.0.1:22", DROPPED),
            (NEIGHBOUR, "127.0.0.1:22", DROPPED),
            (LOOPBACK, "127.0.0.1:22", UNTOUCHED),
        ),
    ),
)
EXTERNALS = (
    Case(
        "an external address is caught on the node, and masquerades like a node port",
        (
            (OUTSIDER, EXTERNAL_IP, masqueraded(*EITHER)),
            (POD, EXTERNAL_IP, masqueraded(*EITHER)),
            (NODE, EXTERNAL_IP, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.21:80", masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.20:81", UNTOUCHED),
            (OUTSIDER, "203.0.113.20:80/udp", UNTOUCHED),
            (OUTSIDER, "203.0.113.22:80", UNTOUCHED),
            (POD, VIP, reaches(*EITHER)),
        ),
        spec={"externalIPs": ["203.0.113.20", "203.0.113.21"]},
    ),
    Case(
        "an external address may be the node's own",
        (
            (OUTSIDER, f"{NODE}:80", masqueraded(*EITHER)),
            (NODE, f"{NODE}:80", masqueraded(*EITHER)),
            (OUTSIDER, f"{NODE}:81", UNTOUCHED),
        ),
        spec={"externalIPs": [NODE]},
    ),
    Case(
        "an external address of the node's own is refused without endpoints",
        ((OUTSIDER, f"{NODE}:80", REFUSED), (NODE, f"{NODE}:80", REFUSED), (OUTSIDER, f"{NODE}:81", UNTOUCHED)),
        spec={"externalIPs": [NODE]},
        endpoints=(),
    ),
)
BALANCERS = (
    Case(
        "a load balancer's address is caught on the node",
        (
            (OUTSIDER, LB, masqueraded(*EITHER)),
            (POD, LB, masqueraded(*EITHER)),
            (NEIGHBOUR, LB, masqueraded(*EITHER)),
            (NODE, LB, masqueraded(*EITHER)),
            (OUTSIDER, "203.0.113.10:81", UNTOUCHED),
            (OUTSIDER, "203.0.113.10:30080", UNTOUCHED),
        ),
        spec=BALANCED,
        status=INGRESS,
    ),
    Case(
        "every address of a load balancer is caught, a name is not",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (OUTSIDER, SECOND, masqueraded(*EITHER))),
        spec=BALANCED,
        status={
            "loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "VIP"}, {"hostname": "a.b"}, {"ip": "203.0.113.11"}]}
        },
    ),
    Case(
        "a load balancer's address of mode Proxy is left alone",
        (
            (OUTSIDER, LB, UNTOUCHED),
            (POD, LB, UNTOUCHED),
            (OUTSIDER, SECOND, masqueraded(*EITHER)),
            (OUTSIDER, NODEPORT, masqueraded(*EITHER)),
        ),
        spec=BALANCED,
        status={"loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "Proxy"}, {"ip": "203.0.113.11"}]}},
    ),
    Case(
        "a load balancer without node ports",
        ((OUTSIDER, LB, masqueraded(*EITHER)), (OUTSIDER, NODEPORT, UNTOUCHED)),
        spec={"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False},
        status=INGRESS,
    ),
    Case(
        "a load balancer that has no address yet has its node port",
        ((OUTSIDER, LB, UNTOUCHED), (OUTSIDER, NODEPORT, masqueraded(*EITHER))),
        spec=BALANCED,
    ),
)
LOOPBACK_6 = (
    Case(
        "in IPv6 there are no node ports on ::1, and what comes from elsewhere to it is dropped",
        (
            ("::1", "[::1]:30080", UNTOUCHED),
            ("fd00:50::11", "[fd00:50::11]:30080", masqueraded("[fd00:10:244:2::6]:8080")),
            (OUTSIDER_6, "[::1]:30080", DROPPED),
            (OUTSIDER_6, "[::1]:22", DROPPED),
        ),
        spec={**NODE_PORT, **ONLY_IPV6},
        slices=(THERE_6,),
        translate=False,
    ),
    Case(
        "in IPv6 a node port without endpoints is refused on ::1 as well",
        (("::1", "[::1]:30080", REFUSED), ("::1", "[::1]:30081", UNTOUCHED)),
        spec={**NODE_PORT, **ONLY_IPV6},
        translate=False,
    ),
    Case(
        "in IPv6 a node port under policy Local without an endpoint here is silent on ::1 as well",
        (
            ("::1", "[::1]:30080", DROPPED),
            ("fd00:50::11", "[fd00:50::11]:30080", masqueraded("[fd00:10:244:2::6]:8080")),
        ),
        spec={**NODE_PORT, **ONLY_IPV6, "externalTrafficPolicy": "Local"},
        slices=(THERE_6,),
        translate=False,
    ),
)
CASES = NODE_PORTS + LOOPBACK_6 + EXTERNALS + BALANCERS
