"""kube-proxy's names in ipvs mode: chains, hooks, and the address sets with what each is for."""

from __future__ import annotations

from typing import NamedTuple

from netlab.model.ipvs import AddressSet, SetKind
from netlab.model.rules import Family, Protocol

SERVICES = "KUBE-SERVICES"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
NODE_PORT = "KUBE-NODE-PORT"
LOAD_BALANCER_CHAIN = "KUBE-LOAD-BALANCER"
FORWARD = "KUBE-FORWARD"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
SOURCE_RANGES_FIREWALL = "KUBE-SOURCE-RANGES-FIREWALL"
IPVS_FILTER = "KUBE-IPVS-FILTER"
IPVS_OUT_FILTER = "KUBE-IPVS-OUT-FILTER"

LOOP_BACK = "KUBE-LOOP-BACK"
CLUSTER_IP = "KUBE-CLUSTER-IP"
EXTERNAL_IP = "KUBE-EXTERNAL-IP"
EXTERNAL_IP_LOCAL = "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER = "KUBE-LOAD-BALANCER"
LOAD_BALANCER_LOCAL = "KUBE-LOAD-BALANCER-LOCAL"
LOAD_BALANCER_FW = "KUBE-LOAD-BALANCER-FW"
SOURCE_IP = "KUBE-LOAD-BALANCER-SOURCE-IP"
SOURCE_CIDR = "KUBE-LOAD-BALANCER-SOURCE-CIDR"
HEALTH_CHECK = "KUBE-HEALTH-CHECK-NODE-PORT"
IPVS_IPS = "KUBE-IPVS-IPS"
NODE_PORTS = {
    Protocol.TCP: "KUBE-NODE-PORT-TCP",
    Protocol.UDP: "KUBE-NODE-PORT-UDP",
    Protocol.SCTP: "KUBE-NODE-PORT-SCTP-HASH",
}
LOCAL_NODE_PORTS = {
    Protocol.TCP: "KUBE-NODE-PORT-LOCAL-TCP",
    Protocol.UDP: "KUBE-NODE-PORT-LOCAL-UDP",
    Protocol.SCTP: "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
}
PREFIX, PREFIX_6 = "KUBE-", "KUBE-6-"
NAME_LIMIT = 31
"""IPSET_MAXNAMELEN less the closing zero: two of the IPv6 names are cut."""


class SetUse(NamedTuple):
    """What a set is made of, and the comment of the rules that speak of it."""

    kind: SetKind
    comment: str


USES = {
    LOOP_BACK: SetUse(
        SetKind.ADDRESS_PORT_SOURCE, "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"
    ),
    CLUSTER_IP: SetUse(SetKind.ADDRESS_PORT, "Kubernetes service cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: SetUse(
        SetKind.ADDRESS_PORT, "Kubernetes service external ip + port for masquerade and filter purpose"
    ),
    EXTERNAL_IP_LOCAL: SetUse(
        SetKind.ADDRESS_PORT, "Kubernetes service external ip + port with externalTrafficPolicy=local"
    ),
    LOAD_BALANCER: SetUse(SetKind.ADDRESS_PORT, "Kubernetes service lb portal"),
    LOAD_BALANCER_LOCAL: SetUse(
        SetKind.ADDRESS_PORT, "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"
    ),
    LOAD_BALANCER_FW: SetUse(
        SetKind.ADDRESS_PORT, "Kubernetes service load balancer ip + port for load balancer with sourceRange"
    ),
    SOURCE_IP: SetUse(
        SetKind.ADDRESS_PORT_SOURCE,
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    SOURCE_CIDR: SetUse(
        SetKind.ADDRESS_PORT_NETWORK,
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    NODE_PORTS[Protocol.TCP]: SetUse(SetKind.PORT, "Kubernetes nodeport TCP port for masquerade purpose"),
    LOCAL_NODE_PORTS[Protocol.TCP]: SetUse(
        SetKind.PORT, "Kubernetes nodeport TCP port with externalTrafficPolicy=local"
    ),
    NODE_PORTS[Protocol.UDP]: SetUse(SetKind.PORT, "Kubernetes nodeport UDP port for masquerade purpose"),
    LOCAL_NODE_PORTS[Protocol.UDP]: SetUse(
        SetKind.PORT, "Kubernetes nodeport UDP port with externalTrafficPolicy=local"
    ),
    NODE_PORTS[Protocol.SCTP]: SetUse(
        SetKind.ADDRESS_PORT, "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"
    ),
    LOCAL_NODE_PORTS[Protocol.SCTP]: SetUse(
        SetKind.ADDRESS_PORT,
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    HEALTH_CHECK: SetUse(SetKind.PORT, "Kubernetes health check node port"),
    IPVS_IPS: SetUse(SetKind.ADDRESS, "Kubernetes service addresses"),
}
"""Every set, by its IPv4 name."""


def set_name(name: str, family: Family) -> str:
    """The set's name in that family: the sets of both share one space of names."""
    if family is Family.IPV4:
        return name
    return (PREFIX_6 + name.removeprefix(PREFIX))[:NAME_LIMIT]


def empty_sets(family: Family) -> tuple[AddressSet, ...]:
    """All sets of the family, with nothing in them."""
    return tuple(AddressSet(set_name(name, family), use.kind, family) for name, use in USES.items())
