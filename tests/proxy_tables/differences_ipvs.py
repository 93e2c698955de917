"""Where mode ipvs treats packets of the packet tables otherwise than mode iptables does, and why.

Each was seen in a kernel, and follows from how kube-proxy 1.36 uses IPVS. Written in IPv4, true in IPv6 too.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy_objects import LOCAL, REMOTE
from proxy_tracer import DROPPED, REFUSED, UNTOUCHED, Outcome, masqueraded, reaches

from proxy_tables.case import (
    ENDPOINT,
    EXTERNAL_IP,
    LB,
    NEIGHBOUR,
    NODE,
    NODEPORT,
    OUTSIDER,
    POD,
    STRANGER,
    VIP,
)

BOTH_HERE = (LOCAL, "10.244.1.6:8080")
Packets = tuple[tuple[str, str, Outcome], ...]

OTHER_PORTS: Mapping[str, Packets] = {
    "a port or protocol that the ClusterIP does not have, and an address that no Service has, pass untranslated": (
        (POD, "10.96.0.10:81", REFUSED),
        (POD, "10.96.0.10:80/udp", REFUSED),
        (OUTSIDER, "10.96.0.10:81", REFUSED),
    ),
    "no endpoint anywhere: UDP is refused too, and another port of the address passes": (
        (POD, "10.96.0.10:53", REFUSED),
    ),
    "UDP is translated as TCP is": ((POD, "10.96.0.10:53", REFUSED),),
    "SCTP without an endpoint is refused": ((POD, "10.96.0.10:53/udp", REFUSED),),
    "a node port is on every address of the node, and on no other": ((POD, "10.96.0.10:30080", REFUSED),),
    "an external address is caught on the node, and masquerades like a node port": (
        (OUTSIDER, "203.0.113.20:81", REFUSED),
        (OUTSIDER, "203.0.113.20:80/udp", REFUSED),
    ),
    "a load balancer's address is caught on the node": (
        (OUTSIDER, "203.0.113.10:81", REFUSED),
        (OUTSIDER, "203.0.113.10:30080", REFUSED),
    ),
    "source ranges close the load balancer's address but not the node port": ((STRANGER, "203.0.113.10:81", REFUSED),),
    "policy DROP of FORWARD: what is masqueraded is accepted with its answers, the rest is not": (
        (POD, "10.96.0.10:81", REFUSED),
    ),
    "two Services at one external address are told apart by their ports": ((OUTSIDER, "203.0.113.20:82", REFUSED),),
    "another port": ((POD, "10.96.0.12:80", REFUSED),),
    "another protocol": ((POD, "10.96.0.12:81", REFUSED),),
}
"""The node has a Service's addresses itself, on kube-ipvs0; KUBE-IPVS-FILTER refuses all ports but the Service's."""

LOOP_BACK: Mapping[str, Packets] = {
    "an endpoint among several is masqueraded only where it reaches itself": (
        ("10.244.2.6", VIP, reaches(LOCAL, REMOTE)),
    ),
    "a remote endpoint that reaches itself through this node is masqueraded": (("10.244.2.6", VIP, reaches(REMOTE)),),
}
"""KUBE-LOOP-BACK has this node's endpoints only."""

OWN_ADDRESS: Mapping[str, Packets] = {
    "no endpoint anywhere: the node is refused at its own addresses, what it sends to others' passes": (
        (NODE, LB, REFUSED),
        (NODE, EXTERNAL_IP, REFUSED),
    ),
    "source ranges with no endpoint: everybody is refused, what the node sends passes": ((NODE, LB, REFUSED),),
}
"""What the node sends to a Service's address does not leave it: it has the address, and no real server."""

