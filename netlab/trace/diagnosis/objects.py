"""Causes that stand in the objects: what the model itself foretells to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network

from netlab.model.cluster import ClusterView, pod_name
from netlab.model.diagnosis import CauseName
from netlab.model.objects import Pod, Service
from netlab.model.rules import Family
from netlab.trace.causes import Cause, Reason
from netlab.trace.diagnosis.asked import service_asked
from netlab.trace.diagnosis.evidence import Evidence, Finding
from netlab.trace.foretell import Foretold
from netlab.trace.meaning import explain, leading_to, service_at, service_of
from netlab.trace.no_endpoints import Lack, WithoutEndpoint, chosen, key_of, without_endpoint

APPLICATION_LABELS = ("app", "app.kubernetes.io/name", "k8s-app", "run", "app.kubernetes.io/component", "tier", "role")
"""Labels by which people tell applications apart; `version` or `track` may differ behind one Service."""


def in_objects(evidence: Evidence) -> Finding | None:
    """The cause of the first foretold way that does not end well; None where all do."""
    failing = evidence.foretold_lost
    if not failing or failing[0].cause is None:
        return None
    way, view = failing[0], evidence.view
    finding = _FINDINGS[failing[0].cause.reason](view, failing[0].cause, way)
    return _for_some(evidence, finding) if len(failing) < len(evidence.prediction.ways) else finding


def _for_some(evidence: Evidence, finding: Finding) -> Finding:
    """Some endpoints answer, others have nobody that listens: they are other Pods than those that were meant."""
    if finding.cause not in (CauseName.WRONG_TARGET_PORT, CauseName.PROTOCOL_MISMATCH, CauseName.NOTHING_LISTENS):
        return finding
    others = sorted({_pod(way) for way in evidence.foretold_lost})
    service = service_asked(evidence.prediction)
    name, selector = (f"Service {key_of(service)}", _selector(service)) if service else ("The Service", "it")
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
            text = f"{_named(service)} chooses Pods of several applications ({key}: {', '.join(values)})"
            return Finding(
                CauseName.SELECTOR_TOO_BROAD, f"{text} by selector {_selector(service)}.", _narrower(service)
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


def shared_address(evidence: Evidence) -> Finding | None:
    """A Service whose ClusterIP lies in the Pod range, and is that of a packet of the flow."""
    ends = {address for hop in evidence.hops for address in (hop.packet.src, hop.packet.dst)}
    ranges = evidence.view.topology.spec.network.pod_cidrs
    for service in evidence.view.services:
        for address in ends.intersection(service.spec.cluster_ips):
            if any(ip_address(address) in each for each in ranges):
                text = f"{_named(service)} has the ClusterIP {address} of the Pod range: it is a Pod's as well."
                remedy = (
                    f"give {_named(service)} an address of the Service range: delete it and apply it without clusterIP"
                )
                return Finding(CauseName.POD_RANGE_IN_SERVICE_RANGE, text, remedy)
    return None


def _selector(service: Service) -> str:
    return ",".join(f"{key}={value}" for key, value in (service.spec.selector or {}).items())


def _narrower(service: Service | None) -> str:
    where = f" of {_named(service)}" if service else ""
    return f"add to spec.selector{where} a label that only the Pods have that are meant"


def _named(service: Service) -> str:
    return f"Service {key_of(service)}"


# --- one function a reason


def _no_endpoint(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    service = service_of(view, cause.service) if cause.service else service_at(view, cause.address)
    if service is None:
        return Finding(CauseName.SELECTOR_MISSING, explain(view, cause), "write an EndpointSlice for the Service")
    port, family = (cause.service.key.port, cause.service.key.family) if cause.service else ("", Family.IPV4)
    lack = without_endpoint(view, service, port=port, family=family)
    return _LACKS[lack.lack](service, lack)


def _no_pod(service: Service, lack: WithoutEndpoint) -> Finding:
    meant = f"spec.selector of {_named(service)} to {{{lack.meant.replace('=', ': ')}}}" if lack.meant else ""
    other = f"give the Pods the labels {_selector(service)}, or spec.selector of {_named(service)} theirs"
    return Finding(CauseName.SELECTOR_MATCHES_NOTHING, lack.text, f"set {meant}" if meant else other)


def _named_port(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = f"name a port of the containers so, or set targetPort of {_named(service)} to {lack.meant or 'a number'}"
    return Finding(CauseName.NAMED_PORT_MISSING, lack.text, remedy)


def _not_ready(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = "make its readinessProbe pass: netlab get events, netlab logs POD and netlab get pods say why it fails"
    return Finding(CauseName.READINESS_FAILING, lack.text, remedy)


def _no_address(service: Service, lack: WithoutEndpoint) -> Finding:
    return Finding(CauseName.PODS_WITHOUT_ADDRESS, lack.text, "netlab get pods shows which have no node or no address")


def _no_selector(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = f"give {_named(service)} a spec.selector, or write an EndpointSlice for it"
    return Finding(CauseName.SELECTOR_MISSING, lack.text, remedy)


_LACKS: Mapping[Lack, Callable[[Service, WithoutEndpoint], Finding]] = {
    Lack.NO_POD: _no_pod,
    Lack.NAMED_PORT: _named_port,
    Lack.NOT_READY: _not_ready,
    Lack.UNUSABLE: _not_ready,
    Lack.NO_ADDRESS: _no_address,
    Lack.NO_SELECTOR: _no_selector,
}


def _no_local_endpoint(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    inside = cause.route is not None and cause.address == cause.route.port.cluster_ip
    field = "internalTrafficPolicy" if inside else "externalTrafficPolicy"
    name = CauseName.INTERNAL_POLICY_LOCAL if inside else CauseName.EXTERNAL_POLICY_LOCAL
    service = f" of Service {cause.service.key.service}" if cause.service else ""
    node = cause.at.removeprefix("node/")
    return Finding(
        name, explain(view, cause), f"set spec.{field}{service} to Cluster, or run one of its Pods on {node}"
    )


def _source_range(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    service = f" of Service {cause.service.key.service}" if cause.service else ""
    return Finding(
        CauseName.SOURCE_RANGE,
        explain(view, cause),
        f"add {cause.source} to spec.loadBalancerSourceRanges{service}, or ask from a listed address",
    )


def _port_not_served(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    service = service_at(view, cause.address)
    return _unserved(view, cause, service) if service else _nobody(view, cause, _)


def _unserved(view: ClusterView, cause: Cause, service: Service) -> Finding:
    """A port that the Service has not, or has in another protocol."""
    others = [port for port in service.spec.ports if port.port == cause.port]
    if others:
        spoken = others[0].protocol.lower()
        remedy = f"ask for port {cause.port}/{spoken}, or set protocol: {cause.protocol.upper()} in {_named(service)}"
        return Finding(CauseName.PROTOCOL_MISMATCH, explain(view, cause), remedy)
    has = ", ".join(f"{port.port}/{port.protocol.lower()}" for port in service.spec.ports)
    return Finding(CauseName.PORT_NOT_SERVED, explain(view, cause), f"ask for one that {_named(service)} has: {has}")


def _no_route(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    service = service_at(view, cause.address)
    if service and not any(_is(port.port, port.protocol, cause) for port in service.spec.ports):
        return _unserved(view, cause, service)
    if service or (cause.address and view.pod_at(cause.address)):
        remedy = "ask for a node port (node/NAME:PORT) or the address of a load balancer, or from inside the cluster"
        return Finding(CauseName.CLUSTER_ADDRESS_OUTSIDE, explain(view, cause), remedy)
    return _nobody(view, cause, _)


def _is(port: int, protocol: str, cause: Cause) -> bool:
    return (port, protocol.lower()) == (cause.port, cause.protocol)


def _nobody(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    remedy = "ask for an address that somebody has: netlab get services,pods,nodes shows them"
    return Finding(CauseName.NOBODY_HAS_ADDRESS, explain(view, cause), remedy)


def _no_listener(view: ClusterView, cause: Cause, way: Foretold) -> Finding:
    text = explain(view, cause)
    pod = next((each for each in view.pods if cause.at == f"pod/{pod_name(each)}"), None)
    if pod is None:
        if other := _by_node_port(view, cause):
            spoken = f"set protocol: {cause.protocol.upper()} in {_named(other)}, or speak its own"
            return Finding(CauseName.PROTOCOL_MISMATCH, text, spoken)
        return Finding(CauseName.PORT_NOT_SERVED, text, "ask for a port that a Service has: netlab get services")
    leading = leading_to(view, pod, port=cause.port, protocol=cause.protocol) if way.translated else None
    there = [port for each in pod.spec.containers for port in each.ports]
    if any(port.container_port == cause.port for port in there):
        spoken = next(port.protocol for port in there if port.container_port == cause.port).upper()
        where = f"Service {key_of(leading[0])}" if leading else "what asks"
        return Finding(CauseName.PROTOCOL_MISMATCH, text, f"set protocol: {spoken} in {where}")
    if leading is None:
        return Finding(CauseName.NOTHING_LISTENS, text, "ask for a port that the Pod has, or start what should listen")
    right = _ports(pod, cause.protocol)
    remedy = f"set targetPort of port {leading[1].port} of Service {key_of(leading[0])} to {right or 'the right one'}"
    return Finding(CauseName.WRONG_TARGET_PORT, text, remedy)


def _by_node_port(view: ClusterView, cause: Cause) -> Service | None:
    """The Service that has that node port in another protocol."""
    for service in view.services:
        for port in service.spec.ports:
            if port.node_port == cause.port and port.protocol.lower() != cause.protocol:
                return service
    return None


def _ports(pod: Pod, protocol: str) -> str:
    there = [port for each in pod.spec.containers for port in each.ports if port.protocol.lower() == protocol]
    return " or ".join(str(port.container_port) for port in there)


def _otherwise(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    return Finding(CauseName.UNKNOWN, explain(view, cause), "netlab trace FROM TO --predict shows the way hop by hop")


_FINDINGS: Mapping[Reason, Callable[[ClusterView, Cause, Foretold], Finding]] = {
    Reason.NO_ENDPOINT: _no_endpoint,
    Reason.NO_LOCAL_ENDPOINT: _no_local_endpoint,
    Reason.SOURCE_RANGE: _source_range,
    Reason.PORT_NOT_SERVED: _port_not_served,
    Reason.NO_SUCH_SERVICE: _nobody,
    Reason.NO_LISTENER: _no_listener,
    Reason.NO_ROUTE: _no_route,
    Reason.NOBODY_THERE: _nobody,
    Reason.NOT_A_ROUTER: _nobody,
    Reason.OTHER_ADDRESS_ANSWERS: _otherwise,
    Reason.LOOP: _otherwise,
}
