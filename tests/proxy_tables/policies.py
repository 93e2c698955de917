"""Traffic policies, internal and external: all endpoints, or those of this node only."""

from __future__ import annotations

from proxy_objects import GONE, LEAVING, LOCAL, REMOTE, UNREADY
from proxy_tracer import DROPPED, REFUSED, masqueraded, reaches

from proxy_tables.case import (
    BALANCED,
    EITHER,
    ENDPOINT,
    ETP_LOCAL,
    EXTERNAL,
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
    SELF,
    THERE,
    VIP,
    Case,
    away,
)

EVERYWHERE_LOCAL: dict[str, object] = {**BALANCED, **EXTERNAL, "externalTrafficPolicy": "Local"}
DNS: dict[str, object] = {"ports": [{"port": 53, "nodePort": 30053, "protocol": "UDP"}]}
DNS_PORTS = ({"name": "", "port": 5353, "protocol": "UDP"},)
INTERNAL = (
    Case(
        "internalTrafficPolicy Local uses this node's endpoints only",
        (
            (POD, VIP, reaches(LOCAL)),
            (NEIGHBOUR, VIP, reaches(LOCAL)),
            (ENDPOINT, VIP, masqueraded(LOCAL)),
            (NODE, VIP, masqueraded(LOCAL)),
            (OUTSIDER, VIP, masqueraded(LOCAL)),
        ),
        spec=ITP_LOCAL,
    ),
    Case(
        "internalTrafficPolicy Local without an endpoint here drops",
        ((POD, VIP, DROPPED), (NODE, VIP, DROPPED), (NEIGHBOUR, VIP, DROPPED), (OUTSIDER, VIP, DROPPED)),
        spec=ITP_LOCAL,
        endpoints=(THERE,),
    ),
    Case(
        "internalTrafficPolicy Local over UDP",
        (
            (POD, "10.96.0.10:53/udp", reaches("10.244.1.5:5353")),
            (NODE, "10.96.0.10:53/udp", masqueraded("10.244.1.5:5353")),
        ),
        spec={"type": "NodePort", **DNS, **ITP_LOCAL},
        ports=DNS_PORTS,
    ),
    Case(
        "internalTrafficPolicy Local does not bind external traffic",
        (
            (POD, VIP, DROPPED),
            (OUTSIDER, NODEPORT, masqueraded(REMOTE)),
            (POD, NODEPORT, masqueraded(REMOTE)),
            (LOOPBACK, SELF, masqueraded(REMOTE)),
        ),
        spec={**NODE_PORT, **ITP_LOCAL},
        endpoints=(THERE,),
    ),
    Case(
        "an endpoint without nodeName is on no node",
        ((POD, VIP, DROPPED),),
        spec=ITP_LOCAL,
        endpoints=(away("10.244.1.5", node=None),),
    ),
    Case(
        "internalTrafficPolicy Local with only an unready endpoint here drops while another node has a ready one",
        ((POD, VIP, DROPPED),),
        spec=ITP_LOCAL,
        endpoints=(away("10.244.1.5", **UNREADY), THERE),
    ),
)
EXTERNALS = (
    Case(
        "externalTrafficPolicy Local keeps outsiders' addresses and binds them to this node",
        (
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (OUTSIDER, "172.20.0.9:30080", reaches(LOCAL)),
            (POD, NODEPORT, reaches(*EITHER)),
            (NEIGHBOUR, NODEPORT, reaches(*EITHER)),
            (ENDPOINT, NODEPORT, masqueraded(LOCAL) | reaches(REMOTE)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
            (LOOPBACK, SELF, masqueraded(*EITHER)),
            (POD, VIP, reaches(*EITHER)),
            (OUTSIDER, VIP, masqueraded(*EITHER)),
        ),
        spec=ETP_LOCAL,
    ),
    Case(
        "externalTrafficPolicy Local without an endpoint here: silence for outsiders, Pods and the node reach all",
        (
            (OUTSIDER, NODEPORT, DROPPED),
            (POD, NODEPORT, reaches(REMOTE)),
            (NODE, NODEPORT, masqueraded(REMOTE)),
            (LOOPBACK, SELF, masqueraded(REMOTE)),
            (OUTSIDER, VIP, masqueraded(REMOTE)),
        ),
        spec=ETP_LOCAL,
        endpoints=(THERE,),
    ),
    Case(
        "externalTrafficPolicy Local without an endpoint here: the same at every external address",
        (
            (OUTSIDER, LB, DROPPED),
            (OUTSIDER, EXTERNAL_IP, DROPPED),
            (POD, LB, reaches(REMOTE)),
            (POD, EXTERNAL_IP, reaches(REMOTE)),
            (NODE, LB, masqueraded(REMOTE)),
            (NODE, EXTERNAL_IP, masqueraded(REMOTE)),
        ),
        spec=EVERYWHERE_LOCAL,
        status=INGRESS,
        endpoints=(THERE,),
    ),
    Case(
        "externalTrafficPolicy Local over UDP",
        (
            (OUTSIDER, f"{NODE}:30053/udp", reaches("10.244.1.5:5353")),
            (POD, f"{NODE}:30053/udp", reaches("10.244.1.5:5353", "10.244.2.6:5353")),
        ),
        spec={"type": "NodePort", **DNS, "externalTrafficPolicy": "Local"},
        ports=DNS_PORTS,
    ),
    Case(
        "externalTrafficPolicy Local over UDP without an endpoint here is silence",
        ((OUTSIDER, f"{NODE}:30053/udp", DROPPED), (POD, f"{NODE}:30053/udp", reaches("10.244.2.6:5353"))),
        spec={"type": "NodePort", **DNS, "externalTrafficPolicy": "Local"},
        ports=DNS_PORTS,
        endpoints=(THERE,),
    ),
    Case(
        "externalTrafficPolicy Local where nothing is external binds nobody",
        ((POD, VIP, reaches(*EITHER)), (OUTSIDER, VIP, masqueraded(*EITHER))),
        spec={"externalTrafficPolicy": "Local"},
    ),
    Case(
        "an external address of a plain ClusterIP Service honours externalTrafficPolicy Local",
        (
            (OUTSIDER, EXTERNAL_IP, reaches(LOCAL)),
            (POD, EXTERNAL_IP, reaches(*EITHER)),
            (NODE, EXTERNAL_IP, masqueraded(*EITHER)),
        ),
        spec={**EXTERNAL, "externalTrafficPolicy": "Local"},
    ),
    Case(
        "a load balancer's address with policy Local keeps outsiders' addresses",
        (
            (OUTSIDER, LB, reaches(LOCAL)),
            (POD, LB, reaches(*EITHER)),
            (NEIGHBOUR, LB, reaches(*EITHER)),
            (NODE, LB, masqueraded(*EITHER)),
        ),
        spec={**BALANCED, "externalTrafficPolicy": "Local"},
        status=INGRESS,
    ),
)
BOTH_LOCAL = (
    Case(
        "with the policies Local and no endpoint anywhere it is refused, not dropped",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED), (OUTSIDER, LB, REFUSED), (OUTSIDER, EXTERNAL_IP, REFUSED)),
        spec={**EVERYWHERE_LOCAL, **ITP_LOCAL},
        status=INGRESS,
        endpoints=(),
    ),
    Case(
        "with the policies Local and endpoints that serve nobody it is refused",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", **UNREADY), away("10.244.2.6", **GONE)),
    ),
    Case(
        "both policies Local and no endpoint here: Pods still reach all by the node port",
        (
            (POD, VIP, DROPPED),
            (OUTSIDER, NODEPORT, DROPPED),
            (POD, NODEPORT, reaches(REMOTE)),
            (NODE, NODEPORT, masqueraded(REMOTE)),
        ),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(THERE,),
    ),
    Case(
        "both policies Local and an endpoint here: only Pods and the node at external addresses reach others",
        (
            (POD, VIP, reaches(LOCAL)),
            (OUTSIDER, VIP, masqueraded(LOCAL)),
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (POD, NODEPORT, reaches(*EITHER)),
            (NODE, NODEPORT, masqueraded(*EITHER)),
        ),
        spec={**ETP_LOCAL, **ITP_LOCAL},
    ),
    Case(
        "a remote endpoint that is about to end keeps the policies Local silent, not refused",
        ((POD, VIP, DROPPED), (OUTSIDER, NODEPORT, DROPPED), (POD, NODEPORT, reaches(REMOTE))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", **GONE), away("10.244.2.6", **LEAVING)),
    ),
    Case(
        "with every endpoint here the policies Local make no difference but for addresses",
        ((POD, VIP, reaches(LOCAL)), (OUTSIDER, NODEPORT, reaches(LOCAL)), (NODE, NODEPORT, masqueraded(LOCAL))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(HERE,),
    ),
)
CASES = INTERNAL + EXTERNALS + BOTH_LOCAL
