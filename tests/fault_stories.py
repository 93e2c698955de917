"""What each fault of the catalogue leaves to be seen in `fault_lab`, by proxy mode: how packets fare, by way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fault_sights import (
    asking_by_udp,
    filter_rules,
    following,
    following_while_it_runs,
    ready_pods,
    resolving,
    sending_much,
)
from netlab_command import Lab

from netlab.faults.names import FaultName

N1_TO_LONE, SHELL_TO_LONE = "node/n1 -> service/lone:80", "pod/shell -> service/lone:80"
N1_TO_ONE, SHELL_TO_ONE = "node/n1 -> service/one:80", "pod/shell -> service/one:80"
N2_TO_ONE, LONE_TO_ONE, ITSELF = (
    "node/n2 -> service/one:80",
    "pod/lone -> service/one:80",
    "pod/web-1 -> service/one:80",
)
SHELL_TO_WEB = "pod/shell -> service/web:80"
SHELL_TO_NEAR_POD, SHELL_TO_FAR_POD = "pod/shell -> pod/web-1:8080", "pod/shell -> pod/lone:8080"
LONE_TO_POD = "pod/lone -> pod/web-1:8080"
CLIENT_TO_N1, CLIENT_TO_N2 = "external/client -> node/n1:30080", "external/client -> node/n2:30080"
N1_TO_MANY = "node/n1 -> service/many:80"
TO_LONE_INSIDE = (SHELL_TO_LONE, N1_TO_LONE)
TO_LONE = (*TO_LONE_INSIDE, CLIENT_TO_N1, CLIENT_TO_N2)
TO_ONE = (SHELL_TO_ONE, ITSELF, LONE_TO_ONE, N1_TO_ONE, N2_TO_ONE)
FORWARDED_BY_N1 = (
    *(SHELL_TO_WEB, SHELL_TO_ONE, SHELL_TO_LONE, SHELL_TO_FAR_POD, ITSELF),
    *(LONE_TO_ONE, LONE_TO_POD, N2_TO_ONE, CLIENT_TO_N1),
)
ANSWERED_BY_N1 = (LONE_TO_ONE, LONE_TO_POD, N2_TO_ONE)


@dataclass(frozen=True)
class Sight:
    """Something else to look at, what is seen while all is well, and with the fault."""

    look: Callable[[Lab], str]
    well: str
    ill: str | Mapping[str, str]
    """Or, where modes differ, by the mode."""


@dataclass(frozen=True)
class Story:
    """Whom a fault is put into, and how packets fare then, by way.

    `asked` is the way that `netlab why` is asked about, by default the first that fares otherwise.
    """

    victim: tuple[str, ...]
    ways: Mapping[str, str] = field(default_factory=dict)
    sight: Sight | None = None
    asked: str = ""

    @property
    def question(self) -> str:
        return self.asked or next(iter(self.ways))


def all_are(ways: tuple[str, ...], how: str) -> dict[str, str]:
    return dict.fromkeys(ways, how)


UNKNOWN_SERVICE = {"iptables": "unreachable", "nftables": "dropped", "ipvs": "unreachable"}
"""How packets to an address of the Service range fare that a node has no rule for."""
MTU_SIGHTS = (
    "little answered, a segment answered, more answered",
    "little answered, a segment silence, more silence",
)
STORIES = {
    FaultName.WRONG_DNS: Story(
        ("--on", "pod/shell"), sight=Sight(resolving, "resolved", "no such name"), asked=SHELL_TO_LONE
    ),
    FaultName.SELECTOR_MATCHES_NOTHING: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.SELECTOR_TOO_BROAD: Story(("--service", "lone"), all_are(TO_LONE, "reached lone, refused shell")),
    FaultName.WRONG_TARGET_PORT: Story(("--service", "service/lone"), all_are(TO_LONE, "refused lone")),
    FaultName.NAMED_PORT_MISSING: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.PROTOCOL_MISMATCH: Story(
        ("--service", "lone"),
        all_are(TO_LONE, "refused") | all_are(TO_LONE_INSIDE, "unreachable"),
    ),
    FaultName.READINESS_FAILING: Story(
        ("--service", "one"),
        all_are(TO_ONE, "refused") | {SHELL_TO_WEB: "reached web-2"},
        sight=Sight(ready_pods, "1/1", "0/1"),
    ),
    FaultName.INTERNAL_POLICY_LOCAL: Story(("--service", "lone"), all_are(TO_LONE_INSIDE, "dropped")),
    FaultName.EXTERNAL_POLICY_LOCAL: Story((), {CLIENT_TO_N1: "dropped"}),
    FaultName.KUBE_PROXY_STOPPED: Story(
        ("--on", "n1"),
        sight=Sight(
            following, "all Pods, reached", {mode: f"some Pods, {how}" for mode, how in UNKNOWN_SERVICE.items()}
        ),
        asked=N1_TO_MANY,
    ),
    FaultName.API_UNREACHABLE: Story(
        ("--on", "n1"),
        sight=Sight(
            following_while_it_runs,
            "all Pods, reached, running and in sync",
            {mode: f"some Pods, {how}, running and behind" for mode, how in UNKNOWN_SERVICE.items()},
        ),
        asked=N1_TO_MANY,
    ),
    FaultName.RULES_FLUSHED: Story(
        ("--on", "n1"),
        all_are((SHELL_TO_WEB, SHELL_TO_ONE, SHELL_TO_LONE, ITSELF, N1_TO_ONE, N1_TO_LONE), "unreachable")
        | {CLIENT_TO_N1: "refused"},
    ),
    FaultName.STALE_UDP_FLOW: Story(
        ("--service", "echo"),
        sight=Sight(asking_by_udp, "40053 answered, 40054 answered", "40053 silence, 40054 answered"),
        asked="pod/shell -> service/echo:9000/udp",
    ),
    FaultName.MASQUERADE_MISSING: Story(
        ("--on", "n1"),
        {CLIENT_TO_N1: "dropped lone", ITSELF: "dropped web-1"},
    ),
    FaultName.NODEPORT_SHADOWED: Story(("--on", "n1"), {CLIENT_TO_N1: "dropped"}),
    FaultName.HAIRPIN_OFF: Story(("--on", "n1"), {ITSELF: "dropped"}),
    FaultName.BRIDGE_NF_OFF: Story(
        ("--on", "n1"), {SHELL_TO_WEB: "reached web-2, dropped web-1", SHELL_TO_ONE: "dropped web-1"}
    ),
    FaultName.IP_FORWARD_OFF: Story(("--on", "n1"), all_are(FORWARDED_BY_N1, "dropped")),
    FaultName.FORWARD_DROP: Story(
        ("--on", "n1"),
        all_are((*(w for w in FORWARDED_BY_N1 if w not in (ITSELF, CLIENT_TO_N1)), SHELL_TO_NEAR_POD), "dropped"),
    ),
    FaultName.RULES_IN_BOTH_KINDS: Story(
        ("--on", "n1"),
        all_are((*FORWARDED_BY_N1, SHELL_TO_NEAR_POD), "dropped"),
        sight=Sight(filter_rules, "none", "iptables-nft"),
    ),
    FaultName.WRONG_ROUTE: Story(
        ("--on", "n1"),
        {SHELL_TO_WEB: "reached web-1, dropped"}
        | all_are((SHELL_TO_LONE, SHELL_TO_FAR_POD), "dropped")
        | all_are(ANSWERED_BY_N1, "dropped web-1")
        | all_are((N1_TO_LONE, CLIENT_TO_N1), "unreachable"),
    ),
    FaultName.RP_FILTER_STRICT: Story(
        ("--on", "n2"),
        {SHELL_TO_WEB: "reached web-1, dropped"}
        | all_are((SHELL_TO_LONE, SHELL_TO_FAR_POD, N1_TO_LONE, CLIENT_TO_N1), "dropped")
        | all_are(ANSWERED_BY_N1, "dropped web-1"),
    ),
    FaultName.MTU_MISMATCH: Story(("--on", "n2"), sight=Sight(sending_much, *MTU_SIGHTS), asked=SHELL_TO_FAR_POD),
    FaultName.DUPLICATE_ADDRESS: Story(
        ("--on", "pod/web-1"),
        all_are(TO_ONE, "refused")
        | {ITSELF: "dropped", SHELL_TO_WEB: "reached web-2"}
        | all_are((SHELL_TO_NEAR_POD, LONE_TO_POD), "refused web-1"),
        sight=Sight(ready_pods, "1/1", "0/1"),
    ),
    FaultName.POD_RANGE_IN_SERVICE_RANGE: Story(
        ("--on", "pod/lone"),
        {SHELL_TO_FAR_POD: "reached web-1", SHELL_TO_LONE: "dropped web-1"}
        | all_are((N1_TO_LONE, CLIENT_TO_N1), "dropped"),
    ),
}


# --- where a mode differs

IN_NFTABLES = {
    FaultName.PROTOCOL_MISMATCH: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.MASQUERADE_MISSING: Story(("--on", "n1"), {CLIENT_TO_N1: "dropped lone"}),
    FaultName.FORWARD_DROP: Story(("--on", "n1"), all_are((*FORWARDED_BY_N1, SHELL_TO_NEAR_POD), "dropped")),
    FaultName.POD_RANGE_IN_SERVICE_RANGE: Story(
        ("--on", "pod/lone"), {SHELL_TO_FAR_POD: "reached web-1"} | all_are(TO_LONE, "refused")
    ),
}
SERVED_BY_N1 = (SHELL_TO_WEB, SHELL_TO_ONE, SHELL_TO_LONE, ITSELF, N1_TO_ONE, N1_TO_LONE, CLIENT_TO_N1)
DIRECTLY_BY_N1 = (SHELL_TO_FAR_POD, *ANSWERED_BY_N1)
"""What n1 forwards where its kube-proxy asks the endpoints itself."""
UNHEARD = {SHELL_TO_WEB: "reached web-1, dropped"} | all_are(
    (SHELL_TO_LONE, SHELL_TO_FAR_POD, N1_TO_LONE, CLIENT_TO_N1), "dropped"
)
IN_USERSPACE: Mapping[FaultName, Story | None] = {
    FaultName.SELECTOR_MATCHES_NOTHING: Story(("--service", "lone"), all_are(TO_LONE, "dropped")),
    FaultName.SELECTOR_TOO_BROAD: Story(("--service", "lone"), all_are(TO_LONE, "reached lone, dropped shell")),
    FaultName.WRONG_TARGET_PORT: Story(("--service", "lone"), all_are(TO_LONE, "dropped lone")),
    FaultName.NAMED_PORT_MISSING: Story(("--service", "lone"), all_are(TO_LONE, "dropped")),
    FaultName.READINESS_FAILING: Story(
        ("--service", "one"),
        all_are(TO_ONE, "dropped") | {SHELL_TO_WEB: "reached web-2"},
        sight=Sight(ready_pods, "1/1", "0/1"),
    ),
    FaultName.INTERNAL_POLICY_LOCAL: None,
    FaultName.EXTERNAL_POLICY_LOCAL: None,
    FaultName.KUBE_PROXY_STOPPED: Story(("--on", "n1"), all_are(SERVED_BY_N1, "refused")),
    FaultName.API_UNREACHABLE: Story(("--on", "n1"), all_are(SERVED_BY_N1, "refused")),
    FaultName.RULES_FLUSHED: None,
    FaultName.MASQUERADE_MISSING: None,
    FaultName.HAIRPIN_OFF: None,
    FaultName.BRIDGE_NF_OFF: None,
    FaultName.IP_FORWARD_OFF: Story(("--on", "n1"), all_are(DIRECTLY_BY_N1, "dropped")),
    FaultName.FORWARD_DROP: Story(("--on", "n1"), all_are((*DIRECTLY_BY_N1, SHELL_TO_NEAR_POD), "dropped")),
    FaultName.RULES_IN_BOTH_KINDS: Story(
        ("--on", "n1"),
        all_are((*DIRECTLY_BY_N1, SHELL_TO_NEAR_POD), "dropped"),
        sight=Sight(filter_rules, "none", "iptables-nft"),
    ),
    FaultName.WRONG_ROUTE: Story(("--on", "n1"), UNHEARD | all_are(ANSWERED_BY_N1, "dropped web-1")),
    FaultName.RP_FILTER_STRICT: Story(("--on", "n2"), UNHEARD | all_are(ANSWERED_BY_N1, "dropped web-1")),
    FaultName.DUPLICATE_ADDRESS: Story(
        ("--on", "pod/web-1"),
        all_are(TO_ONE, "dropped")
        | {SHELL_TO_WEB: "reached web-2"}
        | all_are((SHELL_TO_NEAR_POD, LONE_TO_POD), "refused web-1"),
        sight=Sight(ready_pods, "1/1", "0/1"),
    ),
    FaultName.POD_RANGE_IN_SERVICE_RANGE: Story(
        ("--on", "pod/lone"), all_are((*TO_LONE, SHELL_TO_FAR_POD), "reached web-1")
    ),
}
IN_IPVS: Mapping[FaultName, Story | None] = {
    FaultName.PROTOCOL_MISMATCH: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.INTERNAL_POLICY_LOCAL: None,
    FaultName.EXTERNAL_POLICY_LOCAL: Story((), {CLIENT_TO_N1: "dropped lone"}),
    FaultName.RULES_FLUSHED: Story(("--on", "n1"), all_are(SERVED_BY_N1, "refused")),
    FaultName.MASQUERADE_MISSING: Story(("--on", "n1"), {CLIENT_TO_N1: "dropped lone", N1_TO_LONE: "dropped"}),
    FaultName.HAIRPIN_OFF: Story(("--on", "n1"), {ITSELF: "dropped web-1"}),
    FaultName.IP_FORWARD_OFF: Story(
        ("--on", "n1"),
        {SHELL_TO_WEB: "reached web-1, dropped web-2", SHELL_TO_LONE: "dropped lone", ITSELF: "dropped web-1"}
        | all_are(DIRECTLY_BY_N1, "dropped")
        | {CLIENT_TO_N1: "dropped lone"},
    ),
    FaultName.FORWARD_DROP: Story(("--on", "n1"), all_are((*DIRECTLY_BY_N1, SHELL_TO_NEAR_POD), "dropped")),
    FaultName.POD_RANGE_IN_SERVICE_RANGE: Story(
        ("--on", "pod/lone"),
        {SHELL_TO_FAR_POD: "reached web-1"}
        | all_are(TO_LONE, "refused")
        | all_are((LONE_TO_ONE, LONE_TO_POD), "dropped"),
    ),
}
TRIED_IN_IPVS = tuple(fault for fault in FaultName if fault is not FaultName.RULES_IN_BOTH_KINDS)
"""The faults that are tried in mode ipvs here. That kernel has no nftables; scripts/guest-modes shows the other one."""
DIFFERING: Mapping[str, Mapping[FaultName, Story | None]] = {
    "nftables": IN_NFTABLES,
    "userspace": IN_USERSPACE,
    "ipvs": IN_IPVS,
}


def story(fault: FaultName, mode: str) -> Story | None:
    """The fault's story in that mode; None where it has no meaning and is refused."""
    return DIFFERING.get(mode, {}).get(fault, STORIES[fault])
