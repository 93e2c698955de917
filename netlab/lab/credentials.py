"""Who may speak to a lab's API server by TLS: the certificates of its authority, as files in the lab's folder.

The server, the administrator, and each node's kubelet and kube-proxy have one, as in a cluster that kubeadm has made.
They are made when the first nodes come, and for each node that comes later; those of nodes that went go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from netlab.api.certificates import Authority, server_names
from netlab.api.sync_client import SyncClient
from netlab.dns.addon import CLUSTER_DOMAIN
from netlab.lab.access import ADMIN
from netlab.lab.messages import AgentKind
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology, TopologySpec
from netlab.plan.control_plane import API_PORT, KUBERNETES, control_plane, kubernetes_address

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MASTERS, NODES = "system:masters", "system:nodes"
PROXY_USER = "system:kube-proxy"
Arguments = Mapping[str, str | int | float | None]


def provide(paths: LabPaths, _arguments: Arguments) -> str:
    """Make whatever is missing for the lab's topology as it is now; a task of the lab process's, with no report."""
    with SyncClient(paths.api_socket) as client:
        spec = client.get(Topology, paths.lab).spec
    make(paths, spec, now=datetime.now(UTC))
    return "{}"


def make(paths: LabPaths, spec: TopologySpec, *, now: datetime) -> None:
    """Have the files for that topology; what is there and right stays, so that those who use it need no new one."""
    for folder in (paths.access, paths.certificate(ADMIN).parent):
        folder.mkdir(exist_ok=True, mode=0o700)
    authority = _authority(paths, now=now)
    _provide_server(paths, authority, spec, now=now)
    clients = dict(_clients(spec))
    for name, (user, groups) in clients.items():
        if not paths.certificate(name).exists():
            _write(paths.certificate(name), authority.for_client(user, groups, now=now).pem)
    _remove_others({paths.certificate(name) for name in clients}, paths.certificate(ADMIN).parent)


def agent_name(agent: AgentKind, node: str) -> str:
    """What the certificate of a node's agent is called."""
    return f"{agent}-{node}"


def server_url(spec: TopologySpec) -> str:
    """Where the lab's own wires have the server; empty without a node."""
    node = control_plane(spec)
    address = next((ip_address(text) for text in node.addresses), None) if node else None
    if address is None:
        return ""
    return f"https://{f'[{address}]' if address.version == 6 else address}:{API_PORT}"


def _authority(paths: LabPaths, *, now: datetime) -> Authority:
    if not paths.authority_key.exists():
        authority = Authority.make(f"netlab-{paths.lab}", now=now)
        _write(paths.authority, authority.certificate)
        _write(paths.authority_key, authority.pem)
    return Authority.read(paths.authority_key.read_text())


def _provide_server(paths: LabPaths, authority: Authority, spec: TopologySpec, *, now: datetime) -> None:
    names = _server_names(spec)
    present = paths.server_certificate
    if not present.exists() or server_names(present.read_text()) != names:
        _write(present, authority.for_server(names, now=now).pem)
    _write(paths.server_url, server_url(spec))


def _server_names(spec: TopologySpec) -> tuple[str, ...]:
    """By which names and addresses the server is reached: from the wire, from Pods, from the caller's machine."""
    node, service = control_plane(spec), kubernetes_address(spec.network.service_cidrs)
    namespace, name = KUBERNETES
    found = (
        *((node.name, *node.addresses) if node else ()),
        *((str(service),) if service else ()),
        name,
        f"{name}.{namespace}",
        f"{name}.{namespace}.svc",
        f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}",
        *LOOPBACK,
    )
    return tuple(dict.fromkeys(found))


def _clients(spec: TopologySpec) -> Iterable[tuple[str, tuple[str, tuple[str, ...]]]]:
    """By the names of their files: user and groups."""
    yield ADMIN, ("kubernetes-admin", (MASTERS,))
    for node in spec.nodes:
        yield agent_name(AgentKind.KUBELET, node.name), (f"system:node:{node.name}", (NODES,))
        yield agent_name(AgentKind.KUBE_PROXY, node.name), (PROXY_USER, (NODES,))


def _write(path: Path, text: str) -> None:
    """As a whole or not at all, for its owner alone."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.rename(path)


def _remove_others(wanted: set[Path], folder: Path) -> None:
    for path in folder.iterdir():
        if path not in wanted:
            path.unlink()
