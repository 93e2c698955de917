"""What was looked at, a line each: what a good engineer would check, in that order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netlab.model.cluster import pod_name
from netlab.model.diagnosis import CheckRow
from netlab.model.objects import Service
from netlab.trace.diagnosis.asked import service_asked
from netlab.trace.diagnosis.evidence import REACHED, Evidence
from netlab.trace.meaning import slices_of
from netlab.trace.no_endpoints import chosen, key_of


def checks(evidence: Evidence) -> tuple[CheckRow, ...]:
    """Every check that applies."""
    return tuple(_rows(evidence))


def _rows(evidence: Evidence) -> Iterator[CheckRow]:
    yield _flows(evidence)
    service = service_asked(evidence.prediction)
    if service is not None:
        yield from _service(evidence, service)
    yield _foretold(evidence)


def _flows(evidence: Evidence) -> CheckRow:
    verdicts = Counter(flow.verdict.value for flow in evidence.flows)
    pods = Counter(flow.pod for flow in evidence.flows if flow.pod and flow.verdict is REACHED)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    by = f": {', '.join(f'{pod} {count}' for pod, count in sorted(pods.items()))}" if pods else ""
    return CheckRow(check="flows", ok=not evidence.lost, found=f"{told}{by}")


def _service(evidence: Evidence, service: Service) -> Iterator[CheckRow]:
    yield CheckRow(check="object", ok=True, found=f"Service {key_of(service)} is there")
    selector = service.spec.selector
    if not selector:
        yield CheckRow(check="selector", ok=None, found="none")
        return
    pods = chosen(evidence.view.pods, service.metadata.namespace or "default", selector)
    spelled = ",".join(f"{key}={value}" for key, value in selector.items())
    yield CheckRow(check="selector", ok=bool(pods), found=f"{spelled} matches {_count(len(pods), 'Pod')}")
    unready = [pod_name(pod) for pod in pods if not pod.condition("Ready")]
    if pods:
        found = f"not ready: {', '.join(unready)}" if unready else f"{len(pods)} of {len(pods)} ready"
        yield CheckRow(check="readiness", ok=not unready, found=found)
    ends = sorted(_endpoints(evidence, service))
    yield CheckRow(check="slices", ok=bool(ends), found=", ".join(ends[:5]) or "no ready endpoint")


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
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _foretold(evidence: Evidence) -> CheckRow:
    verdicts = Counter(way.verdict.value for way in evidence.prediction.ways)
    found = " or ".join(sorted(verdicts))
    same = "as seen" if not evidence.strange else "which is not what was seen"
    return CheckRow(check="foretold", ok=not evidence.strange, found=f"by its objects: {found}, {same}")
