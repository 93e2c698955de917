"""Causes that stand in the objects: what the model itself foretells to fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

from netlab.model.cluster import ClusterView, pod_addresses
from netlab.model.diagnosis import CauseName
from netlab.model.objects import Service
from netlab.trace.diagnosis.asked import service_asked, unready_pods
from netlab.trace.diagnosis.evidence import REACHED, Evidence, Finding
from netlab.trace.diagnosis.reasons import FINDINGS, named, selector_of
from netlab.trace.foretell import Foretold
from netlab.trace.no_endpoints import chosen, key_of

APPLICATION_LABELS = ("app", "app.kubernetes.io/name", "k8s-app", "run", "app.kubernetes.io/component", "tier", "role")
"""Labels by which people tell applications apart; `version` or `track` may differ behind one Service."""


def in_objects(evidence: Evidence) -> Finding | None:
    """The cause of the first foretold way that does not end well; None where all do."""
    failing = evidence.foretold_lost
    if not failing or failing[0].cause is None:
        return None
    way, view = failing[0], evidence.view
    finding = FINDINGS[failing[0].cause.reason](view, failing[0].cause, way)
    return _for_some(evidence, failing, finding) if len(failing) < len(evidence.prediction.ways) else finding


def _for_some(evidence: Evidence, failing: Iterable[Foretold], finding: Finding) -> Finding:
    """Some endpoints answer, others have nobody that listens: they are other Pods than those that were meant."""
    if finding.cause not in (CauseName.WRONG_TARGET_PORT, CauseName.PROTOCOL_MISMATCH, CauseName.NOTHING_LISTENS):
        return finding
    others = sorted({_pod(way) for way in failing})
    service = service_asked(evidence.prediction)
    name, selector = (f"Service {key_of(service)}", selector_of(service)) if service else ("The Service", "it")
    text = f"{name} has endpoints that do not serve it: selector {selector} also matches {', '.join(others)}."
    return Finding(CauseName.SELECTOR_TOO_BROAD, f"{text} {finding.text}", _narrower(service))


def _pod(way: Foretold) -> str:
    return way.pod or (way.cause.at.removeprefix("pod/") if way.cause else "") or way.endpoint or ""


def too_broad(evidence: Evidence) -> Finding | None:
    """Flows fare well, but go to Pods of several applications."""
    service = service_asked(evidence.prediction)
    if service is None or not service.spec.selector:
        return None
    pods = chosen(evidence.view.pods, service.metadata.namespace or "default", service.spec.selector)
    for key in APPLICATION_LABELS:
        values = sorted({pod.metadata.labels[key] for pod in pods if key in pod.metadata.labels})
        if key not in service.spec.selector and len(values) > 1:
            text = f"{named(service)} chooses Pods of several applications ({key}: {', '.join(values)})"
            return Finding(
                CauseName.SELECTOR_TOO_BROAD, f"{text} by selector {selector_of(service)}.", _narrower(service)
            )
    return None


def overlapping(view: ClusterView) -> Finding | None:
    """Pods and Services that share a range: an address is then either's."""
    pods = (*view.topology.spec.network.pod_cidrs, *(ip_network(c) for n in view.nodes for c in n.spec.pod_cidrs))
    for one in pods:
        for other in view.topology.spec.network.service_cidrs:
            if one.version == other.version and one.overlaps(other):
                text = f"The Pod range {one} and the Service range {other} overlap: an address may be of either."
                remedy = "give spec.network.podCIDRs a range of its own (10.244.0.0/16), then netlab down and up"
                return Finding(CauseName.POD_RANGE_IN_SERVICE_RANGE, text, remedy)
    return None


def behind_proxy(evidence: Evidence) -> Finding | None:
    """In mode userspace kube-proxy takes in what it can bring to nobody: a client is connected, and gets no answer."""
    taken = [way for way in evidence.prediction.ways if way.verdict is REACHED and way.cause]
    if not taken or taken[0].cause is None:
        return None
    found = FINDINGS[taken[0].cause.reason](evidence.view, taken[0].cause, taken[0])
    found = _for_some(evidence, taken, found) if len(taken) < len(evidence.prediction.ways) else found
    return replace(found, text=f"kube-proxy accepts the connection itself, and then has nobody to ask. {found.text}")


def shared_address(evidence: Evidence) -> Finding | None:
    """A Service whose ClusterIP lies in the Pod range, and is that of a packet of the flow.

    Or of a Pod that is not ready for it: readiness probes go where the Service leads.
    """
    ends = {address for hop in evidence.hops for address in (hop.packet.src, hop.packet.dst)}
    ends |= {str(address) for pod in unready_pods(evidence) for address in pod_addresses(pod)}
    ranges = evidence.view.topology.spec.network.pod_cidrs
    for service in evidence.view.services:
        for address in ends.intersection(service.spec.cluster_ips):
            if any(ip_address(address) in each for each in ranges):
                text = f"{named(service)} has the ClusterIP {address} of the Pod range: it is a Pod's as well."
                remedy = (
                    f"give {named(service)} an address of the Service range: delete it and apply it without clusterIP"
                )
                return Finding(CauseName.POD_RANGE_IN_SERVICE_RANGE, text, remedy)
    return None


def _narrower(service: Service | None) -> str:
    where = f" of {named(service)}" if service else ""
    return f"add to spec.selector{where} a label that only the Pods have that are meant"
