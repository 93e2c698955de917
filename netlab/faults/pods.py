"""Faults of a Pod: its resolver, its address."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from pydantic import JsonValue

from netlab.dns.addon import CLUSTER_DOMAIN
from netlab.faults.fault import PodFault, unfit
from netlab.faults.names import FaultName
from netlab.faults.steps import Create, Steps, Write, command
from netlab.model.cluster import ClusterView, pod_addresses, pod_place
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import FORCED, ContainerPort, Pod, ServicePort
from netlab.model.topology import PodLink
from netlab.plan.bridges import POD_BRIDGE
from netlab.plan.stations import WIRE, PlacedPod, placed_pod

RANGE_CLASH = FaultName.POD_RANGE_IN_SERVICE_RANGE.value


def _wrong_server(view: ClusterView, pod: Pod) -> Steps:
    """The last address of the Service range but one, which nobody gets by chance."""
    cidr = view.topology.spec.network.service_cidrs[0]
    namespace = pod.metadata.namespace or "default"
    search = " ".join(f"{part}{CLUSTER_DOMAIN}" for part in (f"{namespace}.svc.", "svc.", ""))
    lines = (f"nameserver {cidr.broadcast_address - 2}", f"search {search}", "options ndots:5 timeout:1 attempts:1")
    return (Write(place=str(pod_place(pod)), file="resolv.conf", text="".join(f"{line}\n" for line in lines)),)


def _same_address(view: ClusterView, pod: Pod) -> Steps:
    """Another Pod of the node has the address too, and the node believes the one that it heard last."""
    own, twin = placed_pod(pod, lab=view.lab), _neighbour(view, pod)
    other = placed_pod(twin, lab=view.lab)
    if own is None or other is None:
        raise unfit("it has no interface of its own")
    address = next((each for each in pod_addresses(pod) if each.version == 4), None)
    if address is None:
        raise unfit("it has no IPv4 address")
    node = Place(PlaceKind.NODE, own.node)
    take = command(pod_place(twin), f"ip addr add {address}/32 dev {WIRE}", undo=f"ip addr del {address}/32 dev {WIRE}")
    if view.topology.spec.network.pod_link is PodLink.PTP:
        change = f"ip route replace {address} dev"
        known = command(
            node,
            f"ip neigh replace {address} lladdr {other.mac} dev {other.port} nud permanent",
            undo=f"ip neigh del {address} dev {other.port}",
        )
        return (take, known, command(node, f"{change} {other.port}", undo=f"{change} {own.port}"))
    return (take, command(node, _heard(address, other), undo=_heard(address, own)))


def _also_a_service(view: ClusterView, pod: Pod) -> Steps:
    """The API server would refuse the ranges, and the address: it is told not to look (annotation netlab/forced)."""
    own = [port for container in pod.spec.containers for port in container.ports]
    address = next((each for each in pod_addresses(pod) if each.version == 4), None)
    if not own or address is None:
        raise unfit("it declares no containerPort, or has no IPv4 address")
    port, other, selector = _other_service(view, pod, own)
    namespace = pod.metadata.namespace or "default"
    spec: dict[str, JsonValue] = {
        "clusterIP": str(address),
        "selector": dict(selector),
        "ports": [{"port": port, "protocol": other.protocol.value, "targetPort": other.target_port or other.port}],
    }
    metadata: dict[str, JsonValue] = {"name": RANGE_CLASH, "namespace": namespace, "annotations": {FORCED: "true"}}
    manifest: dict[str, JsonValue] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return (Create(kind="Service", name=RANGE_CLASH, namespace=namespace, manifest=manifest),)


def _other_service(
    view: ClusterView, pod: Pod, own: Sequence[ContainerPort]
) -> tuple[int, ServicePort, dict[str, str]]:
    """A port of the Pod's, and a Service of its namespace that the Pod is none of: its port of that protocol."""
    others = [each for each in view.services if each.metadata.namespace == pod.metadata.namespace]
    for port, service in product(own, others):
        selector = service.spec.selector
        theirs = next((each for each in service.spec.ports if each.protocol is port.protocol), None)
        if theirs and selector and not selector.items() <= pod.metadata.labels.items():
            return port.container_port, theirs, selector
    raise unfit("there is no Service of other Pods in its namespace whose protocol it speaks")


def _heard(address: object, pod: PlacedPod) -> str:
    return f"ip neigh replace {address} lladdr {pod.mac} dev {POD_BRIDGE} nud permanent"


def _neighbour(view: ClusterView, pod: Pod) -> Pod:
    """The first other Pod of the same node and namespace."""
    for other in sorted(view.pods, key=lambda each: each.key):
        same = other.spec.node_name == pod.spec.node_name and other.metadata.namespace == pod.metadata.namespace
        if same and other.key != pod.key and other.status.pod_ips and not other.spec.host_network:
            return other
    raise unfit("there is no other Pod on its node")


POD_FAULTS = (
    PodFault(
        name=FaultName.WRONG_DNS,
        summary="The Pod's resolv.conf names a server that is not there.",
        evidence="No name can be resolved in the Pod, and programs that use names hang or fail, while every address "
        "is reached as ever, Services too.",
        steps=_wrong_server,
    ),
    PodFault(
        name=FaultName.DUPLICATE_ADDRESS,
        summary="Another Pod of its node has the Pod's address too.",
        evidence="What comes for the Pod through its node reaches the other Pod, which answers with its own name or, "
        "where it does not serve the port, refuses; so do readiness probes, and the Pod may leave its Services. What "
        "the Pod sends gets no answer (dropped).",
        steps=_same_address,
    ),
    PodFault(
        name=FaultName.POD_RANGE_IN_SERVICE_RANGE,
        summary="The Pod's address was given to a Service as well, as happens where the Pod range lies inside the "
        "Service range and nobody checked.",
        evidence="What is sent to the Pod's own address and port, by readiness probes too, reaches Pods of that "
        "other Service. Its own Services suffer as well: in mode iptables what one node translates and another "
        "delivers is translated twice and dropped, in mode nftables all of it is refused, as what is for a ClusterIP "
        "and was not translated there.",
        steps=_also_a_service,
    ),
)
