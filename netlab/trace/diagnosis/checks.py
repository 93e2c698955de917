"""What was looked at, a line each: what a good engineer would check, in that order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from netlab.model.cluster import pod_name
from netlab.model.diagnosis import CheckRow
from netlab.model.drift import Drift, DriftKind
from netlab.model.journey import Flow
from netlab.model.objects import Service
from netlab.model.targets import TargetProtocol
from netlab.trace.diagnosis.asked import service_asked
from netlab.trace.diagnosis.drifted import concerns
from netlab.trace.diagnosis.evidence import REACHED, Evidence
from netlab.trace.diagnosis.proxies import left_behind
from netlab.trace.meaning import slices_of
from netlab.trace.no_endpoints import chosen, key_of

ON_THE_WAY: tuple[tuple[str, frozenset[DriftKind]], ...] = (
    ("links", frozenset({DriftKind.NAMESPACE, DriftKind.LINK, DriftKind.HAIRPIN, DriftKind.MTU, DriftKind.EXTRA})),
    ("addresses", frozenset({DriftKind.ADDRESS, DriftKind.DUPLICATE, DriftKind.NEIGHBOUR})),
    ("routes", frozenset({DriftKind.ROUTE})),
    ("sysctls", frozenset({DriftKind.SETTING})),
    ("masquerade", frozenset({DriftKind.RULES})),
    ("one kind of rules", frozenset({DriftKind.BOTH_KINDS})),
)
"""Checks of what namespaces hold, by what may be otherwise."""


def checks(evidence: Evidence) -> tuple[CheckRow, ...]:
    """Every check that applies."""
    return tuple(_rows(evidence))


def _rows(evidence: Evidence) -> Iterator[CheckRow]:
    yield CheckRow(check="flows", ok=not evidence.lost, found=_told(evidence.flows))
    if evidence.large:
        found = f"of {evidence.large.size} bytes: {_told(evidence.large.flows)}"
        yield CheckRow(check="full size", ok=not evidence.large.lost, found=found)
    service = service_asked(evidence.prediction)
    if service is not None:
        yield from _service(evidence, service)
    yield _foretold(evidence)
    yield from _proxies(evidence)
    yield from (_drift(name, kinds, evidence) for name, kinds in ON_THE_WAY)
    yield from _leftovers(evidence)
    yield from _resolver(evidence)


def _told(flows: Iterable[Flow]) -> str:
    there = list(flows)
    verdicts = Counter(flow.verdict.value for flow in there)
    pods = Counter(flow.pod for flow in there if flow.pod and flow.verdict is REACHED)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    return told + (f": {', '.join(f'{pod} {count}' for pod, count in sorted(pods.items()))}" if pods else "")


# --- objects


def _service(evidence: Evidence, service: Service) -> Iterator[CheckRow]:
    yield CheckRow(check="object", ok=True, found=f"Service {key_of(service)} is there")
    selector = service.spec.selector
    if not selector:
        yield CheckRow(check="selector", ok=None, found="none")
    else:
        yield from _pods(evidence, service, selector)
    ends = sorted(_endpoints(evidence, service))
    yield CheckRow(check="slices", ok=bool(ends), found=", ".join(ends[:5]) or "no ready endpoint")


def _pods(evidence: Evidence, service: Service, selector: dict[str, str]) -> Iterator[CheckRow]:
    pods = chosen(evidence.view.pods, service.metadata.namespace or "default", selector)
    spelled = ",".join(f"{key}={value}" for key, value in selector.items())
    yield CheckRow(check="selector", ok=bool(pods), found=f"{spelled} matches {_count(len(pods), 'Pod')}")
    unready = [pod_name(pod) for pod in pods if not pod.condition("Ready")]
    if pods:
        found = f"not ready: {', '.join(unready)}" if unready else f"{len(pods)} of {len(pods)} ready"
        yield CheckRow(check="readiness", ok=not unready, found=found)


def _endpoints(evidence: Evidence, service: Service) -> set[str]:
    """The ready addresses that the Service's EndpointSlices hold."""
    return {
        address
        for piece in slices_of(evidence.view, service)
        for endpoint in piece.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses
    }


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' if number > 1 else ''}"


def _foretold(evidence: Evidence) -> CheckRow:
    verdicts = sorted({way.verdict.value for way in evidence.prediction.ways})
    same = "which is not what was seen" if evidence.strange else "as seen"
    return CheckRow(check="foretold", ok=not evidence.strange, found=f"by its objects {' or '.join(verdicts)}, {same}")


# --- nodes


def _proxies(evidence: Evidence) -> Iterator[CheckRow]:
    known = [(node, evidence.proxies[node]) for node in evidence.nodes if node in evidence.proxies]
    if known:
        bad = [f"{node} {'is behind' if proxy.running else 'stopped'}" for node, proxy in known if not proxy.synced]
        found = ", ".join(bad) or f"runs and has followed on {', '.join(node for node, _ in known)}"
        yield CheckRow(check="kube-proxy", ok=not bad, found=found)
    looked = [node for node in evidence.nodes if node in evidence.rules]
    if looked:
        wrong = [f"{node}: {_count(len(evidence.rules[node]), 'chain')}" for node in looked if evidence.rules[node]]
        found = f"otherwise on {', '.join(wrong)}" if wrong else f"as they should be on {', '.join(looked)}"
        yield CheckRow(check="rules", ok=not wrong, found=found)


def _drift(name: str, kinds: frozenset[DriftKind], evidence: Evidence) -> CheckRow:
    here = [each for each in evidence.drift if each.kind in kinds and _is_here(each, evidence)]
    elsewhere = sum(each.kind in kinds for each in evidence.drift) - len(here)
    if here:
        return CheckRow(check=name, ok=False, found="; ".join(each.text for each in here[:2]))
    return CheckRow(
        check=name, ok=True, found="as planned" + (f" here ({elsewhere} elsewhere not)" if elsewhere else "")
    )


def _is_here(drift: Drift, evidence: Evidence) -> bool:
    return drift.subject in evidence.nodes if drift.kind is DriftKind.BOTH_KINDS else concerns(drift, evidence)


def _leftovers(evidence: Evidence) -> Iterator[CheckRow]:
    if evidence.prediction.destination.protocol is TargetProtocol.UDP and evidence.tracked:
        stale = left_behind(evidence)
        yield CheckRow(check="conntrack", ok=stale is None, found=stale.text if stale else "no stale flow")


def _resolver(evidence: Evidence) -> Iterator[CheckRow]:
    resolver = evidence.resolver
    if resolver is not None and resolver.wanted:
        ok = bool(set(resolver.found) & set(resolver.wanted))
        yield CheckRow(check="DNS", ok=ok, found=f"resolv.conf asks {', '.join(resolver.found) or 'nobody'}")
