"""What the faults are called. This is all that the command line needs to know before it works with one."""

from __future__ import annotations

from enum import StrEnum


class FaultName(StrEnum):
    """The faults in the order of the packet: what is asked for, selected, translated, forwarded, answered."""

    WRONG_DNS = "wrong-dns"
    SELECTOR_MATCHES_NOTHING = "selector-matches-nothing"
    SELECTOR_TOO_BROAD = "selector-too-broad"
    WRONG_TARGET_PORT = "wrong-target-port"
    NAMED_PORT_MISSING = "named-port-missing"
    PROTOCOL_MISMATCH = "protocol-mismatch"
    READINESS_FAILING = "readiness-failing"
    INTERNAL_POLICY_LOCAL = "internal-policy-local"
    EXTERNAL_POLICY_LOCAL = "external-policy-local"
    KUBE_PROXY_STOPPED = "kube-proxy-stopped"
    API_UNREACHABLE = "api-unreachable"
    RULES_FLUSHED = "rules-flushed"
    STALE_UDP_FLOW = "stale-udp-flow"
    MASQUERADE_MISSING = "masquerade-missing"
    NODEPORT_SHADOWED = "nodeport-shadowed"
    HAIRPIN_OFF = "hairpin-off"
    BRIDGE_NF_OFF = "bridge-nf-off"
    IP_FORWARD_OFF = "ip-forward-off"
    FORWARD_DROP = "forward-drop"
    RULES_IN_BOTH_KINDS = "rules-in-both-kinds"
    WRONG_ROUTE = "wrong-route"
    RP_FILTER_STRICT = "rp-filter-strict"
    MTU_MISMATCH = "mtu-mismatch"
    DUPLICATE_ADDRESS = "duplicate-address"
    POD_RANGE_IN_SERVICE_RANGE = "pod-range-in-service-range"


class Scope(StrEnum):
    """What a fault is put into."""

    NODE = "node"
    SERVICE = "service"
    POD = "pod"
