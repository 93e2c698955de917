"""A lab as packets meet it: its machines with their cables, its kube-proxies, and who listens where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from netlab.model.cluster import ClusterView, pod_name
from netlab.model.modes import ProxyMode
from netlab.model.names import Place, PlaceKind, fabric_namespace
from netlab.model.objects import Pod
from netlab.model.rules import IPAddress
from netlab.model.state import LabState, NamespaceState, Veth
from netlab.plan.compose import lab_state
from netlab.plan.control_plane import API_PORT, control_plane
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.lab_config import lab_config
from netlab.trace.claims import NodeProxy
from netlab.trace.machine import Machine
from netlab.trace.packet import ICMP, Packet
from netlab.trace.policy import POLICIES, Policy

FABRIC = "fabric"


@dataclass(frozen=True, slots=True)
class Listener:
    """A program that answers; `pod` is the Pod's name as reports give it, None for one of the node's own."""

    pod: str | None = None
    who: str = ""


class TracedLab:
    """Everything that a prediction asks. Made from objects alone."""

    def __init__(self, view: ClusterView) -> None:
        self.view = view
        self.state: LabState = lab_state(view.topology, view.nodes, view.pods, view.lab)
        self.proxies = {node.name: self._proxy(node.name, node.namespace) for node in self.state.nodes}
        self._places = self._name_places()
        self.machines: dict[str, Machine] = {
            state.name: self._machine(state, self._places[state.name]) for state in self.state.namespaces
        }
        self.policies: dict[str, Policy] = {
            f"{PlaceKind.NODE}/{name}": POLICIES[self.mode(name)](proxy, at=f"{PlaceKind.NODE}/{name}")
            for name, proxy in self.proxies.items()
        }

    def mode(self, node: str) -> ProxyMode:
        """The proxy mode of that node."""
        return self.view.topology.spec.proxy_mode(node)

    def machine_of(self, place: Place) -> Machine:
        """The namespace that a place stands for. NotFound."""
        return self.machines[self.view.network_namespace(place)]

    def peer(self, link: Veth) -> tuple[Machine, str] | None:
        """The other end of a cable."""
        machine = self.machines.get(link.peer_namespace)
        return (machine, link.peer) if machine else None

    def mac_of(self, address: IPAddress) -> str | None:
        """Whose interface answers, where a neighbour is asked for."""
        return self._macs.get(address)

    def listener(self, machine: Machine, packet: Packet) -> Listener | None:
        """The program that the packet is for on that machine."""
        if packet.proto == ICMP:
            pod = self._pod_at.get(machine.at)
            return Listener(pod_name(pod) if pod else None, "the kernel")
        found = self._listeners.get((machine.at, packet.proto, packet.dport))
        return found if found else self._health_check(machine, packet)

    def pods_at(self, at: str) -> tuple[Pod, ...]:
        """The Pods whose network that place is: its own, or on a node those with the node's network."""
        return tuple(pod for pod in self.view.pods if self._place_of(pod) == at)

    # --- inside

    def _proxy(self, name: str, state: NamespaceState) -> NodeProxy:
        tracker = ChangeTracker(node_name=name)
        for each in (*self.view.nodes, *self.view.services, *self.view.endpoint_slices):
            tracker.put(each)
        tracker.collect()
        addresses = (*(each.interface.ip for each in state.addresses), ip_address("127.0.0.1"), ip_address("::1"))
        return NodeProxy(tracker, lab_config(self.view.topology.spec, name), addresses=addresses)

    def _machine(self, state: NamespaceState, at: str) -> Machine:
        """In mode ipvs a node has every Service's address."""
        node = at.removeprefix(f"{PlaceKind.NODE}/")
        bound = at in self._node_places and self.mode(node) is ProxyMode.IPVS
        return Machine(at, state, self.proxies[node].service_addresses if bound else frozenset())

    @cached_property
    def _node_places(self) -> frozenset[str]:
        return frozenset(f"{PlaceKind.NODE}/{name}" for name in self.proxies)

    def _name_places(self) -> dict[str, str]:
        view = self.view
        places = [
            *(Place(PlaceKind.NODE, node.metadata.name) for node in view.nodes),
            *(Place(PlaceKind.EXTERNAL, external.name) for external in view.topology.spec.externals),
        ]
        names = {view.network_namespace(place): str(place) for place in places}
        for pod in view.pods:
            names.setdefault(view.pod_network_namespace(pod), f"pod/{pod_name(pod)}")
        return {fabric_namespace(view.lab): FABRIC, **names}

    def _place_of(self, pod: Pod) -> str:
        return self._places.get(self.view.pod_network_namespace(pod), "")

    @cached_property
    def _pod_at(self) -> dict[str, Pod]:
        return {self._place_of(pod): pod for pod in self.view.pods if not pod.spec.host_network}

    @cached_property
    def _listeners(self) -> dict[tuple[str, str, int | None], Listener]:
        """Every declared port counts as answered: what a command really listens on, its file does not say."""
        pods = {
            (self._place_of(pod), port.protocol.lower(), port.container_port): Listener(pod_name(pod), each.name)
            for pod in self.view.pods
            for each in pod.spec.containers
            for port in each.ports
        }
        return pods | self._api_server()

    def _api_server(self) -> dict[tuple[str, str, int | None], Listener]:
        node = control_plane(self.view.topology.spec)
        if node is None:
            return {}
        return {(str(Place(PlaceKind.NODE, node.name)), "tcp", API_PORT): Listener(None, "the API server")}

    def _health_check(self, machine: Machine, packet: Packet) -> Listener | None:
        """A Service's healthCheckNodePort, which kube-proxy itself answers."""
        proxy = self.proxies.get(machine.at.removeprefix(f"{PlaceKind.NODE}/"))
        ports = {route.port.health_check_port for route in proxy.routes.values()} if proxy else set()
        return Listener(None, "kube-proxy") if packet.proto == "tcp" and packet.dport in ports - {None} else None

    @cached_property
    def _macs(self) -> dict[IPAddress, str]:
        return {
            each.interface.ip: machine.links[each.link].mac
            for machine in self.machines.values()
            for each in machine.state.addresses
        }
