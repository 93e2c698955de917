"""What is concluded from flows: one Pod for all, shares, sources; and fields of objects."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from netlab.model.journey import Flow, PacketVerdict
from netlab.probe.check import Finding, Sample
from netlab.probe.proofs import SHARED_FLOWS, prove_same, prove_shares
from netlab.training.grading import field

THIRDS = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}


def drawing(weights: dict[str | None, float], *, seed: int = 1) -> tuple[Sample, list[int]]:
    """Flows that reach Pods by chance; None is lost. And how many were asked for, each time."""
    chance, asked = random.Random(seed), list[int]()

    def sample(count: int) -> tuple[Flow, ...]:
        asked.append(count)
        return tuple(map(flow, chance.choices(list(weights), list(weights.values()), k=count)))

    return sample, asked


def flow(pod: str | None) -> Flow:
    return Flow(verdict=PacketVerdict.REACHED if pod else PacketVerdict.DROPPED, pod=pod)


def shared(weights: dict[str | None, float], *, seed: int = 1) -> Finding:
    return prove_shares(THIRDS, drawing(weights, seed=seed)[0])


def test_even_shares_pass_whatever_chance_does() -> None:
    assert all(shared({"a": 1, "b": 1, "c": 1}, seed=seed).passed for seed in range(50))


@pytest.mark.parametrize(
    "weights",
    [
        {"a": 2, "b": 1, "c": 1},
        {"a": 1, "b": 1},
        {"a": 9, "b": 6, "c": 4, None: 8},
        {"a": 1, "b": 1, "c": 1, "d": 1},
    ],
    ids=["one gets half", "one gets none", "a third of what is left each time", "a stranger gets some"],
)
def test_other_shares_do_not(weights: dict[str | None, float]) -> None:
    assert not any(shared(weights, seed=seed).passed for seed in range(50))


def test_a_thousand_flows_are_sent_only_where_the_first_few_are_well() -> None:
    sample, asked = drawing({None: 1})
    prove_shares(THIRDS, sample)
    assert asked == [10]
    sample, asked = drawing({"a": 1, "b": 1, "c": 1})
    prove_shares(THIRDS, sample)
    assert sum(asked) == SHARED_FLOWS


def one_after_the_other(pods: Sequence[str | None]) -> Sample:
    left = iter(pods)
    return lambda count: tuple(flow(next(left)) for _ in range(count))


def test_one_pod_for_all_passes_and_a_single_other_one_does_not() -> None:
    assert prove_same({"a", "b"}, one_after_the_other(["b"] * 100)).passed
    assert not prove_same({"a", "b"}, one_after_the_other(["b"] * 20 + ["a"] + ["b"] * 100)).passed
    assert not prove_same({"a", "b"}, one_after_the_other(["c"] * 100)).passed
    assert not prove_same({"a", "b"}, one_after_the_other([None] * 100)).passed


def test_fields_are_found_by_their_paths() -> None:
    service = {"spec": {"ports": [{"port": 80}, {"port": 443}], "type": "NodePort"}}
    assert field(service, "spec.type") == "NodePort"
    assert field(service, "spec.ports.1.port") == 443
    assert field(service, "spec.ports.2.port") is None
    assert field(service, "spec.ports.port") is None
    assert field(service, "status.loadBalancer") is None
