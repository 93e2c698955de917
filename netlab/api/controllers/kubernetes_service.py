"""The Service default/kubernetes and its one slice: how Pods and nodes find the lab's API server.

No selector makes its endpoints: like kube-apiserver, this server writes its own address there, and puts both back
where somebody takes them away.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from netlab.api.admission.entrance import Admission
from netlab.api.store import Change, Store
from netlab.model.objects import (
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    ObjectMeta,
    Service,
    ServicePort,
    ServiceSpec,
)
from netlab.model.rules import IPAddress
from netlab.model.topology import Topology, TopologySpec
from netlab.plan.control_plane import API_PORT, KUBERNETES, KUBERNETES_PORT, control_plane, kubernetes_address

PORT_NAME = "https"
NAMESPACE, NAME = KUBERNETES


class KubernetesServiceController:
    """Key: anything; there is one Service."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission

    def all_keys(self) -> Iterable[str]:
        """All."""
        return ("",)

    def keys_of(self, change: Change) -> Iterable[str]:
        """All, when the Topology changes, or the Service or its slice."""
        ours = isinstance(change.object, Service | EndpointSlice) and change.object.key == f"{NAMESPACE}/{NAME}"
        return ("",) if ours or isinstance(change.object, Topology) else ()

    def reconcile(self, key: str) -> None:
        """Have the Service, unless somebody made one of that name, and have its slice say where the server is."""
        for topology in self._store.list(Topology):
            if address := kubernetes_address(topology.spec.network.service_cidrs):
                self._make_service(address)
                self._make_slice(_slice(topology.spec, version=address.version))

    def _make_service(self, address: IPAddress) -> None:
        if self._store.find(Service, NAME, NAMESPACE) is None:
            self._store.create(self._admission.create(_service(address)))

    def _make_slice(self, wanted: EndpointSlice) -> None:
        present = self._store.find(EndpointSlice, NAME, NAMESPACE)
        if present is None:
            self._store.create(self._admission.create(wanted))
        elif present.address_type == wanted.address_type:
            self._store.update(wanted)
        else:
            self._store.delete(EndpointSlice, NAME, NAMESPACE)


def _service(address: IPAddress) -> Service:
    ports = (ServicePort(name=PORT_NAME, port=KUBERNETES_PORT, target_port=API_PORT),)
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return Service(
        metadata=ObjectMeta(name=NAME, namespace=NAMESPACE, labels=labels),
        spec=ServiceSpec(
            cluster_ip=str(address),
            cluster_ips=(str(address),),
            ip_family_policy="SingleStack",
            ip_families=("IPv4" if address.version == 4 else "IPv6",),
            ports=ports,
        ),
    )


def _slice(spec: TopologySpec, *, version: int) -> EndpointSlice:
    """One endpoint: the control plane's node, by its address of that IP version."""
    node = control_plane(spec)
    addresses = [text for text in (node.addresses if node else ()) if ip_address(text).version == version]
    return EndpointSlice(
        metadata=ObjectMeta(name=NAME, namespace=NAMESPACE, labels={SERVICE_NAME_LABEL: NAME}),
        address_type="IPv4" if version == 4 else "IPv6",
        ports=(EndpointPort(name=PORT_NAME, port=API_PORT),),
        endpoints=tuple(
            Endpoint(addresses=(address,), conditions=EndpointConditions(ready=True)) for address in addresses
        ),
    )
