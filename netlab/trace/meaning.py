"""What the end of a packet means, in one sentence: one for each reason, from the lab's objects."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from netlab.model.cluster import ClusterView, pod_name, spell
from netlab.model.objects import SERVICE_NAME_LABEL, EndpointSlice, Pod, Service
from netlab.model.objects import ServicePort as ObjectServicePort
from netlab.model.rules import Family, IPAddress
from netlab.proxy.ports import ServicePort
from netlab.trace.causes import Cause, Reason
from netlab.trace.no_endpoints import key_of, why_no_endpoint


def explain(view: ClusterView, cause: Cause) -> str:
    """The sentence about a cause."""
    return _SENTENCES[cause.reason](view, cause)


# --- Services


def _no_endpoint(view: ClusterView, cause: Cause) -> str:
    port = cause.service
    service = service_of(view, port) if port else service_at(view, cause.address)
    if service is None:
        return "The Service has no ready endpoint."
    family = port.key.family if port else Family.IPV4
    return why_no_endpoint(view, service, port=port.key.port if port else "", family=family)


def _no_local_endpoint(view: ClusterView, cause: Cause) -> str:
    route = cause.route
    if route is None:
        return "The traffic policy is Local, and this node has no endpoint."
    inside = cause.address == route.port.cluster_ip
    policy = "internalTrafficPolicy" if inside else "externalTrafficPolicy"
    name, node = f"Service {_key(route.port)}", cause.at.removeprefix("node/")
    where = sorted(_nodes_with_endpoints(view, route.port))
    there = f"; {', '.join(where)} {'has' if len(where) == 1 else 'have'} some" if where else ""
    return f"{name} keeps traffic on its node ({policy}: Local), and {node} has no ready endpoint of it{there}."


def _source_range(_: ClusterView, cause: Cause) -> str:
    ranges = ", ".join(map(str, cause.allowed)) or "its source ranges"
    name = f"Service {_key(cause.service)}" if cause.service else "The Service"
    return (
        f"{name} lets only {ranges} use its load balancer (loadBalancerSourceRanges); {cause.source} is not in there."
    )


def _port_not_served(view: ClusterView, cause: Cause) -> str:
    service = service_at(view, cause.address)
    if service is None:
        return f"No Service serves {_target(cause)}."
    has = ", ".join(f"{port.port}/{port.protocol.lower()}" for port in service.spec.ports)
    return f"Service {key_of(service)} has no port {cause.port}/{cause.protocol}; it has {has}."


def _no_such_service(_: ClusterView, cause: Cause) -> str:
    return f"No Service has the address {cause.address}."


# --- routes


def _no_route(view: ClusterView, cause: Cause) -> str:
    """The commonest way to end at a router: an address that means something inside the cluster alone."""
    address = cause.address
    service = service_at(view, address)
    if service is not None:
        return _service_not_translated(view, cause, service)
    pod = view.pod_at(address) if address else None
    if pod is not None:
        return (
            f"{address} is the address of Pod {pod_name(pod)}, which means something inside the cluster alone: "
            f"{cause.at} has no route to Pods."
        )
    network = view.topology.spec.network
    if address and any(address in cidr for cidr in network.service_cidrs):
        return f"No Service has the address {address}, so that no rule translates it, and no router knows the range."
    if address and any(address in cidr for cidr in network.pod_cidrs):
        return f"No Pod has the address {address}: no node has that part of the Pod range ({cause.text})."
    return f"There is no route to {address} at {cause.at} ({cause.text})."


def _service_not_translated(view: ClusterView, cause: Cause, service: Service) -> str:
    here = {port.port for port in service.spec.ports if port.protocol.lower() == cause.protocol}
    if cause.protocol == "icmp":
        return f"{cause.address} is an address of Service {key_of(service)}, and Services have no ICMP."
    if cause.port not in here:
        return _port_not_served(view, cause)
    return (
        f"{cause.address} is an address of Service {key_of(service)}, which means something on the nodes alone: from "
        f"outside use a node port or a load balancer."
    )


def _nobody_there(_: ClusterView, cause: Cause) -> str:
    return f"Nobody has the address {cause.address}: who asks for it at {cause.at} gets no answer."


def _not_a_router(_: ClusterView, cause: Cause) -> str:
    return f"{cause.at} got a packet for {cause.address}, which it has not, and does not forward."


def _other_address(_: ClusterView, cause: Cause) -> str:
    return f"The answer comes from {cause.source}, which {cause.at} has not asked: it throws the answer away."


def _loop(_: ClusterView, cause: Cause) -> str:
    return f"The packet to {cause.address} goes round in circles."


# --- programs


def _no_listener(view: ClusterView, cause: Cause) -> str:
    if cause.at.startswith("node/"):
        return _nobody_on_node(view, cause)
    pods = [pod for pod in view.pods if cause.at == f"pod/{pod_name(pod)}"]
    if not pods:
        return f"Nobody at {cause.at} listens on port {cause.port}/{cause.protocol}."
    ports = _ports_of(pods[0])
    has = f"it has {', '.join(ports)}" if ports else "it has none"
    wrong = _wrong_target_port(view, cause, pods[0])
    return f"Nobody in Pod {pod_name(pods[0])} listens on port {cause.port}/{cause.protocol}; {has}.{wrong}"


def _wrong_target_port(view: ClusterView, cause: Cause, pod: Pod) -> str:
    found = leading_to(view, pod, port=cause.port, protocol=cause.protocol)
    if found is None:
        return ""
    service, port = found
    return f" Port {port.port} of Service {key_of(service)} leads there: is its targetPort right?"


def leading_to(
    view: ClusterView, pod: Pod, *, port: int | None, protocol: str
) -> tuple[Service, ObjectServicePort] | None:
    """The Service, and its port, that sends packets to that port of the Pod."""
    namespace = pod.metadata.namespace or "default"
    for service in view.services:
        chooses = service.spec.selector and service.spec.selector.items() <= pod.metadata.labels.items()
        if not chooses or (service.metadata.namespace or "default") != namespace:
            continue
        for each in service.spec.ports:
            if (each.target_port or each.port) == port and each.protocol.lower() == protocol:
                return service, each
    return None


def _ports_of(pod: Pod) -> list[str]:
    return [f"{port.container_port}/{port.protocol.lower()}" for each in pod.spec.containers for port in each.ports]


def _nobody_on_node(view: ClusterView, cause: Cause) -> str:
    """A node port that no Service has, or one that is not on that address."""
    ports = {str(p.node_port): s for s in view.services for p in s.spec.ports if p.node_port}
    node = cause.at.removeprefix("node/")
    if (service := ports.get(str(cause.port))) is not None:
        mode = view.topology.spec.proxy_mode(node)
        return (
            f"Service {key_of(service)} has the node port {cause.port}, which in mode {mode} does not answer at "
            f"{_target(cause)}."
        )
    near = difflib.get_close_matches(str(cause.port), ports, n=1)
    instead = f"; did you mean {near[0]} of Service {key_of(ports[near[0]])}?" if near else "."
    return f"Nobody listens on port {cause.port}/{cause.protocol} of {node}, and no Service has that node port{instead}"


# --- inside

_SENTENCES: Mapping[Reason, Callable[[ClusterView, Cause], str]] = {
    Reason.NO_ENDPOINT: _no_endpoint,
    Reason.NO_LOCAL_ENDPOINT: _no_local_endpoint,
    Reason.SOURCE_RANGE: _source_range,
    Reason.PORT_NOT_SERVED: _port_not_served,
    Reason.NO_SUCH_SERVICE: _no_such_service,
    Reason.NO_LISTENER: _no_listener,
    Reason.NO_ROUTE: _no_route,
    Reason.NOBODY_THERE: _nobody_there,
    Reason.NOT_A_ROUTER: _not_a_router,
    Reason.OTHER_ADDRESS_ANSWERS: _other_address,
    Reason.LOOP: _loop,
}


def _key(port: ServicePort) -> str:
    return str(port.key.service)


def _target(cause: Cause) -> str:
    return spell(cause.address, cause.port or 0) if cause.address else "that address"


def service_of(view: ClusterView, port: ServicePort) -> Service | None:
    """The Service that a port is of."""
    return next((service for service in view.services if key_of(service) == _key(port)), None)


def service_at(view: ClusterView, address: IPAddress | None) -> Service | None:
    """The Service with that address of any kind."""
    return next((service for service in view.services if str(address) in _addresses(service)), None)


def _addresses(service: Service) -> tuple[str, ...]:
    ingress = tuple(each.ip for each in service.status.load_balancer.ingress if each.ip)
    own = (*service.spec.cluster_ips, service.spec.cluster_ip or "")
    return (*own, *service.spec.external_ips, *ingress)


def slices_of(view: ClusterView, service: Service) -> tuple[EndpointSlice, ...]:
    """The EndpointSlices that are the Service's."""
    namespace, name = service.metadata.namespace or "default", service.metadata.name
    return tuple(
        piece
        for piece in view.endpoint_slices
        if (piece.metadata.namespace or "default") == namespace
        and piece.metadata.labels.get(SERVICE_NAME_LABEL) == name
    )


def _nodes_with_endpoints(view: ClusterView, port: ServicePort) -> set[str]:
    service = service_of(view, port)
    return {
        endpoint.node_name
        for piece in (slices_of(view, service) if service else ())
        for endpoint in piece.endpoints
        if endpoint.node_name and endpoint.conditions.ready is not False
    }