FALLS_BACK: Mapping[str, Packets] = {
    "internalTrafficPolicy Local without an endpoint here drops": (
        (POD, VIP, reaches(REMOTE)),
        (NODE, VIP, masqueraded(REMOTE)),
        (NEIGHBOUR, VIP, reaches(REMOTE)),
        (OUTSIDER, VIP, masqueraded(REMOTE)),
    ),
    "internalTrafficPolicy Local does not bind external traffic": ((POD, VIP, reaches(REMOTE)),),
    "an endpoint without nodeName is on no node": ((POD, VIP, reaches(LOCAL)),),
    "internalTrafficPolicy Local with only an unready endpoint here drops while another node has a ready one": (
        (POD, VIP, reaches(REMOTE)),
    ),
    "externalTrafficPolicy Local without an endpoint here: silence for outsiders, Pods and the node reach all": (
        (OUTSIDER, NODEPORT, reaches(REMOTE)),
    ),
    "externalTrafficPolicy Local without an endpoint here: the same at every external address": (
        (OUTSIDER, LB, reaches(REMOTE)),
        (OUTSIDER, EXTERNAL_IP, reaches(REMOTE)),
    ),
    "externalTrafficPolicy Local over UDP without an endpoint here is silence": (
        (OUTSIDER, "192.168.50.11:30053/udp", reaches("10.244.2.6:5353")),
    ),
    "both policies Local and no endpoint here: Pods still reach all by the node port": (
        (POD, VIP, reaches(REMOTE)),
        (OUTSIDER, NODEPORT, reaches(REMOTE)),
    ),
    "a remote endpoint that is about to end keeps the policies Local silent, not refused": (
        (POD, VIP, reaches(REMOTE)),
        (OUTSIDER, NODEPORT, reaches(REMOTE)),
    ),
    "source ranges and policy Local with no endpoint here: silence for all but Pods that are listed": (
        (OUTSIDER, LB, reaches(REMOTE)),
        (NODE, LB, reaches(REMOTE)),
    ),
    "the headless label on one of two slices leaves the other": ((OUTSIDER, NODEPORT, reaches(REMOTE)),),
    "each port chooses by itself: one has endpoints here, one elsewhere, one nowhere": (
        (OUTSIDER, "192.168.50.11:30443", reaches("10.244.2.6:8443")),
    ),
    "Pods told by their bridge, policies Local inside and outside, no endpoint here": (
        (POD, VIP, reaches(REMOTE)),
        (NEIGHBOUR, NODEPORT, reaches(REMOTE)),
        (OUTSIDER, LB, reaches(REMOTE)),
    ),
    "nobody told apart, policy Local outside and no endpoint here: only the node gets through": (
        (POD, NODEPORT, reaches(REMOTE)),
        (OUTSIDER, NODEPORT, reaches(REMOTE)),
    ),
    "node ports on one address only, policy Local and no endpoint here: silence there, and on all other addresses": (
        (OUTSIDER, "172.20.0.9:30080", reaches(REMOTE)),
    ),
    "both Local, none here": ((POD, VIP, reaches(REMOTE)), (OUTSIDER, NODEPORT, reaches(REMOTE))),
    "internal Local, none here": ((POD, VIP, reaches(REMOTE)),),
}
"""A policy Local without an endpoint here takes all. An outsider is answered by a Pod that it did not ask: silence."""

