"""What changed: objects go in as the API tells them, and what a node's rules must do about it comes out.

    put / remove ─> objects, checked ─> collect ─> ports that changed, UDP flows that are stale, complaints

The tracker holds only checked values: a port that is asked for can be spelled without looking at it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service, ServiceCIDR
from netlab.model.rules import Family, IPAddress, IPNetwork
from netlab.proxy.addresses import family_of, read_address, read_network
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import NodeFacts
from netlab.proxy.ports import PortKey, ServiceName, ServicePort, ServiceReader, service_name
from netlab.proxy.slices import Endpoint, PortOfSlice, SliceEndpoints, SliceReader, merged
from netlab.proxy.stale import StaleFlows, UdpFrontends

SliceKey = tuple[str, str]
"""Namespace and name."""
ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different since `collect` was last called.

    `ports` appeared, changed or vanished. With `node_changed` the rules of every port may be different. `stale` are the
    flows to delete after the rules are in place. `complaints` are new ones.
    """

    ports: tuple[PortKey, ...] = ()
    node_changed: bool = False
    stale: tuple[StaleFlows, ...] = ()
    complaints: tuple[Complaint, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is no rule to write and no flow to delete."""
        return not (self.ports or self.node_changed or self.stale)


class ChangeTracker:
    """The Services and endpoints that one node serves: fed with `put` and `remove`, which never raise on an object."""

    def __init__(self, *, node_name: str, bind_address: IPAddress | None = None) -> None:
        self._node_name = node_name
        self._bind_address = bind_address
        self._node = NodeFacts(node_name).at(bind_address)
        self._node_changed = False
        self._service_cidrs: dict[str, tuple[IPNetwork, ...]] = {}
        self._services: dict[ServiceName, tuple[ServicePort, ...]] = {}
        self._slices: dict[SliceKey, SliceEndpoints] = {}
        self._slices_of: dict[ServiceName, tuple[SliceKey, ...]] = {}
        self._touched: dict[ServiceName, None] = {}
        self._ports: dict[PortKey, ServicePort] = {}
        self._endpoints: dict[PortKey, tuple[Endpoint, ...]] = {}
        self._endpoint_totals = dict.fromkeys(Family, 0)
        self._settled: dict[ServiceName, tuple[ServicePort, ...]] = {}
        self._frontends = UdpFrontends()
        self._complaints: dict[tuple[str, str], tuple[Complaint, ...]] = {}
        self._new_complaints: list[Complaint] = []

    # --- in

    def put(self, obj: KubernetesObject) -> None:
        """An object was added or modified. Kinds that no rule depends on are let pass."""
        match obj:
            case Service():
                self._put_service(obj)
            case EndpointSlice():
                self._put_slice(obj)
            case Node():
                self._put_node(obj)
            case ServiceCIDR():
                self._put_service_cidrs(obj.metadata.name, obj.spec.cidrs)
            case _:
                pass

    def remove(self, obj: KubernetesObject) -> None:
        """An object was deleted; only its kind, name and namespace are looked at."""
        self._note_complaints(obj, ())
        match obj:
            case Service():
                name = service_name(obj)
                if self._services.pop(name, None) is not None:
                    self._touched[name] = None
            case EndpointSlice():
                self._forget_slice(_slice_key(obj))
            case ServiceCIDR():
                self._put_service_cidrs(obj.metadata.name, ())
            case _:
                pass

    def _put_service(self, service: Service) -> None:
        reader = ServiceReader(service)
        name, ports = service_name(service), reader.ports()
        self._note_complaints(service, reader.complaints)
        if self._services.get(name, ()) != ports:
            self._services[name] = ports
            self._touched[name] = None

    def _put_slice(self, given: EndpointSlice) -> None:
        key = _slice_key(given)
        reader = SliceReader(given, self._node_name)
        found = reader.endpoints()
        self._note_complaints(given, reader.complaints)
        before = self._slices.get(key)
        if found == before:
            return
        if before is not None and (found is None or found.service != before.service):
            self._forget_slice(key)
        if found is not None:
            if key not in self._slices:
                self._slices_of[found.service] = tuple(sorted((*self._slices_of.get(found.service, ()), key)))
            self._slices[key] = found
            self._touched[found.service] = None

    def _forget_slice(self, key: SliceKey) -> None:
        gone = self._slices.pop(key, None)
        if gone is None:
            return
        left = tuple(each for each in self._slices_of[gone.service] if each != key)
        if left:
            self._slices_of[gone.service] = left
        else:
            del self._slices_of[gone.service]
        self._touched[gone.service] = None

    def _put_node(self, node: Node) -> None:
        """A deleted Node leaves its last facts in force, as a restarting kubelet re-creates it."""
        if node.metadata.name != self._node_name:
            return
        facts = node_facts(node).at(self._bind_address)
        if facts != self._node:
            self._node = facts
            self._node_changed = True

    def _put_service_cidrs(self, name: str, cidrs: Iterable[str]) -> None:
        """As a change of the node, since it concerns no Service's own rules."""
        found = tuple(network for text in cidrs if (network := read_network(text)))
        if self._service_cidrs.get(name, ()) != found:
            self._service_cidrs[name] = found
            self._node_changed = True

    def _note_complaints(self, obj: KubernetesObject, complaints: Collection[Complaint]) -> None:
        if not complaints and not self._complaints:
            return
        key, now = (obj.kind, obj.key), tuple(complaints)
        before = self._complaints.pop(key, ())
        if now:
            self._complaints[key] = now
            self._new_complaints += [complaint for complaint in now if complaint not in before]

    # --- out

    def collect(self) -> Changes:
        """Everything that changed since the last call.

        The first call names every UDP address: nobody deleted flows while no proxy ran.
        """
        ports = tuple(key for name in self._touched for key in self._settle(name))
        changes = Changes(
            ports=ports,
            node_changed=self._node_changed,
            stale=self._frontends.collect(),
            complaints=tuple(self._new_complaints),
        )
        self._touched.clear()
        self._new_complaints.clear()
        self._node_changed = False
        return changes

    def _settle(self, name: ServiceName) -> list[PortKey]:
        """Bring one Service's ports and endpoints up to date; the keys of those that differ."""
        ports, before = self._services.get(name, ()), self._settled.get(name, ())
        keys = {port.key for port in ports}
        changed = [port.key for port in before if port.key not in keys]
        for key in changed:
            self._frontends.remove(self._ports.pop(key))
            self._endpoint_totals[key.family] -= len(self._endpoints.pop(key))
        changed += [port.key for port in ports if self._settle_port(port)]
        if ports:
            self._settled[name] = ports
        else:
            self._settled.pop(name, None)
        return changed

    def _settle_port(self, port: ServicePort) -> bool:
        key = port.key
        endpoints, before = self._merged_endpoints(key), self._ports.get(key)
        if before is not None:
            if before == port and self._endpoints[key] == endpoints:
                return False
            self._frontends.remove(before)
            self._endpoint_totals[key.family] -= len(self._endpoints[key])
        self._endpoint_totals[key.family] += len(endpoints)
        self._ports[key] = port
        self._endpoints[key] = endpoints
        self._frontends.add(port, endpoints)
        return True

    def _merged_endpoints(self, key: PortKey) -> tuple[Endpoint, ...]:
        of_slice: PortOfSlice = (key.port, key.protocol)
        slices = [self._slices[each] for each in self._slices_of.get(key.service, ())]
        groups = [group for found in slices if found.family is key.family and (group := found.by_port.get(of_slice))]
        return groups[0] if len(groups) == 1 else merged(tuple(chain.from_iterable(groups)))

    # --- as last collected

    @property
    def node(self) -> NodeFacts:
        """The node that the rules are for."""
        return self._node

    @property
    def service_cidrs(self) -> tuple[IPNetwork, ...]:
        """The ranges of ClusterIPs, as far as ServiceCIDR objects tell them."""
        return tuple(network for found in self._service_cidrs.values() for network in found)

    @property
    def ports(self) -> Mapping[PortKey, ServicePort]:
        """Every Service port as last collected."""
        return MappingProxyType(self._ports)

    def endpoints(self, key: PortKey) -> tuple[Endpoint, ...]:
        """The endpoints of a port as last collected, in any state, sorted by name."""
        return self._endpoints.get(key, ())

    def endpoint_total(self, family: Family) -> int:
        """Endpoints of all ports of the family together, in any state; kube-proxy leaves comments out over 1000."""
        return self._endpoint_totals[family]

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """Everything that is wrong with the objects there are now."""
        return tuple(complaint for found in self._complaints.values() for complaint in found)


def node_facts(node: Node) -> NodeFacts:
    """What rules depend on of a Node object; addresses and ranges that are none are left out."""
    preferred = [e for kind in ("InternalIP", "ExternalIP") for e in node.status.addresses if e.type == kind]
    own = [address for entry in preferred if (address := read_address(entry.address))]
    ranges = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
    networks = (read_network(text) for text in ranges)
    return NodeFacts(
        name=node.metadata.name,
        zone=node.metadata.labels.get(ZONE_LABEL, ""),
        addresses=tuple({family_of(address): address for address in reversed(own)}.values()),
        pod_cidrs=tuple(network for network in networks if network),
    )


def _slice_key(given: EndpointSlice) -> SliceKey:
    return given.metadata.namespace or "default", given.metadata.name
