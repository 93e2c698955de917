"""What `netlab why` reports: the JSON shape `Diagnosis` of netlab/v1."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from netlab.model.journey import Journey, PacketVerdict, Report


class CauseName(StrEnum):
    """Why flows do not fare as they should. The names are stable: a fault of `netlab break` has that of its cause."""

    # in the objects
    SELECTOR_MATCHES_NOTHING = "selector-matches-nothing"
    SELECTOR_TOO_BROAD = "selector-too-broad"
    SELECTOR_MISSING = "selector-missing"
    NAMED_PORT_MISSING = "named-port-missing"
    READINESS_FAILING = "readiness-failing"
    PODS_WITHOUT_ADDRESS = "pods-without-address"
    WRONG_TARGET_PORT = "wrong-target-port"
    PROTOCOL_MISMATCH = "protocol-mismatch"
    PORT_NOT_SERVED = "port-not-served"
    EXTERNAL_POLICY_LOCAL = "external-policy-local"
    INTERNAL_POLICY_LOCAL = "internal-policy-local"
    SOURCE_RANGE = "source-range"
    POD_RANGE_IN_SERVICE_RANGE = "pod-range-in-service-range"
    CLUSTER_ADDRESS_OUTSIDE = "cluster-address-outside"
    NOBODY_HAS_ADDRESS = "nobody-has-address"
    NOTHING_LISTENS = "nothing-listens"
    WRONG_DNS = "wrong-dns"
    # at kube-proxy
    KUBE_PROXY_STOPPED = "kube-proxy-stopped"
    API_UNREACHABLE = "api-unreachable"
    RULES_FLUSHED = "rules-flushed"
    RULES_IN_BOTH_KINDS = "rules-in-both-kinds"
    MASQUERADE_MISSING = "masquerade-missing"
    STALE_UDP_FLOW = "stale-udp-flow"
    # by others' rules
    FORWARD_DROP = "forward-drop"
    NODEPORT_SHADOWED = "nodeport-shadowed"
    FOREIGN_RULE = "foreign-rule"
    # on the way
    IP_FORWARD_OFF = "ip-forward-off"
    RP_FILTER_STRICT = "rp-filter-strict"
    BRIDGE_NF_OFF = "bridge-nf-off"
    ROUTE_LOCALNET_OFF = "route-localnet-off"
    HAIRPIN_OFF = "hairpin-off"
    MTU_MISMATCH = "mtu-mismatch"
    WRONG_ROUTE = "wrong-route"
    DUPLICATE_ADDRESS = "duplicate-address"
    ADDRESS_MISSING = "address-missing"
    LINK_DOWN = "link-down"
    WRONG_NEIGHBOUR = "wrong-neighbour"
    SETTING_CHANGED = "setting-changed"
    UNKNOWN = "unknown"


class CheckRow(BaseModel):
    """One thing that was looked at. `ok` is None where it could not be told, or says nothing by itself."""

    model_config = ConfigDict(frozen=True)

    check: str
    ok: bool | None
    found: str


class Diagnosis(Report):
    """Why flows from one place to a target fare as they do.

    `verdict` is how they fare, that of a lost one where some are. Where something is wrong, `cause` names it,
    `explanation` says it in a sentence, and `remedy` is what to type or to edit. `journey` is that of a flow that did
    not fare as foretold, where one was traced.
    """

    kind: Literal["Diagnosis"] = "Diagnosis"
    from_: str = Field(alias="from")
    to: str
    verdict: PacketVerdict
    cause: CauseName | None = None
    explanation: str | None = None
    remedy: str | None = None
    evidence: tuple[CheckRow, ...] = ()
    journey: Journey | None = None