ONE_LIST: Mapping[str, Packets] = {
    "externalTrafficPolicy Local keeps outsiders' addresses and binds them to this node": (
        (POD, NODEPORT, reaches(LOCAL)),
        (NEIGHBOUR, NODEPORT, reaches(LOCAL)),
        (ENDPOINT, NODEPORT, masqueraded(LOCAL)),
    ),
    "externalTrafficPolicy Local over UDP": ((POD, "192.168.50.11:30053/udp", reaches("10.244.1.5:5353")),),
    "an external address of a plain ClusterIP Service honours externalTrafficPolicy Local": (
        (POD, EXTERNAL_IP, reaches(LOCAL)),
    ),
    "a load balancer's address with policy Local keeps outsiders' addresses": (
        (POD, LB, reaches(LOCAL)),
        (NEIGHBOUR, LB, reaches(LOCAL)),
    ),
    "both policies Local and an endpoint here: only Pods and the node at external addresses reach others": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "in IPv6 a node port under policy Local without an endpoint here is silent on ::1 as well": (
        ("fd00:50::11", "[fd00:50::11]:30080", reaches("[fd00:10:244:2::6]:8080")),
    ),
    "a local endpoint that ends serves the policies Local though a remote one is ready": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "hints do not concern the policies Local": ((POD, NODEPORT, reaches(LOCAL)),),
    "--masquerade-all leaves the addresses of outsiders, and of Pods, at external addresses under policy Local": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "--detect-local-mode NodeCIDR knows this node's Pods only": ((POD, NODEPORT, reaches(LOCAL)),),
    "--detect-local-mode BridgeInterface knows what comes in by this node's Pods' interfaces": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "--detect-local-mode InterfaceNamePrefix knows what comes in by this node's Pods' interfaces": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "all endpoints end, some serve no more: policy Local takes what serves here, all others what serves anywhere": (
        (POD, LB, reaches("10.244.1.6:8080")),
    ),
    "node hints under policy Local outside: outsiders stay here, Pods follow the hints": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "--masquerade-all, source ranges and policy Local: the ClusterIP masquerades, the rest keeps addresses": (
        (POD, LB, reaches(LOCAL)),
    ),
    "affinity, policy Local outside, an endpoint here that ends and hints elsewhere": (
        (POD, NODEPORT, reaches(LOCAL)),
    ),
    "affinity and policy Local: an outsider stays on this node, a Pod with the endpoint that it had": (
        (POD, NODEPORT, reaches(*BOTH_HERE)),
    ),
    "affinity behind source ranges under policy Local": ((POD, LB, reaches(*BOTH_HERE)),),
}
"""A virtual server has one list of real servers, for Pods and the node as well: with policy Local this node's."""

KEPT: Mapping[str, Packets] = {
    "externalTrafficPolicy Local keeps outsiders' addresses and binds them to this node": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "externalTrafficPolicy Local without an endpoint here: silence for outsiders, Pods and the node reach all": (
        (NODE, NODEPORT, reaches(REMOTE)),
    ),
    "externalTrafficPolicy Local without an endpoint here: the same at every external address": (
        (NODE, LB, reaches(REMOTE)),
        (NODE, EXTERNAL_IP, reaches(REMOTE)),
    ),
    "an external address of a plain ClusterIP Service honours externalTrafficPolicy Local": (
        (NODE, EXTERNAL_IP, reaches(LOCAL)),
    ),
    "a load balancer's address with policy Local keeps outsiders' addresses": ((NODE, LB, reaches(LOCAL)),),
    "both policies Local and no endpoint here: Pods still reach all by the node port": (
        (NODE, NODEPORT, reaches(REMOTE)),
    ),
    "both policies Local and an endpoint here: only Pods and the node at external addresses reach others": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "with every endpoint here the policies Local make no difference but for addresses": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "a local endpoint that ends serves the policies Local though a remote one is ready": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "without a way to tell Pods nobody is masqueraded at the ClusterIP and Pods have no short cut": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "--detect-local-mode BridgeInterface knows what comes in by this node's Pods' interfaces": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "--detect-local-mode InterfaceNamePrefix knows what comes in by this node's Pods' interfaces": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "policy DROP of FORWARD: an outsider under policy Local is not accepted, a Pod that reaches itself is": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "all endpoints end, some serve no more: policy Local takes what serves here, all others what serves anywhere": (
        (NODE, LB, reaches("10.244.1.6:8080")),
    ),
    "Pods told by their bridge, policies Local inside and outside, no endpoint here": (
        (NODE, NODEPORT, reaches(REMOTE)),
    ),
    "nobody told apart, policy Local outside and no endpoint here: only the node gets through": (
        (NODE, NODEPORT, reaches(REMOTE)),
    ),
    "affinity, policy Local outside, an endpoint here that ends and hints elsewhere": (
        (NODE, NODEPORT, reaches(LOCAL)),
    ),
    "affinity and policy Local: an outsider stays on this node, a Pod with the endpoint that it had": (
        (NODE, NODEPORT, reaches(*BOTH_HERE)),
    ),
}
"""At external addresses nobody is masqueraded under policy Local, not even the node."""

