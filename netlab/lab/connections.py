"""A node's connections with the names of a cluster: which Service was addressed, which Pod answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from netlab.errors import KernelError
from netlab.kernel import conntrack
from netlab.kernel.conntrack import Flow, Status
from netlab.kernel.local_addresses import local_addresses
from netlab.kernel.namespaces import inside
from netlab.model.cluster import ClusterView, node_addresses, pod_place
from netlab.model.connections import Direction, End, FlowTable, TrackedFlow
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Service
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import Target, TargetKind

HEADLESS = "None"
Door = tuple[str, IPAddress, int]
"""Protocol, address and port by which a Service is spoken to."""


def flow_table(view: ClusterView, node: str) -> FlowTable:
    """What the node's conntrack holds, by protocol, destination and source. NotFound: no such node."""
    with inside(view.network_namespace(Place(PlaceKind.NODE, node))):
        flows = [flow for family in Family for flow in _flows(family)]
        names = Names(view, node=node, own=local_addresses())
    rows = (_row(flow, names) for flow in flows)
    return FlowTable(node=node, flows=tuple(sorted(rows, key=_order)))


def _flows(family: Family) -> tuple[Flow, ...]:
    """None where this kernel tracks no connections of the family."""
    try:
        return tuple(conntrack.flows(family))
    except KernelError:
        if family is Family.IPV4:
            raise
        return ()


class Names:
    """Who has an address, and which Service a port of one is."""

    def __init__(self, view: ClusterView, *, node: str, own: Iterable[IPAddress]) -> None:
        self._view = view
        self._doors = {door: str(_target(service)) for service in view.services for door in _doors(service, view)}
        self._machines = {
            **dict.fromkeys(own, f"{PlaceKind.NODE}/{node}"),
            **{a: f"{PlaceKind.NODE}/{each.metadata.name}" for each in view.nodes for a in node_addresses(each)},
            **{a: f"{PlaceKind.EXTERNAL}/{name}" for name, given in view.external_addresses.items() for a in given},
        }

    def service(self, protocol: str, address: IPAddress, port: int) -> str | None:
        """The Service that is spoken to there: `service/web`."""
        return self._doors.get((protocol, address, port))

    def pod(self, address: IPAddress) -> str | None:
        """The Pod that has the address: `pod/web-1`."""
        pod = self._view.pod_at(address)
        return str(pod_place(pod)) if pod else None

    def end(self, address: IPAddress, port: int, *, service: str | None = None) -> End:
        """An end with the name of who has the address."""
        name = service or self.pod(address) or self._machines.get(address)
        return End(address=str(address), port=port, name=name)


def _target(service: Service) -> Target:
    return Target(
        kind=TargetKind.SERVICE, name=service.metadata.name, namespace=service.metadata.namespace or "default"
    )


def _doors(service: Service, view: ClusterView) -> Iterator[Door]:
    spec = service.spec
    own = (spec.cluster_ips or (spec.cluster_ip,)) if spec.cluster_ip else ()
    ingress = [entry.ip for entry in service.status.load_balancer.ingress]
    addresses = [ip_address(text) for text in (*own, *spec.external_ips, *ingress) if text and text != HEADLESS]
    machines = [address for node in view.nodes for address in node_addresses(node)]
    for port in spec.ports:
        protocol = port.protocol.value.lower()
        yield from ((protocol, address, port.port) for address in addresses)
        if port.node_port:
            yield from ((protocol, address, port.node_port) for address in machines)


def _row(flow: Flow, names: Names) -> TrackedFlow:
    original, reply = flow.original, flow.reply
    service = names.service(flow.protocol, original.destination, original.destination_port)
    return TrackedFlow(
        family=flow.family.value,
        protocol=flow.protocol,
        state=flow.state or _state(flow),
        timeout_seconds=flow.timeout,
        mark=flow.mark,
        status=tuple(status.value for status in Status if status in flow.status),
        original=Direction(
            source=names.end(original.source, original.source_port),
            destination=names.end(original.destination, original.destination_port, service=service),
        ),
        reply=Direction(
            source=names.end(reply.source, reply.source_port),
            destination=names.end(reply.destination, reply.destination_port),
        ),
        service=service,
        pod=names.pod(reply.source),
        translated=(original.destination, original.destination_port) != (reply.source, reply.source_port),
        masqueraded=original.source != reply.destination,
    )


def _state(flow: Flow) -> str:
    if Status.SEEN_REPLY not in flow.status:
        return "UNREPLIED"
    return "ASSURED" if Status.ASSURED in flow.status else "REPLIED"


def _order(flow: TrackedFlow) -> tuple[str, str, str, int, str, int]:
    ends = flow.original
    return (
        flow.family,
        flow.protocol,
        ends.destination.address,
        ends.destination.port,
        ends.source.address,
        ends.source.port,
    )
