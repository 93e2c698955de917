"""Every fault of the catalogue: before it all works, then it shows as documented and in no other way, healed all works.

What is broken is told by packets on thirteen ways through a lab (`fault_lab`): those listed fare as listed, all others
as ever. Some faults show in another way, too: `Sight` is a look at that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import fault_lab
import pytest
from fault_lab import fares
from fault_sights import (
    asking_by_udp,
    filter_rules,
    following,
    following_while_it_runs,
    ready_pods,
    resolving,
    sending_much,
)
from netlab_command import PREFIX, Caller, Lab, comes_true

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
    """Whom a fault is put into, and how packets fare then, by way; `nftables` where that mode differs."""

    victim: tuple[str, ...]
    ways: Mapping[str, str] = field(default_factory=dict)
    nftables: Mapping[str, str] | None = None
    sight: Sight | None = None

    def expected(self, mode: str) -> Mapping[str, str]:
        return self.nftables if mode == "nftables" and self.nftables is not None else self.ways


def all_are(ways: tuple[str, ...], how: str) -> dict[str, str]:
    return dict.fromkeys(ways, how)


UNKNOWN_SERVICE = {"iptables": "unreachable", "nftables": "dropped"}
"""How packets to an address of the Service range fare that a node has no rule for."""
MTU_SIGHTS = (
    "little answered, a segment answered, more answered",
    "little answered, a segment silence, more silence",
)
STORIES = {
    FaultName.WRONG_DNS: Story(("--on", "pod/shell"), sight=Sight(resolving, "resolved", "no such name")),
    FaultName.SELECTOR_MATCHES_NOTHING: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.SELECTOR_TOO_BROAD: Story(("--service", "lone"), all_are(TO_LONE, "reached lone, refused shell")),
    FaultName.WRONG_TARGET_PORT: Story(("--service", "service/lone"), all_are(TO_LONE, "refused lone")),
    FaultName.NAMED_PORT_MISSING: Story(("--service", "lone"), all_are(TO_LONE, "refused")),
    FaultName.PROTOCOL_MISMATCH: Story(
        ("--service", "lone"),
        all_are(TO_LONE, "refused") | all_are(TO_LONE_INSIDE, "unreachable"),
        nftables=all_are(TO_LONE, "refused"),
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
    ),
    FaultName.API_UNREACHABLE: Story(
        ("--on", "n1"),
        sight=Sight(
            following_while_it_runs,
            "all Pods, reached, running and in sync",
            {mode: f"some Pods, {how}, running and behind" for mode, how in UNKNOWN_SERVICE.items()},
        ),
    ),
    FaultName.RULES_FLUSHED: Story(
        ("--on", "n1"),
        all_are((SHELL_TO_WEB, SHELL_TO_ONE, SHELL_TO_LONE, ITSELF, N1_TO_ONE, N1_TO_LONE), "unreachable")
        | {CLIENT_TO_N1: "refused"},
    ),
    FaultName.STALE_UDP_FLOW: Story(
        ("--service", "echo"),
        sight=Sight(asking_by_udp, "40053 answered, 40054 answered", "40053 silence, 40054 answered"),
    ),
    FaultName.MASQUERADE_MISSING: Story(
        ("--on", "n1"),
        {CLIENT_TO_N1: "dropped lone", ITSELF: "dropped web-1"},
        nftables={CLIENT_TO_N1: "dropped lone"},
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
        nftables=all_are((*FORWARDED_BY_N1, SHELL_TO_NEAR_POD), "dropped"),
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
    FaultName.MTU_MISMATCH: Story(("--on", "n2"), sight=Sight(sending_much, *MTU_SIGHTS)),
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
        nftables={SHELL_TO_FAR_POD: "reached web-1"} | all_are(TO_LONE, "refused"),
    ),
}
RESTARTS = {FaultName.KUBE_PROXY_STOPPED, FaultName.API_UNREACHABLE, FaultName.RULES_FLUSHED}
"""Faults with which processes of the lab do not stay the same: each has a lab of its own."""


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def mode(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture(scope="module")
def faulty(root: Caller, mode: str) -> Iterator[Lab]:
    """A lab for all faults of a mode, one after the other; all is well at first, and after each test that passes."""
    name = f"{PREFIX}-{mode}"
    with root.lab(name, fault_lab.FILE.format(name=name, mode=mode)) as up:
        assert settled(up, {}) == {}
        yield up


@pytest.fixture
def shared(faulty: Lab) -> Iterator[Lab]:
    """That lab, without any fault before and after."""
    yield faulty
    faulty.run("heal")


@pytest.fixture
def own(root: Caller, mode: str) -> Iterator[Lab]:
    """A lab of the test's own."""
    name = f"{PREFIX}-own"
    with root.lab(name, fault_lab.FILE.format(name=name, mode=mode)) as up:
        assert settled(up, {}) == {}
        yield up


def in_force(lab: Lab) -> dict[str, list[str]]:
    return {row["name"]: row["inForce"] for row in lab.json("faults")["faults"] if row["inForce"]}


def test_every_fault_has_a_story() -> None:
    assert list(STORIES) == list(FaultName)


@pytest.mark.root
@pytest.mark.parametrize("fault", [each for each in FaultName if each not in RESTARTS])
def test_a_fault_shows_as_documented_and_is_gone_when_healed(shared: Lab, mode: str, fault: FaultName) -> None:
    prove(shared, mode, fault)


@pytest.mark.root
@pytest.mark.parametrize("fault", sorted(RESTARTS))
def test_a_fault_of_a_kube_proxy_shows_as_documented_and_is_gone_when_healed(
    own: Lab, mode: str, fault: FaultName
) -> None:
    prove(own, mode, fault)


def prove(lab: Lab, mode: str, fault: FaultName) -> None:
    """All is well; with the fault packets fare as its story says and in no other way; healed, all is well again."""
    story = STORIES[fault]
    assert looks_well(lab, story)
    lab.ok("break", fault, *story.victim)
    assert list(in_force(lab)) == [fault]
    assert settled(lab, story.expected(mode)) == story.expected(mode)
    if story.sight:
        ill = story.sight.ill
        assert story.sight.look(lab) == (ill if isinstance(ill, str) else ill[mode])
    lab.ok("heal", fault, *story.victim)
    assert in_force(lab) == {}
    assert settled(lab, {}) == {}
    assert looks_well(lab, story)


def looks_well(lab: Lab, story: Story) -> bool:
    """Whether what else shows is as it is without the fault, or soon is."""
    sight = story.sight
    return sight is None or comes_true(lambda: sight.look(lab) == sight.well, within=30)


def settled(lab: Lab, expected: Mapping[str, str]) -> Mapping[str, str]:
    """How packets fare once it is as expected, or after some seconds.

    A readiness probe needs its time, and a kube-proxy that was cut off asks the API server every five seconds.
    """
    seen: list[Mapping[str, str]] = []

    def as_expected() -> bool:
        seen.append(fares(lab))
        return seen[-1] == expected

    comes_true(as_expected, within=20)
    return seen[-1]
