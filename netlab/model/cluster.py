"""A lab as data: what its API server held at one moment, and where its names lead on the network."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, ip_address

from netlab.errors import NotFound
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import EndpointSlice, Node, Pod, Service
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import Target, TargetKind, TargetProtocol, Workload, WorkloadKind
from netlab.model.topology import Topology

HEADLESS = "None"
"""What `clusterIP` says of a Service that has none."""
INTERNAL_IP = "InternalIP"


@dataclass(frozen=True, slots=True)
class Destination:
    """A target as packets are addressed to it; `port` is 0 for ICMP, which has none."""

    address: IPAddress
    port: int
    protocol: TargetProtocol

    def __str__(self) -> str:
        return spell(self.address, self.port)


def spell(address: IPAddress, port: int) -> str:
    """`10.96.0.10:80`, `[fd00::10]:80`; the address alone where the port is 0."""
    if not port:
        return str(address)
    return f"{address}:{port}" if isinstance(address, IPv4Address) else f"[{address}]:{port}"


def family_of(address: IPAddress) -> Family:
    return Family.IPV4 if isinstance(address, IPv4Address) else Family.IPV6


def pod_place(pod: Pod) -> Place:
    """The Pod as a place: `pod/web-1`."""
    return Place(PlaceKind.POD, pod.metadata.name, pod.metadata.namespace or "default")


def pod_name(pod: Pod) -> str:
    """The Pod's name as reports give it: `web-1`, and `kube-system/dns` outside the namespace `default`."""
    return str(pod_place(pod)).removeprefix("pod/")


def pod_addresses(pod: Pod) -> tuple[IPAddress, ...]:
    """The Pod's addresses, the one of the primary family first; empty as long as it has none."""
    spelled = tuple(entry.ip for entry in pod.status.pod_ips) or (pod.status.pod_ip,)
    return tuple(ip_address(text) for text in spelled if text)


def node_addresses(node: Node) -> tuple[IPAddress, ...]:
    """The node's addresses on the wire between the nodes, the one of the primary family first."""
    return tuple(ip_address(entry.address) for entry in node.status.addresses if entry.type == INTERNAL_IP)


