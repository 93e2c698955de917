"""Changing the proxy mode of a lab that is up."""

from __future__ import annotations

from collections.abc import Callable

from netlab.api.encoding import as_json
from netlab.api.sync_client import SyncClient
from netlab.errors import NotFound
from netlab.lab import readiness
from netlab.lab.up import require_modes
from netlab.model.modes import ProxyMode
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology


def set_mode(paths: LabPaths, mode: ProxyMode, *, node: str | None, progress: Callable[[str], None]) -> None:
    """Have every node's kube-proxy, or that of one node, work in that mode; returns when they do.

    MissingCapability: this machine cannot; NotFound: no such node. Nothing was changed then.
    """
    with SyncClient(paths.api_socket) as client:
        before = client.get(Topology, paths.lab)
        wanted = before.model_copy(update={"spec": _with_mode(before, mode, node)})
        require_modes(paths, wanted)
        client.patch(Topology, paths.lab, {"spec": as_json(wanted)["spec"]})
        readiness.wait(paths, client, progress)


def _with_mode(topology: Topology, mode: ProxyMode, node: str | None) -> object:
    spec = topology.spec
    if node is None:
        nodes = tuple(entry.model_copy(update={"proxy_mode": None}) for entry in spec.nodes)
        return spec.model_copy(update={"nodes": nodes, "proxy": spec.proxy.model_copy(update={"mode": mode})})
    if node not in {entry.name for entry in spec.nodes}:
        raise NotFound(f"lab {topology.metadata.name} has no node {node}")
    nodes = tuple(
        entry.model_copy(update={"proxy_mode": mode}) if entry.name == node else entry for entry in spec.nodes
    )
    return spec.model_copy(update={"nodes": nodes})