NODE_PASSES: Mapping[str, Packets] = {
    "source ranges close the load balancer's address but not the node port": ((NODE, LB, masqueraded(LOCAL, REMOTE)),),
    "source ranges without the node close a load balancer's address that the node itself has even to the node": (
        (NODE, LB, masqueraded(LOCAL, REMOTE)),
    ),
    "policy DROP of FORWARD, source ranges and a load balancer's address that the node has": (
        (NODE, LB, masqueraded(LOCAL, REMOTE)),
    ),
}
"""The node's own packets meet KUBE-IPVS-OUT-FILTER, which drops those from the load balancer's address only."""

OWN_SOURCE: Mapping[str, Packets] = {
    "source ranges that hold the node let the load balancer's own address in": (("203.0.113.10", LB, DROPPED),),
    "a source range that holds the load balancer's address lets packets from it in": (("203.0.113.10", LB, DROPPED),),
}
"""The node has the load balancer's address: the kernel takes no packet from outside that claims to come from it."""

FIREWALL_FIRST: Mapping[str, Packets] = {
    "source ranges with no endpoint: everybody is refused, what the node sends passes": (
        (STRANGER, LB, DROPPED),
        (POD, LB, DROPPED),
    ),
    "without endpoints": ((STRANGER, "203.0.113.11:80", DROPPED),),
}
"""KUBE-PROXY-FIREWALL in filter INPUT comes before IPVS, which would refuse."""

HEALTH: Mapping[str, Packets] = {
    "policy DROP of INPUT leaves health checks and node ports open, with an endpoint here": (
        (OUTSIDER, "192.168.50.11:31000/udp", UNTOUCHED),
    ),
    "policy DROP of INPUT leaves health checks and node ports open, with an endpoint elsewhere": (
        (OUTSIDER, "192.168.50.11:31000/udp", UNTOUCHED),
    ),
    "policy DROP of INPUT leaves health checks and node ports open, with none": (
        (OUTSIDER, "192.168.50.11:31000/udp", UNTOUCHED),
    ),
}
"""The set of health check ports holds ports, not protocols."""

HOOKS: Mapping[str, Packets] = {
    "policy DROP of INPUT leaves health checks and node ports open, with an endpoint here": (
        (OUTSIDER, NODEPORT, DROPPED),
    ),
    "policy DROP of INPUT leaves health checks and node ports open, with none": ((OUTSIDER, NODEPORT, DROPPED),),
    "policy DROP of FORWARD: what is masqueraded is accepted with its answers, the rest is not": (
        (POD, VIP, reaches(LOCAL, REMOTE)),
    ),
    "policy DROP of FORWARD: an outsider under policy Local is not accepted, a Pod that reaches itself is": (
        (OUTSIDER, NODEPORT, reaches(LOCAL)),
    ),
    "policy DROP of FORWARD, source ranges and a load balancer's address that the node has": (
        (POD, VIP, reaches(LOCAL, REMOTE)),
    ),
}
"""A packet to a Service goes through INPUT and OUTPUT, not through FORWARD."""

LISTENERS: Mapping[str, Packets] = {
    "--nodeport-addresses without an endpoint: every local address refuses": ((OUTSIDER, NODEPORT, UNTOUCHED),),
    "node ports on one address only, policy Local and no endpoint here: silence there, and on all other addresses": (
        (OUTSIDER, NODEPORT, UNTOUCHED),
        (POD, NODEPORT, UNTOUCHED),
    ),
}
"""Where --nodeport-addresses has no node port, there is no rule either: the node itself gets the packet."""

UNANSWERED = "2001:db8:203::10"
"""The load balancer's address as a source, in IPv6: the kernel lets it in, and the answer goes to the node itself."""
TABLES = (
    OTHER_PORTS,
    LOOP_BACK,
    OWN_ADDRESS,
    FALLS_BACK,
    ONE_LIST,
    KEPT,
    NODE_PASSES,
    OWN_SOURCE,
    FIREWALL_FIRST,
    HEALTH,
    HOOKS,
    LISTENERS,
)
