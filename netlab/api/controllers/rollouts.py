"""How many Pods of each version a Deployment has while it goes from one to the next: pure.

Source: "Deployments" in the Kubernetes documentation: never more than replicas + maxSurge Pods, never fewer than
replicas - maxUnavailable that are available.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netlab.model.objects import DeploymentSpec

QUARTER = "25%"


@dataclass(frozen=True, slots=True)
class Version:
    """The Pods of one template: how many are wanted, are there, are available."""

    wanted: int
    there: int
    available: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the number of Pods may be off."""

    surge: int
    unavailable: int


def limits_of(spec: DeploymentSpec) -> Limits:
    """The limits as numbers: shares of the replicas, the surge rounded up and the rest down; not both are zero."""
    rolling = spec.strategy.rolling_update
    surge = rolling.max_surge if rolling and rolling.max_surge is not None else QUARTER
    unavailable = rolling.max_unavailable if rolling and rolling.max_unavailable is not None else QUARTER
    found = Limits(_number(surge, spec.replicas, up=True), _number(unavailable, spec.replicas, up=False))
    return Limits(0, 1) if found == Limits(0, 0) else found


def _number(value: int | str, replicas: int, *, up: bool) -> int:
    if isinstance(value, int):
        return max(0, value)
    share = value.removesuffix("%")
    if not share.isdecimal():
        return 0
    exact = replicas * int(share) / 100
    return math.ceil(exact) if up else math.floor(exact)


def recreate(replicas: int, new: Version, old: Sequence[Version]) -> tuple[int, tuple[int, ...]]:
    """All old Pods go before the first new one comes."""
    return (new.wanted if any(each.there for each in old) else replicas), tuple(0 for _ in old)


def rolling(replicas: int, new: Version, old: Sequence[Version], limits: Limits) -> tuple[int, tuple[int, ...]]:
    """The next step: how many are wanted of the new version, and of each of the old ones (oldest first)."""
    grown = _grown(replicas, new, old, limits)
    total = grown + sum(each.wanted for each in old)
    fewest = replicas - limits.unavailable
    spare = total - fewest - max(0, grown - new.available)
    return grown, _shrunk(old, spare=spare, available=new.available + sum(each.available for each in old) - fewest)


def _grown(replicas: int, new: Version, old: Sequence[Version], limits: Limits) -> int:
    if new.wanted >= replicas:
        return replicas
    room = replicas + limits.surge - new.wanted - sum(each.wanted for each in old)
    return new.wanted + max(0, min(room, replicas - new.wanted))


def _shrunk(old: Sequence[Version], *, spare: int, available: int) -> tuple[int, ...]:
    """`spare` Pods may go: first those that are not available, then of the others as many as are more than needed."""
    wanted = []
    for each in old:
        sick = min(max(0, each.wanted - each.available), max(0, spare))
        spare -= sick
        healthy = max(0, min(each.wanted - sick, spare, available))
        spare, available = spare - healthy, available - healthy
        wanted.append(each.wanted - sick - healthy)
    return tuple(wanted)
