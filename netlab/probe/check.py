"""`netlab check`: prove a lab's `expect:` block with packets, and say what was seen.

How many packets make a proof: new flows are spread evenly. If n Pods should get them, one more that does would go
unnoticed in m flows by a chance of (n / (n + 1)) ** m, and one of them that should but does not be blamed wrongly by a
chance of at most n * (1 - 1 / n) ** m. m is chosen so that both are below one in a thousand million.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from netlab.errors import NetlabError
from netlab.model.cluster import ClusterView, pod_name
from netlab.model.journey import CheckResult, ExpectationResult, Flow, PacketVerdict, ProbeResult
from netlab.model.names import Place
from netlab.model.rules import Family
from netlab.model.targets import Target, Workload
from netlab.model.topology import Expectation

LUCK = 1e-9
"""The chance of a wrong result that is put up with."""
FIRST_LOOK = 10
"""Flows sent before the rest: where something is wrong, it mostly shows here, and a lost packet costs a second."""
SAMPLE = 3
"""Flows that must all fare as `verdict` says. Few, since refusals are rationed."""
TRIES = 2
"""How often a flow without answer is repeated where a refusal is expected. A router sends five ICMP
errors to one sender, then one a second (ip_error() in net/ipv4/route.c), which no sysctl of a namespace changes."""
REFUSALS = (PacketVerdict.REFUSED, PacketVerdict.UNREACHABLE)
MOST_NAMED = 6
"""So many Pods are named in a sentence; of more, how many they are."""


class Send(Protocol):
    """Sends `count` flows: `Prober.probe`."""

    def __call__(self, from_: Place, to: Target, *, count: int, family: Family) -> ProbeResult: ...


Sample = Callable[[int], tuple[Flow, ...]]
"""Sends so many flows along one expectation's way."""


class Finding(NamedTuple):
    """What came out, in words."""

    passed: bool
    observed: str


def summed_up(view: ClusterView, results: Iterable[ExpectationResult]) -> CheckResult:
    """What became of all expectations."""
    found = tuple(results)
    return CheckResult(lab=view.lab, passed=all(result.passed for result in found), results=found)


def flows_needed(pods: int) -> int:
    """How many flows show, but for a chance of LUCK, that those Pods get packets, each of them, and no other does."""
    no_other = math.log(LUCK) / math.log(pods / (pods + 1))
    each = math.log(LUCK / pods) / math.log(1 - 1 / pods) if pods > 1 else 1
    return math.ceil(max(no_other, each))


def describe(expectation: Expectation) -> str:
    """The expectation in one line: `pod/shell -> service/web:80 reaches pod/web-1, pod/web-2`."""
    wanted = f"reaches {', '.join(expectation.reaches)}" if expectation.reaches else f"is {_verdict(expectation)}"
    return f"{expectation.from_} -> {expectation.to} {wanted}"


def _verdict(expectation: Expectation) -> PacketVerdict:
    return PacketVerdict(expectation.verdict or PacketVerdict.REACHED)


def prove(expectation: Expectation, *, view: ClusterView, send: Send) -> ExpectationResult:
    """Try one expectation."""
    try:
        findings = dict(_findings(expectation, view=view, send=send))
    except (NetlabError, ValueError) as error:
        return ExpectationResult(expectation=describe(expectation), passed=False, observed=f"not tried: {error}")
    return ExpectationResult(
        expectation=describe(expectation),
        passed=all(finding.passed for finding in findings.values()),
        observed="; ".join(
            f"{family}: {finding.observed}" if len(findings) > 1 else finding.observed
            for family, finding in findings.items()
        ),
    )


def _findings(expectation: Expectation, *, view: ClusterView, send: Send) -> Iterator[tuple[Family, Finding]]:
    place, target = Place.parse(expectation.from_), Target.parse(expectation.to)
    for family in view.families(target):

        def sample(count: int, family: Family = family) -> tuple[Flow, ...]:
            return send(place, target, count=count, family=family).flows

        if expectation.reaches:
            workloads = [Workload.parse(text) for text in expectation.reaches]
            pods = {pod_name(pod) for workload in workloads for pod in view.pods_of(workload)}
            yield family, prove_reached(pods, sample)
        else:
            yield family, prove_verdict(_verdict(expectation), sample)


# --- flows that must reach certain Pods


def prove_reached(pods: Collection[str], sample: Sample) -> Finding:
    """Every flow is answered by one of the Pods, and each of them gets some."""
    needed = flows_needed(len(pods))
    flows = sample(min(FIRST_LOOK, needed))
    if not astray(flows, pods) and needed > len(flows):
        flows += sample(needed - len(flows))
    wrong = astray(flows, pods)
    unseen = [] if wrong else sorted(set(pods) - {flow.pod for flow in flows})
    if unseen:
        wrong = [f"{_some(unseen)} got none"]
    return Finding(not wrong, "; ".join([tell(flows), *wrong]))


def astray(flows: Iterable[Flow], pods: Collection[str]) -> list[str]:
    """What is wrong with these flows, whatever else is still to come."""
    wrong = []
    if any(flow.verdict is not PacketVerdict.REACHED for flow in flows):
        wrong.append("every flow should be reached")
    reached = [flow.pod for flow in flows if flow.verdict is PacketVerdict.REACHED]
    strangers = sorted({pod for pod in reached if pod and pod not in pods})
    if strangers:
        wrong.append(f"{_some(strangers)} should get none")
    if None in reached:
        wrong.append("it was no Pod of this lab that answered")
    return wrong


# --- flows that must fare in a certain way


def prove_verdict(verdict: PacketVerdict, sample: Sample) -> Finding:
    """Every flow fares so."""
    flows = sample(SAMPLE)
    if verdict in REFUSALS:
        flows = asked_again(flows, sample)
    passed = all(flow.verdict is verdict for flow in flows)
    return Finding(passed, tell(flows) if passed else f"{tell(flows)}; every flow should be {verdict}")


def asked_again(flows: Sequence[Flow], sample: Sample) -> tuple[Flow, ...]:
    """The flows, those without answer tried again as a TCP client would, until one of them stays without."""
    answered = [flow for flow in flows if flow.verdict is not PacketVerdict.DROPPED]
    while len(answered) < len(flows):
        tries = (sample(1)[0] for _ in range(TRIES))
        found = next((flow for flow in tries if flow.verdict is not PacketVerdict.DROPPED), None)
        if found is None:
            break
        answered.append(found)
    silent = [flow for flow in flows if flow.verdict is PacketVerdict.DROPPED]
    return (*answered, *silent[: len(flows) - len(answered)])


# --- in words


def tell(flows: Sequence[Flow]) -> str:
    """What became of the flows, with the Pods that got them: `12 flows: 10 reached (web-1 6, web-2 4), 2 dropped`."""
    parts = []
    for verdict in PacketVerdict:
        pods = Counter(flow.pod for flow in flows if flow.verdict is verdict)
        if pods:
            named = {pod: number for pod, number in sorted(pods.items(), key=str) if pod}
            parts.append(f"{pods.total()} {verdict}" + (f" ({_spread(named)})" if named else ""))
    return f"{len(flows)} flow{'' if len(flows) == 1 else 's'}: {', '.join(parts)}"


def _spread(pods: dict[str, int]) -> str:
    if len(pods) > MOST_NAMED:
        return f"{len(pods)} Pods, {min(pods.values())} to {max(pods.values())} each"
    return ", ".join(f"{pod} {number}" for pod, number in pods.items())


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
