"""What is in the picture of a lab, in the order in which it is drawn: machines, Pods, the wire, and Services beside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netlab.model.names import Place, PlaceKind
from netlab.model.objects import SERVICE_NAME_LABEL, EndpointSlice, Node, Pod, PodProtocol, Service
from netlab.model.topology import Fabric, PodLink, Topology
from netlab.plan.addresses import router_address
from netlab.plan.bridges import POD_BRIDGE, gateway
from netlab.plan.fabric import WIRE_BRIDGE
from netlab.plan.stations import external_stations, node_station

JOIN = " · "
MOST_NAMED = 3
"""So many endpoints of a Service are named; of more, how many they are."""


@dataclass(frozen=True, slots=True)
class PodDrawn:
    """A Pod: `place` as `pod/web-1`. Without a cable it uses its node's network."""

    place: str
    addresses: tuple[str, ...]
    cabled: bool = True

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]

    @property
    def lines(self) -> tuple[str, ...]:
        """What is said below the name: addresses, and the Kubernetes namespace where it is not `default`."""
        namespace = self.place.removeprefix("pod/").rpartition("/")[0]
        first, *others = self.addresses
        return (f"{first} ({namespace})" if namespace else first, *others)


@dataclass(frozen=True, slots=True)
class NodeDrawn:
    """A node with its Pods; `joint` is what their cables end in: the bridge, or the routing table (podLink: ptp)."""

    name: str
    addresses: tuple[str, ...]
    joint: tuple[str, ...]
    mode: str
    pods: tuple[PodDrawn, ...]

    @property
    def place(self) -> str:
        return f"node/{self.name}"


@dataclass(frozen=True, slots=True)
class ExternalDrawn:
    """A machine outside the cluster."""

    name: str
    addresses: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"external/{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceDrawn:
    """A Service: addresses with ports as one speaks to it, and who is behind."""

    name: str
    kind: str
    doors: tuple[str, ...]
    endpoints: str


@dataclass(frozen=True, slots=True)
class Scene:
    """All of it. `wire` says what joins the machines."""

    lab: str
    wire: str
    nodes: tuple[NodeDrawn, ...]
    externals: tuple[ExternalDrawn, ...]
    services: tuple[ServiceDrawn, ...]


def scene(
    topology: Topology,
    *,
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    services: Sequence[Service],
    endpoint_slices: Sequence[EndpointSlice],
) -> Scene:
    """The picture of these objects; a Pod that has no node yet is not in it."""
    lab, spec = topology.metadata.name, topology.spec
    order = {entry.name: index for index, entry in enumerate(spec.nodes)}
    first_to_last = sorted(nodes, key=lambda node: order.get(node.metadata.name, len(order)))
    names = {address: pod.metadata.name for pod in pods for address in _addresses(pod)}
    return Scene(
        lab=lab,
        wire=_wire(topology),
        nodes=tuple(_node(node, topology, pods) for node in first_to_last),
        externals=tuple(
            ExternalDrawn(each.name, tuple(str(interface.ip) for interface in each.addresses))
            for each in external_stations(topology, lab=lab)
        ),
        services=tuple(_service(service, endpoint_slices, names) for service in services),
    )


def _wire(topology: Topology) -> str:
    network = topology.spec.network
    ranges = ", ".join(map(str, network.node_cidrs))
    router = ", ".join(str(router_address(cidr)) for cidr in network.node_cidrs)
    tunnel = ("between nodes Pods' packets travel in VXLAN",) if network.fabric is Fabric.VXLAN else ()
    return JOIN.join((f"fabric {WIRE_BRIDGE}", ranges, f"router {router}", *tunnel))


def _node(node: Node, topology: Topology, pods: Iterable[Pod]) -> NodeDrawn:
    spec, name = topology.spec, node.metadata.name
    station = node_station(node, lab=topology.metadata.name, wire=spec.network.node_cidrs)
    bridged = spec.network.pod_link is PodLink.BRIDGE
    gateways = tuple(f"{gateway(cidr)}/{cidr.prefixlen}" for cidr in station.pod_cidrs)
    return NodeDrawn(
        name=name,
        addresses=tuple(str(interface.ip) for interface in station.addresses),
        joint=(POD_BRIDGE, *gateways) if bridged else ("routes", *map(str, station.pod_cidrs)),
        mode=spec.proxy_mode(name).value,
        pods=tuple(sorted((_pod(pod) for pod in pods if pod.spec.node_name == name), key=_by_name)),
    )


def _by_name(pod: PodDrawn) -> tuple[bool, str]:
    """What the lab brings itself comes last."""
    return pod.place.count("/") > 1, pod.name


def _pod(pod: Pod) -> PodDrawn:
    place = Place(PlaceKind.POD, pod.metadata.name, pod.metadata.namespace or "default")
    if pod.spec.host_network:
        return PodDrawn(str(place), ("its node's network",), cabled=False)
    return PodDrawn(str(place), _addresses(pod) or ("no address yet",), cabled=bool(_addresses(pod)))


def _addresses(pod: Pod) -> tuple[str, ...]:
    return tuple(entry.ip for entry in pod.status.pod_ips)


def _service(service: Service, slices: Iterable[EndpointSlice], names: dict[str, str]) -> ServiceDrawn:
    namespace, name = service.metadata.namespace or "default", service.metadata.name
    return ServiceDrawn(
        name=name if namespace == "default" else f"{namespace}/{name}",
        kind=(service.spec.type or "ClusterIP") if service.spec.cluster_ip != "None" else "headless",
        doors=tuple(_doors(service)),
        endpoints=_behind(_endpoints(namespace, name, slices), names),
    )


def _doors(service: Service) -> Iterator[str]:
    spec = service.spec
    own = [address for address in spec.cluster_ips or (spec.cluster_ip,) if address and address != "None"]
    ingress = [entry.ip for entry in service.status.load_balancer.ingress if entry.ip]
    for address in own:
        yield _door(address, service, "")
    for address in (*spec.external_ips, *ingress):
        yield _door(address, service, "from outside: ")
    if node_ports := _ports((port.node_port, port.protocol) for port in spec.ports if port.node_port):
        yield f"every node: {node_ports}"
    if spec.external_name:
        yield f"another name for {spec.external_name}"


def _door(address: str, service: Service, lead: str) -> str:
    ports = _ports((port.port, port.protocol) for port in service.spec.ports)
    spelled = f"[{address}]" if ":" in address else address
    return f"{lead}{spelled}:{ports}" if ports else f"{lead}{address}"


def _ports(pairs: Iterable[tuple[int, PodProtocol]]) -> str:
    """`80/TCP`, `53/UDP+TCP`."""
    protocols: defaultdict[int, list[str]] = defaultdict(list)
    for port, protocol in pairs:
        protocols[port].append(protocol.value)
    return ", ".join(f"{port}/{'+'.join(names)}" for port, names in protocols.items())


def _endpoints(namespace: str, name: str, slices: Iterable[EndpointSlice]) -> list[str]:
    """Addresses of those that are ready, each once by its Pod."""
    return [
        address
        for piece in slices
        if (piece.metadata.namespace or "default") == namespace
        and piece.metadata.labels.get(SERVICE_NAME_LABEL) == name
        for endpoint in piece.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses[:1]
    ]


def _behind(addresses: Sequence[str], names: dict[str, str]) -> str:
    found = sorted({names.get(address, address) for address in addresses})
    if not found:
        return "no endpoint"
    if len(found) > MOST_NAMED:
        return f"to {len(found)} Pods"
    return f"to {', '.join(found)}"
