"""A lab's objects at one moment: as a running lab has them, or as a file says that they would be."""

from __future__ import annotations

from netlab.api.simulate import simulate
from netlab.api.sync_client import SyncClient
from netlab.dns.addon import with_cluster_dns
from netlab.model.cluster import ClusterView
from netlab.model.objects import EndpointSlice, Node, Pod, Service
from netlab.model.paths import LabPaths
from netlab.model.rules import IPAddress
from netlab.model.topology import LabFile, Topology
from netlab.plan.stations import external_stations


def running_view(paths: LabPaths) -> ClusterView:
    """What the lab's API server holds now."""
    with SyncClient(paths.api_socket) as client:
        topology = client.get(Topology, paths.lab)
        return ClusterView(
            lab=paths.lab,
            topology=topology,
            nodes=client.list(Node)[0],
            pods=client.list(Pod)[0],
            services=client.list(Service)[0],
            endpoint_slices=client.list(EndpointSlice)[0],
            external_addresses=_externals(topology, lab=paths.lab),
        )


def foreseen_view(file: LabFile) -> ClusterView:
    """What a lab made from the file would hold once all is up and every Pod is ready. InvalidInput."""
    snapshot = simulate(with_cluster_dns(file))
    lab = snapshot.topology.metadata.name
    return ClusterView(
        lab=lab,
        topology=snapshot.topology,
        nodes=snapshot.nodes,
        pods=snapshot.pods,
        services=snapshot.services,
        endpoint_slices=snapshot.endpoint_slices,
        external_addresses=_externals(snapshot.topology, lab=lab),
    )


def _externals(topology: Topology, *, lab: str) -> dict[str, tuple[IPAddress, ...]]:
    stations = external_stations(topology, lab=lab)
    return {station.name: tuple(interface.ip for interface in station.addresses) for station in stations}
