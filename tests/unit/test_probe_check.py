"""A check passes where the packets do as they should, and says what differs where they do not."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import NotFound
from netlab.model.cluster import ClusterView
from netlab.model.journey import CheckResult, Flow, PacketVerdict, ProbeResult
from netlab.model.names import Place
from netlab.model.objects import ObjectMeta, Pod, PodIP, PodStatus, Service, ServiceSpec
from netlab.model.rules import Family
from netlab.model.targets import Target
from netlab.model.topology import Expectation, ExpectedVerdict, Topology, TopologySpec
from netlab.probe.check import LUCK, SAMPLE, flows_needed, prove, summed_up
from netlab.probe.prober import report

REACHED, REFUSED, DROPPED, UNREACHABLE = PacketVerdict
PODS = ("shell", "web-1", "web-2", "web-3")


class Network:
    """Sends flows by a rule of the test's own, and counts them."""

    def __init__(self, fate: Callable[[int], Flow]) -> None:
        self._fate = fate
        self.sent: list[tuple[str, str, Family]] = []

    def __call__(self, from_: Place, to: Target, *, count: int, family: Family) -> ProbeResult:
        flows = []
        for _ in range(count):
            flows.append(self._fate(len(self.sent)))
            self.sent.append((str(from_), str(to), family))
        return report(from_, to, tuple(flows))


def balanced(*pods: str) -> Network:
    choice = random.Random(7)
    return Network(lambda _: Flow(verdict=REACHED, pod=choice.choice(pods)))


def always(verdict: PacketVerdict) -> Network:
    return Network(lambda _: Flow(verdict=verdict))


def run(network: Network, *expect: Expectation, cluster_ips: tuple[str, ...] = ("10.96.0.10",)) -> CheckResult:
    pods = tuple(
        Pod(metadata=ObjectMeta(name=name, namespace="default"), status=PodStatus(pod_ips=(PodIP(ip=f"10.244.0.{n}"),)))
        for n, name in enumerate(PODS, 2)
    )
    web = Service(metadata=ObjectMeta(name="web", namespace="default"), spec=ServiceSpec(cluster_ips=cluster_ips))
    topology = Topology(metadata=ObjectMeta(name="two"), spec=TopologySpec(expect=expect))
    view = ClusterView(lab="two", topology=topology, pods=pods, services=(web,))
    return summed_up(view, [prove(expectation, view=view, send=network) for expectation in expect])


def reaches(*pods: str) -> Expectation:
    return Expectation(from_="pod/shell", to="service/web:80", reaches=tuple(f"pod/{pod}" for pod in pods))


def fares(verdict: ExpectedVerdict | None) -> Expectation:
    return Expectation(from_="pod/shell", to="service/web:80", verdict=verdict)


def test_a_service_that_reaches_its_pods_passes_and_the_spread_is_told() -> None:
    result = run(balanced("web-1", "web-2"), reaches("web-1", "web-2"))
    assert result.passed
    (only,) = result.results
    assert only.expectation == "pod/shell -> service/web:80 reaches pod/web-1, pod/web-2"
    assert only.observed.startswith("52 flows: 52 reached (web-1 ")


def test_a_pod_that_never_answers_is_named() -> None:
    result = run(balanced("web-1"), reaches("web-1", "web-2"))
    assert not result.passed
    assert result.results[0].observed == "52 flows: 52 reached (web-1 52); web-2 got none"


def test_a_pod_that_should_not_answer_is_named() -> None:
    result = run(balanced("web-1", "web-3"), reaches("web-1"))
    assert not result.passed
    assert result.results[0].observed.endswith("web-3 should get none")


def test_a_rare_stranger_among_many_flows_is_found() -> None:
    network = Network(lambda n: Flow(verdict=REACHED, pod="web-3" if n == 29 else "web-1"))
    assert not run(network, reaches("web-1")).passed


def test_one_lost_packet_fails_and_no_more_than_the_first_look_is_sent() -> None:
    network = Network(lambda n: Flow(verdict=DROPPED if n == 4 else REACHED, pod="web-1"))
    result = run(network, reaches("web-1", "web-2"))
    assert result.results[0].observed == (
        "10 flows: 9 reached (web-1 9), 1 dropped (web-1 1); every flow should be reached"
    )


