"""What a training lab asks of packets: an expectation as `netlab check` proves it, and what else must hold of flows.

How many flows show a share: with n of them a share p is off by more than DEVIATIONS times the root of p(1-p)/n by a
chance of about two in a thousand million.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from netlab.errors import NetlabError
from netlab.model.cluster import ClusterView, pod_name
from netlab.model.journey import ExpectationResult, Flow, PacketVerdict
from netlab.model.names import Place, PlaceKind
from netlab.model.rules import Family
from netlab.model.targets import Target, TargetKind, TargetProtocol, Workload
from netlab.model.topology import ExpectedVerdict
from netlab.model.training import PacketCheck
from netlab.probe.check import (
    FIRST_LOOK,
    Finding,
    Sample,
    Send,
    astray,
    describe,
    flows_needed,
    prove_reached,
    prove_verdict,
    tell,
)

SHARED_FLOWS = 1000
DEVIATIONS = 6.0


def prove(check: PacketCheck, *, view: ClusterView, send: Send) -> ExpectationResult:
    """Try a check; a Service by each of its ClusterIPs. `send` sends packets of the size that it asks for."""
    try:
        findings = {family: _find(check, view=view, send=send, family=family) for family in _families(check, view)}
    except (NetlabError, ValueError, OSError) as error:
        return ExpectationResult(expectation=describe(check), passed=False, observed=f"not tried: {error}")
    return ExpectationResult(
        expectation=describe(check),
        passed=all(finding.passed for finding in findings.values()),
        observed="; ".join(
            f"{family}: {finding.observed}" if len(findings) > 1 else finding.observed
            for family, finding in findings.items()
        ),
    )


def _families(check: PacketCheck, view: ClusterView) -> tuple[Family, ...]:
    return view.families(Target.parse(check.to))


def _find(check: PacketCheck, *, view: ClusterView, send: Send, family: Family) -> Finding:
    place, target = Place.parse(check.from_), Target.parse(check.to)
    gathered: list[Flow] = []

    def sample(count: int) -> tuple[Flow, ...]:
        flows = send(place, target, count=count, family=family).flows
        gathered.extend(flows)
        return flows

    found = _judge(check, _pods(check, view), sample)
    strange = _strange_sources(gathered, _addresses(check.sees, view, family)) if check.sees else []
    return Finding(found.passed and not strange, "; ".join([found.observed, *strange]))


def _judge(check: PacketCheck, pods: Collection[str], sample: Sample) -> Finding:
    if not check.reaches:
        return prove_verdict(PacketVerdict(check.verdict or ExpectedVerdict.REACHED), sample)
    if check.same_pod:
        return prove_same(pods, sample)
    if check.shares:
        return prove_shares({name.removeprefix("pod/"): share for name, share in check.shares.items()}, sample)
    return prove_reached(pods, sample)


def prove_same(pods: Collection[str], sample: Sample) -> Finding:
    """Every flow is answered, and all by one and the same of the Pods."""
    flows = _sampled(flows_needed(len(pods)), pods, sample)
    wrong = astray(flows, pods)
    if not wrong and len({flow.pod for flow in flows}) > 1:
        wrong = ["one Pod should get them all"]
    return Finding(not wrong, "; ".join([tell(flows), *wrong]))


def prove_shares(shares: Mapping[str, float], sample: Sample) -> Finding:
    """Every flow is answered by one of the Pods, and each gets about its share of them."""
    flows = _sampled(SHARED_FLOWS, shares, sample)
    wrong = astray(flows, shares)
    counts = Counter(flow.pod for flow in flows)
    for pod, share in shares.items():
        spread = DEVIATIONS * math.sqrt(share * (1 - share) / len(flows))
        if not wrong and abs(counts[pod] / len(flows) - share) > spread:
            wrong = ["the flows should be spread otherwise"]
    return Finding(not wrong, "; ".join([tell(flows), *wrong]))


def _sampled(count: int, pods: Collection[str], sample: Sample) -> tuple[Flow, ...]:
    """So many flows; few where these show already that something is wrong, since a lost one costs a second."""
    flows = sample(FIRST_LOOK)
    return flows if astray(flows, pods) or count <= FIRST_LOOK else (*flows, *sample(count - FIRST_LOOK))


def _pods(check: PacketCheck, view: ClusterView) -> set[str]:
    return {pod_name(pod) for text in check.reaches for pod in view.pods_of(Workload.parse(text))}


def _addresses(places: Sequence[str], view: ClusterView, family: Family) -> set[str]:
    found = set()
    for place in map(Place.parse, places):
        kind = TargetKind(PlaceKind(place.kind).value)
        target = Target(kind=kind, name=place.name, namespace=place.namespace, protocol=TargetProtocol.ICMP)
        found.add(str(view.destination(target, family=family).address))
    return found


def _strange_sources(flows: Sequence[Flow], wanted: Collection[str]) -> list[str]:
    strange = sorted({flow.source_seen for flow in flows if flow.source_seen and flow.source_seen not in wanted})
    return [f"the Pod sees the source {', '.join(strange)}, which is not the one that it should see"] if strange else []
