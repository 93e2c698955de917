"""Which places of a lab have an address, as their kernels say."""

from __future__ import annotations

from ipaddress import ip_address

from netlab.errors import NotFound
from netlab.kernel.local_addresses import local_addresses
from netlab.kernel.namespaces import inside
from netlab.model.cluster import ClusterView, node_addresses, pod_addresses, pod_place
from netlab.model.names import Place, PlaceKind
from netlab.model.rules import IPAddress


def holders(view: ClusterView, of: str) -> list[str]:
    """The places that have one of the target's addresses on an interface, sorted; NotFound: there is no such target."""
    wanted = set(addresses(view, of))
    places = [
        *(Place(PlaceKind.NODE, node.metadata.name) for node in view.nodes),
        *(pod_place(pod) for pod in view.pods if not pod.spec.host_network),
        *(Place(PlaceKind.EXTERNAL, external.name) for external in view.topology.spec.externals),
    ]
    return sorted(str(place) for place in places if wanted & _addresses_at(view, place))


def addresses(view: ClusterView, of: str) -> tuple[IPAddress, ...]:
    """The addresses of `service/web`, `pod/web-1`, `node/n1`, or of what is an address itself; NotFound."""
    try:
        return (ip_address(of),)
    except ValueError:
        pass
    kind, _, name = of.partition("/")
    found: dict[str, tuple[IPAddress, ...]] = {
        **{
            f"service/{service.metadata.name}": tuple(map(ip_address, service.spec.cluster_ips))
            for service in view.services
            if service.spec.cluster_ips and "None" not in service.spec.cluster_ips
        },
        **{str(pod_place(pod)): pod_addresses(pod) for pod in view.pods},
        **{f"node/{node.metadata.name}": node_addresses(node) for node in view.nodes},
    }
    if of not in found:
        raise NotFound(f"there is no {kind} {name} that has an address")
    return found[of]


def _addresses_at(view: ClusterView, place: Place) -> set[IPAddress]:
    """Those of a place whose namespace is gone, or was never there, are none."""
    try:
        with inside(view.network_namespace(place)):
            return set(local_addresses())
    except NotFound:
        return set()
