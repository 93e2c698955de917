"""How a lab is: its objects from the API server, its processes from the lab process, its proxies from themselves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping

from netlab.api.sync_client import SyncClient
from netlab.faults.names import Scope
from netlab.lab import control, fault_records
from netlab.lab.fault_records import Record
from netlab.lab.messages import AgentKind, AgentRow
from netlab.lab.readiness import ask_proxies, followed_versions, has_followed
from netlab.model.objects import SERVICE_NAME_LABEL, EndpointSlice, Node, Pod, Service
from netlab.model.paths import LabPaths
from netlab.model.status import FaultInForce, LabStatus, NodeStatus, Phase, PodRow, ProxyStatus, ServiceRow
from netlab.model.topology import Topology, TopologySpec


def status(paths: LabPaths) -> LabStatus:
    """The lab's state at this moment; NotFound where it does not run."""
    agents = control.agents(paths)
    with SyncClient(paths.api_socket) as client:
        spec = client.get(Topology, paths.lab).spec
        proxies = proxy_statuses(paths, client, agents)
        ready = ready_endpoints(client.list(EndpointSlice)[0])
        return LabStatus(
            lab=paths.lab,
            phase=Phase.RUNNING if all(agent.running for agent in agents) else Phase.DEGRADED,
            rootless=os.geteuid() != 0,
            nodes=tuple(_node(node, spec, proxies) for node in client.list(Node)[0]),
            pods=tuple(map(_pod, client.list(Pod)[0])),
            services=tuple(_service(service, ready) for service in client.list(Service)[0]),
            faults=tuple(_fault(record) for record in fault_records.read(paths)),
        )


def proxy_statuses(
    paths: LabPaths, client: SyncClient, agents: Iterable[AgentRow], *, within: float = 0.0
) -> dict[str, ProxyStatus]:
    """Each node's kube-proxy: whether it runs, what it says of itself, and whether that is the newest there is.

    Those that run have `within` seconds to follow what has just changed.
    """
    rows = tuple(agents)
    running = {agent.name for agent in rows if agent.running}
    stopped = {agent.name for agent in rows if not agent.running}
    wanted = followed_versions(client)
    spec = client.get(Topology, paths.lab).spec
    reports = ask_proxies(paths, wanted if within else {}, within=within, stopped=stopped)
    nodes = [node.metadata.name for node in client.list(Node)[0]]
    return {
        node: ProxyStatus(
            running=f"{AgentKind.KUBE_PROXY}-{node}" in running,
            synced=has_followed(report, wanted, mode=spec.proxy_mode(node)),
            rules=report.rules if report else None,
            last_sync_seconds=report.last_sync_seconds if report else None,
            backend=report.backend if report else None,
            listed=bool(report.followed) if report else None,
            complaints=report.complaints if report else (),
            lost=report.lost if report else "",
        )
        for node in nodes
        for report in (reports.get(node),)
    }


def _fault(record: Record) -> FaultInForce:
    scope, _, name = record.victim.partition("/")
    where = {Scope.NODE: f"--on {name}", Scope.POD: f"--on {record.victim}", Scope.SERVICE: f"--service {name}"}
    remedy = f"netlab heal {record.fault} {where[Scope(scope)]}"
    return FaultInForce(name=record.fault.value, victim=record.victim, remedy=remedy)


def _node(node: Node, spec: TopologySpec, proxies: dict[str, ProxyStatus]) -> NodeStatus:
    name = node.metadata.name
    return NodeStatus(
        name=name,
        address=", ".join(entry.address for entry in node.status.addresses if entry.type == "InternalIP"),
        pod_cidr=", ".join(node.spec.pod_cidrs),
        proxy_mode=spec.proxy_mode(name).value,
        proxy=proxies.get(name, ProxyStatus(running=False)),
        proxy_command=spec.proxy_command(name),
    )


def _pod(pod: Pod) -> PodRow:
    return PodRow(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace or "default",
        node=pod.spec.node_name,
        address=", ".join(entry.ip for entry in pod.status.pod_ips) or None,
        ready=pod.condition("Ready"),
    )


def ready_endpoints(slices: Iterable[EndpointSlice]) -> dict[tuple[str, str], int]:
    """How many endpoints serve each Service, by namespace and name; a Pod counts once, whatever families it has."""
    by_family: Counter[tuple[tuple[str, str], str]] = Counter()
    for piece in slices:
        service = (piece.metadata.namespace or "default", piece.metadata.labels.get(SERVICE_NAME_LABEL, ""))
        serving = sum(endpoint.conditions.ready is not False for endpoint in piece.endpoints)
        by_family[service, piece.address_type] += serving
    ready: dict[tuple[str, str], int] = {}
    for (service, _family), count in by_family.items():
        ready[service] = max(count, ready.get(service, 0))
    return ready


def _service(service: Service, ready: Mapping[tuple[str, str], int]) -> ServiceRow:
    name, namespace = service.metadata.name, service.metadata.namespace or "default"
    ports = tuple(
        f"{port.port}{f':{port.node_port}' if port.node_port else ''}/{port.protocol}" for port in service.spec.ports
    )
    return ServiceRow(
        name=name,
        namespace=namespace,
        type=(service.spec.type or "ClusterIP"),
        cluster_ip=", ".join(service.spec.cluster_ips) or service.spec.cluster_ip,
        ports=ports,
        endpoints=ready.get((namespace, name), 0),
    )