@dataclass(frozen=True)
class ClusterView:
    """The objects of one lab at one moment. Every method that takes a name raises NotFound for one that nothing has."""

    lab: str
    topology: Topology
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    external_addresses: Mapping[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    """Addresses of the machines outside, by name."""

    # --- names

    def network_namespace(self, place: Place) -> str:
        """The network namespace of a place that the lab has."""
        if place.kind is PlaceKind.POD:
            return self.pod_network_namespace(self.pod(place.name, namespace=place.namespace))
        names = self._nodes if place.kind is PlaceKind.NODE else self._externals
        _one_of(str(place), [f"{place.kind}/{name}" for name in names])
        return network_namespace(self.lab, place)

    def pod_network_namespace(self, pod: Pod) -> str:
        """The Pod's network namespace; its node's where it asked for the host's network."""
        if pod.spec.host_network and pod.spec.node_name:
            return network_namespace(self.lab, Place(PlaceKind.NODE, pod.spec.node_name))
        return network_namespace(self.lab, pod_place(pod))

    def pod(self, name: str, *, namespace: str = "default") -> Pod:
        """The Pod of that name."""
        wanted = str(Place(PlaceKind.POD, name, namespace))
        _one_of(wanted, self._pods)
        return self._pods[wanted]

    def pods_of(self, workload: Workload) -> tuple[Pod, ...]:
        """The Pod of that name, or those that the Deployment owns and has not given up (that are not being deleted)."""
        if workload.kind is WorkloadKind.POD:
            return (self.pod(workload.name, namespace=workload.namespace),)
        owned = [pod for pod in self.pods if workload.includes(pod) and pod.metadata.deletion_timestamp is None]
        if not owned:
            raise NotFound(f"{workload} has no Pods")
        return tuple(sorted(owned, key=pod_name))

    # --- addresses

    def destination(self, target: Target, *, family: Family | None = None) -> Destination:
        """Where packets to the target go: its first address, or its address of that family.

        A Service is spoken to by its ClusterIP, a node by its address on the wire.
        """
        addresses = [a for a in self._addresses(target) if family in (None, family_of(a))]
        if not addresses:
            raise NotFound(f"{target.host} has no {f'{family} ' if family else ''}address")
        return Destination(addresses[0], self._port(target), target.protocol)

    def families(self, target: Target) -> tuple[Family, ...]:
        """The families to try the target in: of a Service, those of all its ClusterIPs; else of the first address."""
        families = tuple(dict.fromkeys(family_of(address) for address in self._addresses(target)))
        return families if target.kind is TargetKind.SERVICE else families[:1]

    def pod_at(self, address: IPAddress) -> Pod | None:
        """The Pod that has the address now."""
        return self._pod_by_address.get(address)

    def node_at(self, address: IPAddress) -> Node | None:
        """The node that has the address on the wire."""
        return next((node for node in self.nodes if address in node_addresses(node)), None)

    def translating_namespaces(self, source: Place, address: IPAddress) -> tuple[str, ...]:
        """Network namespaces where a packet from `source` to `address` can be translated, the likeliest first.

        A node translates what its Pods and itself send; what comes from outside, the node that was addressed does. For
        an address of no node every node is asked.
        """
        if source.kind is PlaceKind.NODE:
            names = [source.name]
        elif source.kind is PlaceKind.POD:
            names = [self.pod(source.name, namespace=source.namespace).spec.node_name or ""]
        else:
            addressed = self.node_at(address)
            names = [addressed.metadata.name] if addressed else list(self._nodes)
        return tuple(network_namespace(self.lab, Place(PlaceKind.NODE, name)) for name in names if name)

    def endpoint_addresses(self) -> frozenset[IPAddress]:
        """Every address that is behind some Service."""
        return frozenset(
            ip_address(address)
            for piece in self.endpoint_slices
            if piece.address_type != "FQDN"
            for endpoint in piece.endpoints
            for address in endpoint.addresses
        )

    def endpoint_sockets(self) -> frozenset[tuple[IPAddress, int]]:
        """Every address and port that is behind some Service."""
        return frozenset(
            (ip_address(address), port.port)
            for piece in self.endpoint_slices
            if piece.address_type != "FQDN"
            for endpoint in piece.endpoints
            for address in endpoint.addresses
            for port in piece.ports
            if port.port
        )

    # --- inside

    @cached_property
    def _pods(self) -> dict[str, Pod]:
        return {str(pod_place(pod)): pod for pod in self.pods}

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.metadata.name: node for node in self.nodes}

    @cached_property
    def _externals(self) -> dict[str, tuple[IPAddress, ...]]:
        return {e.name: self.external_addresses.get(e.name, ()) for e in self.topology.spec.externals}

    @cached_property
    def _pod_by_address(self) -> dict[IPAddress, Pod]:
        """A Pod that has ended no longer has its address: it may be another's by now."""
        living = [pod for pod in self.pods if not pod.has_ended]
        return {address: pod for pod in reversed(living) for address in pod_addresses(pod)}

    def _addresses(self, target: Target) -> tuple[IPAddress, ...]:
        match target.kind:
            case TargetKind.ADDRESS:
                return (target.address,) if target.address else ()
            case TargetKind.POD:
                return pod_addresses(self.pod(target.name, namespace=target.namespace))
            case TargetKind.NODE:
                _one_of(target.host, [f"node/{name}" for name in self._nodes])
                return node_addresses(self._nodes[target.name])
            case TargetKind.EXTERNAL:
                _one_of(target.host, [f"external/{name}" for name in self._externals])
                return self._externals[target.name]
            case TargetKind.SERVICE:
                return _cluster_ips(self._service(target))

    def _service(self, target: Target) -> Service:
        services = {f"{s.metadata.namespace or 'default'}/{s.metadata.name}": s for s in self.services}
        key = f"{target.namespace}/{target.name}"
        _one_of(target.host, [f"service/{name.removeprefix('default/')}" for name in services])
        return services[key]

    def _port(self, target: Target) -> int:
        if not isinstance(target.port, str):
            return target.port or 0
        ports = self._named_ports(target)
        _one_of(target.port, ports, what=f"port of {target.host}")
        return ports[target.port]

    def _named_ports(self, target: Target) -> dict[str, int]:
        if target.kind is TargetKind.SERVICE:
            return {port.name: port.port for port in self._service(target).spec.ports if port.name}
        containers = self.pod(target.name, namespace=target.namespace).spec.containers
        return {port.name: port.container_port for each in containers for port in each.ports if port.name}


def _cluster_ips(service: Service) -> tuple[IPAddress, ...]:
    spelled = service.spec.cluster_ips or (service.spec.cluster_ip or "",)
    if HEADLESS in spelled:
        raise NotFound(f"service/{service.metadata.name} is headless: it has no ClusterIP, only its Pods' addresses")
    return tuple(ip_address(text) for text in spelled if text)


def _one_of(name: str, names: Iterable[str], *, what: str = "") -> None:
    """NotFound, with the name that was probably meant, unless `name` is one of `names`."""
    known = list(names)
    if name in known:
        return
    elsewhere = [other for other in known if other.split("/")[-1] == name.rsplit("/", maxsplit=1)[-1]]
    close = elsewhere or difflib.get_close_matches(name, known, n=1)
    hint = f": did you mean {close[0]}?" if close else f": there is {', '.join(sorted(known)[:5])}" if known else ""
    raise NotFound(f"there is no {f'{what} called ' if what else ''}{name}{hint}")
