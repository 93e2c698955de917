"""Faults of Services: what their objects say is wrong, and everything else does what it is told."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_network

from pydantic import JsonValue

from netlab.faults.endpoints import built_in_readiness, empty_nodes, pods_of
from netlab.faults.fault import SYSTEM, ServiceFault, unfit
from netlab.faults.names import FaultName
from netlab.faults.steps import Remember, Steps, command, patching
from netlab.model.cluster import ClusterView, pod_addresses, pod_place
from netlab.model.modes import ProxyMode
from netlab.model.objects import Pod, PodProtocol, Service, ServicePort, ServiceType

NOBODY = "netlab/fault"
"""A label that nothing has."""
NO_SUCH_PORT = "no-such-port"
STALE_PORT = 40053
"""The source port of the one flow that conntrack keeps sending to a Pod that is gone."""
UNUSED_PORT = 9
"""The port of the discard service (RFC 863): no Pod of a lab serves it unless a file says so."""


def _nothing_selected(_view: ClusterView, service: Service) -> Steps:
    """A label more that no Pod has: what a typing error in a selector comes to."""
    _require_selector(service)
    return (patching(service, {"spec": {"selector": {NOBODY: FaultName.SELECTOR_MATCHES_NOTHING.value}}}),)


def _too_much_selected(view: ClusterView, service: Service) -> Steps:
    """A label that its Pods share with others is all that is left of the selector."""
    selector = _require_selector(service)
    own = pods_of(view, service)
    own_keys = {pod.key for pod in own}
    others = [p for p in view.pods if p.metadata.namespace == service.metadata.namespace and p.key not in own_keys]
    shared = {label for pod in own for label in pod.metadata.labels.items()}
    for pod in own:
        shared &= set(pod.metadata.labels.items())
    for name, value in sorted(shared):
        if any(pod.metadata.labels.get(name) == value for pod in others):
            gone: dict[str, JsonValue] = {key: None for key in selector if key != name}
            return (patching(service, {"spec": {"selector": {**gone, name: value}}}),)
    raise unfit("its Pods share no label with other Pods of their namespace")


def _wrong_port(view: ClusterView, service: Service) -> Steps:
    declared = {p.container_port for pod in pods_of(view, service) for c in pod.spec.containers for p in c.ports}
    if UNUSED_PORT in declared:
        raise unfit(f"its Pods serve port {UNUSED_PORT}")
    return _with_ports(service, target_port=UNUSED_PORT)


def _missing_name(_view: ClusterView, service: Service) -> Steps:
    _require_selector(service)
    return _with_ports(service, target_port=NO_SUCH_PORT)


def _other_protocol(_view: ClusterView, service: Service) -> Steps:
    """TCP becomes UDP, and UDP becomes TCP."""
    _require_selector(service)
    swapped = {PodProtocol.TCP: PodProtocol.UDP, PodProtocol.UDP: PodProtocol.TCP}
    if any(port.protocol not in swapped for port in service.spec.ports):
        raise unfit("it has a port that is neither TCP nor UDP")
    ports = [_port(port.model_copy(update={"protocol": swapped[port.protocol]})) for port in service.spec.ports]
    return (patching(service, {"spec": {"ports": ports}}),)


def _never_ready(view: ClusterView, service: Service) -> Steps:
    """Its Pods' servers are told to fail their probes, as an application does whose database is gone."""
    probed = [(pod, url) for pod in pods_of(view, service) if (url := built_in_readiness(pod))]
    if not probed or len(probed) < len(pods_of(view, service)):
        raise unfit("not all of its Pods have a readiness probe (httpGet) that netlab's own server answers")
    curl = "curl -s --max-time 5 -X POST"
    return tuple(command(pod_place(pod), f"{curl} -d false {url}", undo=f"{curl} -d true {url}") for pod, url in probed)


def _local_inside(view: ClusterView, service: Service) -> Steps:
    _require_empty_node(view, service)
    _require_policies(view, service, ignored=(ProxyMode.IPVS, ProxyMode.USERSPACE))
    return (patching(service, {"spec": {"internalTrafficPolicy": "Local"}}),)


def _local_outside(view: ClusterView, service: Service) -> Steps:
    if service.spec.type not in (ServiceType.NODE_PORT, ServiceType.LOAD_BALANCER):
        raise unfit("it is neither a NodePort nor a LoadBalancer: nothing comes from outside")
    _require_empty_node(view, service)
    _require_policies(view, service, ignored=(ProxyMode.USERSPACE,))
    return (patching(service, {"spec": {"externalTrafficPolicy": "Local"}}),)


def _stale_flow(view: ClusterView, service: Service) -> Steps:
    """From the first Pod that is none of the Service's, to an address that was a Pod's once and is nobody's now."""
    ports = [port for port in service.spec.ports if port.protocol is PodProtocol.UDP]
    own = {pod.key for pod in pods_of(view, service)}
    clients = sorted((pod for pod in view.pods if pod.key not in own and _is_client(pod)), key=lambda pod: pod.key)
    if not ports:
        raise unfit("it has no UDP port")
    if not clients:
        raise unfit("every Pod is one of its own: nobody is left to ask it")
    client, virtual = clients[0], ip_address(service.spec.cluster_ip or "")
    source = next((each for each in pod_addresses(client) if each.version == virtual.version), None)
    node = next(each for each in view.nodes if each.metadata.name == client.spec.node_name)
    gone = next((ip_network(c) for c in node.spec.pod_cidrs if ip_network(c).version == virtual.version), None)
    if source is None or gone is None:
        raise unfit(f"{pod_place(client)} has no address of its family")
    flow = Remember(
        node=node.metadata.name,
        source=source,
        source_port=STALE_PORT,
        destination=virtual,
        port=ports[0].port,
        became=gone.broadcast_address - 1,
        became_port=ports[0].port,
    )
    return (flow,)


