"""Why a foretold way does not end well, by its reason, as a cause and a remedy: one function a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from netlab.model.cluster import ClusterView, pod_name
from netlab.model.diagnosis import CauseName
from netlab.model.objects import Pod, Service, TrafficPolicy
from netlab.model.rules import Family
from netlab.trace.causes import Cause, Reason
from netlab.trace.diagnosis.asked import by_node_port
from netlab.trace.diagnosis.evidence import Finding
from netlab.trace.foretell import Foretold
from netlab.trace.meaning import explain, leading_to, service_at, service_of
from netlab.trace.no_endpoints import Lack, WithoutEndpoint, key_of, without_endpoint


def selector_of(service: Service) -> str:
    """`app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in (service.spec.selector or {}).items())


def named(service: Service) -> str:
    """`Service default/web`."""
    return f"Service {key_of(service)}"


def _entered(view: ClusterView, way: Foretold) -> Service | None:
    """The Service that the first packet was addressed to, before anybody translated it."""
    packet = way.hops[0].packet
    address = ip_address(packet.dst)
    return by_node_port(view, packet.dport) if view.node_at(address) else service_at(view, address)


def _port_entered(service: Service, way: Foretold) -> str:
    """The name of the Service's port that the first packet was addressed to."""
    asked = way.hops[0].packet.dport
    return next((each.name or "" for each in service.spec.ports if asked in (each.port, each.node_port)), "")


def _no_endpoint(view: ClusterView, cause: Cause, way: Foretold) -> Finding:
    service = service_of(view, cause.service) if cause.service else _entered(view, way)
    if service is None:
        return Finding(CauseName.SELECTOR_MISSING, explain(view, cause), "write an EndpointSlice for the Service")
    asked = cause.service.key.port if cause.service else _port_entered(service, way)
    port, family = asked, cause.service.key.family if cause.service else Family.IPV4
    lack = without_endpoint(view, service, port=port, family=family)
    return _LACKS[lack.lack](service, lack)


def _no_pod(service: Service, lack: WithoutEndpoint) -> Finding:
    meant = f"spec.selector of {named(service)} to {{{lack.meant.replace('=', ': ')}}}" if lack.meant else ""
    other = f"give the Pods the labels {selector_of(service)}, or spec.selector of {named(service)} theirs"
    return Finding(CauseName.SELECTOR_MATCHES_NOTHING, lack.text, f"set {meant}" if meant else other)


def _named_port(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = f"name a port of the containers so, or set targetPort of {named(service)} to {lack.meant or 'a number'}"
    return Finding(CauseName.NAMED_PORT_MISSING, lack.text, remedy)


def _not_ready(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = "make its readinessProbe pass: netlab get events, netlab logs POD and netlab get pods say why it fails"
    return Finding(CauseName.READINESS_FAILING, lack.text, remedy)


def _no_address(service: Service, lack: WithoutEndpoint) -> Finding:
    return Finding(CauseName.PODS_WITHOUT_ADDRESS, lack.text, "netlab get pods shows which have no node or no address")


def _no_selector(service: Service, lack: WithoutEndpoint) -> Finding:
    remedy = f"give {named(service)} a spec.selector, or write an EndpointSlice for it"
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
        remedy = f"ask for port {cause.port}/{spoken}, or set protocol: {cause.protocol.upper()} in {named(service)}"
        return Finding(CauseName.PROTOCOL_MISMATCH, explain(view, cause), remedy)
    has = ", ".join(f"{port.port}/{port.protocol.lower()}" for port in service.spec.ports)
    return Finding(CauseName.PORT_NOT_SERVED, explain(view, cause), f"ask for one that {named(service)} has: {has}")


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
            spoken = f"set protocol: {cause.protocol.upper()} in {named(other)}, or speak its own"
            return Finding(CauseName.PROTOCOL_MISMATCH, text, spoken)
        return Finding(CauseName.PORT_NOT_SERVED, text, "ask for a port that a Service has: netlab get services")
    leading = leading_to(view, pod, port=cause.port, protocol=cause.protocol) if way.endpoint else None
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


def _answered_by_another(view: ClusterView, cause: Cause, way: Foretold) -> Finding:
    """Mode ipvs asks an endpoint of another node where it has none, and leaves the client's address as policy Local
    wants it: the answer does not come back this way.
    """
    node, service = view.node_at(ip_address(way.hops[0].packet.dst)), _entered(view, way)
    if service is None or service.spec.external_traffic_policy is not TrafficPolicy.LOCAL:
        return _otherwise(view, cause, way)
    where = f", and {node.metadata.name} has no ready endpoint of it" if node else ""
    text = (
        f"{named(service)} keeps its clients' addresses (externalTrafficPolicy: Local){where}: it is asked of another "
        f"node's, which answers {cause.at} itself, from an address that it never asked."
    )
    remedy = f"set spec.externalTrafficPolicy of {named(service)} to Cluster, or run one of its Pods there"
    return Finding(CauseName.EXTERNAL_POLICY_LOCAL, text, remedy)


def _otherwise(view: ClusterView, cause: Cause, _: Foretold) -> Finding:
    return Finding(CauseName.UNKNOWN, explain(view, cause), "netlab trace FROM TO --predict shows the way hop by hop")


FINDINGS: Mapping[Reason, Callable[[ClusterView, Cause, Foretold], Finding]] = {
    Reason.NO_ENDPOINT: _no_endpoint,
    Reason.NO_LOCAL_ENDPOINT: _no_local_endpoint,
    Reason.SOURCE_RANGE: _source_range,
    Reason.PORT_NOT_SERVED: _port_not_served,
    Reason.NO_SUCH_SERVICE: _nobody,
    Reason.NO_LISTENER: _no_listener,
    Reason.NO_ROUTE: _no_route,
    Reason.NOBODY_THERE: _nobody,
    Reason.NOT_A_ROUTER: _nobody,
    Reason.OTHER_ADDRESS_ANSWERS: _answered_by_another,
    Reason.LOOP: _otherwise,
}
