"""How a Deployment goes from one template to the next: the limits hold at every step, and it comes to an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.api.controllers.rollouts import Limits, Version, limits_of, recreate, rolling
from netlab.model.objects import DeploymentSpec


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "limits"),
    [
        (3, None, None, Limits(1, 0)),
        (4, "25%", "25%", Limits(1, 1)),
        (10, "30%", "25%", Limits(3, 2)),
        (3, 0, 0, Limits(0, 1)),
        (3, 2, 1, Limits(2, 1)),
        (3, "nonsense", 1, Limits(0, 1)),
    ],
)
def test_shares_become_numbers(replicas: int, surge: object, unavailable: object, limits: Limits) -> None:
    rolling_update = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = DeploymentSpec.model_validate({"replicas": replicas, "strategy": {"rollingUpdate": rolling_update}})
    assert limits_of(spec) == limits


@given(
    replicas=st.integers(0, 12),
    old=st.integers(0, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    steps=st.lists(st.integers(0, 3), min_size=1),
)
def test_a_rolling_update_keeps_its_limits_and_ends(
    replicas: int, old: int, surge: int, unavailable: int, steps: list[int]
) -> None:
    limits = Limits(surge, unavailable) if surge or unavailable else Limits(0, 1)
    new, before = Version(0, 0, 0), Version(old, old, old)
    start = min(old, replicas)
    for step in range(200):
        wanted, (rest,) = rolling(replicas, new, (before,), limits)
        assert wanted >= new.wanted or wanted == replicas
        assert wanted + rest <= max(replicas + limits.surge, new.wanted + before.wanted)
        ready = min(wanted, new.available + steps[step % len(steps)] + (step > 100))
        gone = before.wanted - rest
        before = Version(rest, rest, rest)
        assert new.available + before.available >= min(start, replicas - limits.unavailable) or not gone
        new = Version(wanted, wanted, ready)
        if (wanted, rest, ready) == (replicas, 0, replicas):
            return
    raise AssertionError(f"it hangs with {new} and {before}")


def test_pods_that_are_not_available_go_first() -> None:
    _, wanted = rolling(4, Version(1, 1, 0), (Version(4, 4, 2),), Limits(1, 1))
    assert wanted == (3,)


def test_recreating_waits_until_the_old_ones_are_gone() -> None:
    assert recreate(3, Version(0, 0, 0), (Version(3, 3, 3),)) == (0, (0,))
    assert recreate(3, Version(0, 0, 0), (Version(0, 2, 1),)) == (0, (0,))
    assert recreate(3, Version(0, 0, 0), (Version(0, 0, 0),)) == (3, (0,))