def test_an_answer_from_no_pod_at_all_fails() -> None:
    assert "no Pod of this lab" in run(always(REACHED), reaches("web-1")).results[0].observed


@pytest.mark.parametrize("verdict", PacketVerdict)
@pytest.mark.parametrize("expected", ExpectedVerdict)
def test_a_verdict_passes_where_every_flow_has_it(verdict: PacketVerdict, expected: ExpectedVerdict) -> None:
    result = run(always(verdict), fares(expected))
    assert result.passed == (verdict == expected)
    assert result.results[0].observed.startswith(f"{SAMPLE} flows: {SAMPLE} {verdict}")


def test_without_any_verdict_a_flow_shall_be_reached() -> None:
    assert run(always(REACHED), fares(None)).passed
    assert not run(always(REFUSED), fares(None)).passed


def test_one_flow_that_fares_otherwise_fails() -> None:
    network = Network(lambda n: Flow(verdict=REACHED if n == 2 else REFUSED))
    assert not run(network, fares(ExpectedVerdict.REFUSED)).passed


def test_a_refusal_that_a_router_rationed_is_asked_for_again() -> None:
    """Five at once, then every second one: what ip_error() does where each silence takes a second."""
    network = Network(lambda n: Flow(verdict=UNREACHABLE if n < 5 or n % 2 == 0 else DROPPED))
    expect = [fares(ExpectedVerdict.UNREACHABLE)] * 4
    assert run(network, *expect).passed


def test_silence_where_a_refusal_is_expected_fails() -> None:
    result = run(always(DROPPED), fares(ExpectedVerdict.REFUSED))
    assert result.results[0].observed == "3 flows: 3 dropped; every flow should be refused"


def test_a_service_of_two_families_is_tried_in_both() -> None:
    network = balanced("web-1")
    result = run(network, reaches("web-1"), cluster_ips=("10.96.0.10", "fd00:96::10"))
    assert result.passed
    assert {family for _, _, family in network.sent} == {Family.IPV4, Family.IPV6}
    assert result.results[0].observed.startswith("IPv4: 30 flows: 30 reached")


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (Expectation(from_="pod/shell", to="service/wbe:80"), "did you mean service/web?"),
        (Expectation(from_="pod/shell", to="service/web:80", reaches=("pod/web-9",)), "there is no pod/web-9"),
        (Expectation(from_="shell", to="service/web:80"), "is not a place"),
    ],
)
def test_an_expectation_that_cannot_be_tried_fails_and_the_others_are_tried(
    expectation: Expectation, message: str
) -> None:
    result = run(balanced("web-1"), expectation, reaches("web-1"))
    assert [each.passed for each in result.results] == [False, True]
    assert message in result.results[0].observed


def test_a_place_that_is_gone_fails_its_expectation_alone() -> None:
    def lost(_: int) -> Flow:
        raise NotFound("there is no network namespace two.shell")

    result = run(Network(lost), reaches("web-1"))
    assert result.results[0].observed == "not tried: there is no network namespace two.shell"


@given(pods=st.integers(1, 1000))
def test_the_flows_are_enough_to_rule_out_luck_and_no_more(pods: int) -> None:
    flows = flows_needed(pods)
    unnoticed = (pods / (pods + 1)) ** flows
    blamed = pods * (1 - 1 / pods) ** flows
    assert max(unnoticed, blamed) <= LUCK * 1.0001
    assert flows == 1 or max((pods / (pods + 1)) ** (flows - 1), pods * (1 - 1 / pods) ** (flows - 1)) > LUCK


def test_the_spread_over_many_pods_is_told_in_short() -> None:
    pods = tuple(f"web-{n}" for n in range(1, 4))
    assert "(web-1 " in run(balanced(*pods), reaches(*pods)).results[0].observed
    many = Network(lambda n: Flow(verdict=REACHED, pod=f"other-{n % 10}"))
    observed = run(many, reaches("web-1")).results[0].observed
    assert observed.startswith("10 flows: 10 reached (10 Pods, 1 to 1 each); other-0, ")
    assert observed.endswith(" and 4 more should get none")
