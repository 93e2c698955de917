"""Where a flow may pass: the namespaces that are watched, and what reports call them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from netlab.model.cluster import ClusterView, pod_addresses, pod_place
from netlab.model.modes import ProxyMode
from netlab.model.names import Place, PlaceKind, fabric_namespace, network_namespace
from netlab.model.objects import EndpointSlice, Service
from netlab.model.rules import IPAddress
from netlab.plan.stations import external_stations, node_station, placed_pod

FABRIC = "fabric"
SERVICE_NAME = "kubernetes.io/service-name"
FEW = 16
"""Up to so many Pods and nodes, all of them are watched: a packet is then seen wherever it goes astray."""


@dataclass(frozen=True, slots=True)
class Station:
    """A network namespace, and the place that it is: `pod/web-1`, `node/node1`, `fabric`."""

    namespace: str
    at: str

    @property
    def is_pod(self) -> bool:
        return self.at.startswith(f"{PlaceKind.POD}/")


def stations(view: ClusterView, source: Place, address: IPAddress) -> tuple[Station, ...]:
    """The places where a packet from `source` to `address` may come by."""
    return tuple(dict.fromkeys(_stations(view, source, address)))


def answer_ports(view: ClusterView, address: IPAddress, port: int) -> tuple[int, ...]:
    """The ports from which an answer may come: the target's own, and those of the Service's endpoints."""
    ports = {each.port for piece in _slices(view, address, port) for each in piece.ports if each.port}
    return tuple(sorted({port} | ports))


def has_proxies(view: ClusterView) -> bool:
    """Whether any node is in mode userspace: there answers come from ports that its kube-proxy has chosen."""
    spec = view.topology.spec
    return ProxyMode.USERSPACE in (spec.proxy.mode, *(node.proxy_mode for node in spec.nodes))


def endpoints(view: ClusterView, address: IPAddress, port: int) -> frozenset[tuple[IPAddress, int]]:
    """The addresses and ports behind the Services that packets to the address and port may mean."""
    return frozenset(
        (each, there.port or 0)
        for piece in _slices(view, address, port)
        for each in _addresses(piece)
        for there in piece.ports
    )


def ports(view: ClusterView) -> dict[str, dict[str, str]]:
    """The ports of bridges, by the namespace that has the bridge: which namespace hangs on each."""
    fabric = fabric_namespace(view.lab)
    wire = view.topology.spec.network.node_cidrs
    machines = (
        *(node_station(node, lab=view.lab, wire=wire) for node in view.nodes),
        *external_stations(view.topology, lab=view.lab),
    )
    found = {fabric: {machine.port: machine.namespace for machine in machines}}
    for pod in filter(None, (placed_pod(each, lab=view.lab) for each in view.pods)):
        node = network_namespace(view.lab, Place(PlaceKind.NODE, pod.node))
        found.setdefault(node, {})[pod.port] = pod.namespace
    return found


def _stations(view: ClusterView, source: Place, address: IPAddress) -> Iterator[Station]:
    yield Station(view.network_namespace(source), str(source))
    if source.kind is PlaceKind.POD:
        yield from _node(view, view.pod(source.name, namespace=source.namespace).spec.node_name)
    elif source.kind is PlaceKind.NODE:
        yield from _node(view, source.name)
    yield Station(fabric_namespace(view.lab), FABRIC)
    if addressed := view.node_at(address):
        yield from _node(view, addressed.metadata.name)
    everything = len(view.pods) + len(view.nodes) <= FEW
    behind = {a for piece in view.endpoint_slices for a in _addresses(piece)} if everything else set()
    behind = behind or {a for piece in _slices(view, address, None) for a in _addresses(piece)}
    for pod in view.pods:
        if everything or {address, *behind}.intersection(pod_addresses(pod)):
            yield from _node(view, pod.spec.node_name)
            if not pod.spec.host_network:
                yield Station(view.pod_network_namespace(pod), str(pod_place(pod)))
    if everything:
        for node in view.nodes:
            yield from _node(view, node.metadata.name)
    for name, addresses in view.external_addresses.items():
        if everything or address in addresses:
            place = Place(PlaceKind.EXTERNAL, name)
            yield Station(network_namespace(view.lab, place), str(place))


def _node(view: ClusterView, name: str | None) -> Iterator[Station]:
    if name:
        place = Place(PlaceKind.NODE, name)
        yield Station(network_namespace(view.lab, place), str(place))


def _slices(view: ClusterView, address: IPAddress, port: int | None) -> Iterator[EndpointSlice]:
    """The EndpointSlices of the Services that packets to the address may mean."""
    meant = {(s.metadata.namespace, s.metadata.name) for s in view.services if _is_meant(view, s, address, port)}
    for piece in view.endpoint_slices:
        if (piece.metadata.namespace, (piece.metadata.labels or {}).get(SERVICE_NAME)) in meant:
            yield piece


def _is_meant(view: ClusterView, service: Service, address: IPAddress, port: int | None) -> bool:
    if view.node_at(address) or address.is_loopback:
        return port is None or any(each.node_port == port for each in service.spec.ports)
    ingress = service.status.load_balancer.ingress if service.status and service.status.load_balancer else ()
    spelled = (*service.spec.cluster_ips, *service.spec.external_ips, *(each.ip for each in ingress if each.ip))
    return str(address) in spelled


def _addresses(piece: EndpointSlice) -> Iterator[IPAddress]:
    if piece.address_type != "FQDN":
        for endpoint in piece.endpoints:
            yield from map(ip_address, endpoint.addresses[:1])


__all__ = ["FABRIC", "Station", "answer_ports", "endpoints", "has_proxies", "ports", "stations"]