def _is_client(pod: Pod) -> bool:
    return bool(pod.spec.node_name and pod.status.pod_ips) and pod.metadata.namespace != SYSTEM


def _require_selector(service: Service) -> dict[str, str]:
    if not service.spec.selector:
        raise unfit("it has no selector")
    return service.spec.selector


def _require_empty_node(view: ClusterView, service: Service) -> None:
    if not empty_nodes(view, service):
        raise unfit("every node has a Pod of it, so that each finds one at home")
    if not pods_of(view, service):
        raise unfit("it has no Pod")


def _require_policies(view: ClusterView, service: Service, *, ignored: Collection[ProxyMode]) -> None:
    """That some node without an endpoint is in a mode that heeds the policy."""
    modes = {view.topology.spec.proxy_mode(node) for node in empty_nodes(view, service)}
    if modes <= set(ignored):
        raise unfit(
            f"in mode {' and '.join(sorted(modes))} that policy is not heeded: endpoints of all nodes are asked"
        )


def _with_ports(service: Service, *, target_port: int | str) -> Steps:
    ports = [_port(port.model_copy(update={"target_port": target_port})) for port in service.spec.ports]
    return (patching(service, {"spec": {"ports": ports}}),)


def _port(port: ServicePort) -> JsonValue:
    spelled: JsonValue = port.model_dump(mode="json", by_alias=True, exclude_none=True)
    return spelled


SERVICE_FAULTS = (
    ServiceFault(
        name=FaultName.SELECTOR_MATCHES_NOTHING,
        summary="The Service's selector asks for a label that no Pod has.",
        evidence="Every packet to the Service is refused at once (ICMP port unreachable) and its EndpointSlice is "
        "empty, while its Pods answer as ever.",
        steps=_nothing_selected,
    ),
    ServiceFault(
        name=FaultName.SELECTOR_TOO_BROAD,
        summary="Of the Service's selector only a label is left that other Pods have too.",
        evidence="Some packets to the Service reach Pods that are none of it, or are refused by Pods that do not "
        "serve the port; its EndpointSlice lists them.",
        steps=_too_much_selected,
    ),
    ServiceFault(
        name=FaultName.WRONG_TARGET_PORT,
        summary=f"The Service's targetPort is {UNUSED_PORT}, where its Pods do not listen.",
        evidence="Every packet to the Service is refused, by the Pod itself: translated to the Pod's address and "
        f"port {UNUSED_PORT}, answered by a reset; the Pods answer on their own port.",
        steps=_wrong_port,
    ),
    ServiceFault(
        name=FaultName.NAMED_PORT_MISSING,
        summary=f"The Service's targetPort is a name, {NO_SUCH_PORT}, that no container's port has.",
        evidence="Every packet to the Service is refused at once (ICMP port unreachable): no Pod counts as an "
        "endpoint of that port, though the selector matches and the Pods are ready.",
        steps=_missing_name,
    ),
    ServiceFault(
        name=FaultName.PROTOCOL_MISMATCH,
        summary="The Service's ports are UDP where its Pods serve TCP, or the other way round.",
        evidence="No rule is for the protocol that clients speak: packets to the ClusterIP leave untranslated and "
        "are unreachable (modes iptables and userspace) or refused (nftables and ipvs); a node port is refused.",
        steps=_other_protocol,
    ),
    ServiceFault(
        name=FaultName.READINESS_FAILING,
        summary="The Service's Pods fail their readiness probes.",
        evidence="Once the probes have failed often enough, packets to the Service are refused; `netlab get pods` "
        "shows 0/1 ready, and the Pods answer whoever asks them directly.",
        steps=_never_ready,
    ),
    ServiceFault(
        name=FaultName.INTERNAL_POLICY_LOCAL,
        summary="The Service's internalTrafficPolicy is Local, and some node has no Pod of it.",
        evidence="What Pods and programs of such a node send to the ClusterIP is dropped without a word (mode ipvs: "
        "reached as ever); nodes that have a Pod of it reach that one alone.",
        steps=_local_inside,
    ),
    ServiceFault(
        name=FaultName.EXTERNAL_POLICY_LOCAL,
        summary="The Service's externalTrafficPolicy is Local, and some node has no Pod of it.",
        evidence="What comes from outside to the node port of such a node is dropped without a word; by other nodes "
        "it is reached, with the client's own address, and inside the cluster the Service works.",
        steps=_local_outside,
    ),
    ServiceFault(
        name=FaultName.STALE_UDP_FLOW,
        summary=f"A node's conntrack sends one UDP flow, from port {STALE_PORT} of a Pod, on to an address of the "
        "Service that is gone.",
        evidence="A client that keeps its source port gets no answer, however often it asks, while any other port is "
        "answered; the rules are right, and an established flow never meets them.",
        steps=_stale_flow,
    ),
)
