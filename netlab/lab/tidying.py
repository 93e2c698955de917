"""Inside the lab: the kernel as it was remembered, after tests have had their way with it.

Connections are forgotten, links and routes made what the objects want, rules compared by each kube-proxy; all but the
first only where something is otherwise than it was, which fingerprints tell in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping

from netlab.api.sync_client import SyncClient
from netlab.errors import KernelError, NotFound
from netlab.kernel import conntrack, links, readback
from netlab.kernel.clients import forget_clients
from netlab.kernel.fingerprint import differing, fingerprint, hashed
from netlab.kernel.namespaces import inside, names_of
from netlab.kernel.rule_fingerprint import rule_fingerprint
from netlab.lab import baseline, proxies
from netlab.lab.baseline import Fingerprints
from netlab.lab.rules import balancer_rules
from netlab.model.modes import ProxyMode
from netlab.model.names import Place, PlaceKind, fabric_namespace, network_namespace
from netlab.model.objects import Node, Pod, Service
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology
from netlab.plan.compose import lab_state
from netlab.plan.diff import diff
from netlab.plan.sysctls import MANAGED

Arguments = Mapping[str, str | int | float | None]


def fingerprints(paths: LabPaths, topology: Topology) -> Fingerprints:
    """Of every namespace of the lab. KernelError."""
    spec = topology.spec
    with_ipvs = {
        network_namespace(paths.lab, Place(PlaceKind.NODE, entry.name))
        for entry in spec.nodes
        if spec.proxy_mode(entry.name) is ProxyMode.IPVS
    }
    return {name: _of_one(name, balanced=name in with_ipvs) for name in names_of(paths.lab)}


def _of_one(name: str, *, balanced: bool) -> dict[str, str]:
    with inside(name):
        found = fingerprint(name, MANAGED)
        found["rules"] = rule_fingerprint()
        if balanced:
            found["balancer"] = hashed(line.encode() for line in balancer_rules())
    return found


def require_machines(paths: LabPaths, topology: Topology) -> None:
    """NotFound: somebody has deleted a namespace that no object brings back."""
    spec = topology.spec
    nodes = [Place(PlaceKind.NODE, entry.name) for entry in spec.nodes]
    externals = [Place(PlaceKind.EXTERNAL, entry.name) for entry in spec.externals]
    wanted = {network_namespace(paths.lab, place) for place in (*nodes, *externals)} | {fabric_namespace(paths.lab)}
    for name in sorted(wanted - set(names_of(paths.lab))):
        raise NotFound(f"there is no network namespace {name}")


def tidy(paths: LabPaths, arguments: Arguments) -> str:
    """Bring the kernel back; by namespace, the parts that are otherwise even so, and what was looked at.

    `arguments` are those of `proxies.report`, which is asked first: rules follow from the objects by then.
    """
    remembered = baseline.read(paths).kernel
    with SyncClient(paths.api_socket) as client:
        topology = client.get(Topology, paths.lab)
        require_machines(paths, topology)
        with_clients = any(each.spec.session_affinity == "ClientIP" for each in client.list(Service)[0])
        proxies.report(paths, arguments)
        _forget_traffic(names_of(paths.lab), with_clients=with_clients)
        now = fingerprints(paths, topology)
        if now != remembered:
            _make_again(paths, client, topology)
            proxies.report(paths, {**arguments, "compare": "yes"})
            _forget_traffic(names_of(paths.lab), with_clients=with_clients)
            now = fingerprints(paths, topology)
    differs = {
        name: parts
        for name in sorted(remembered.keys() | now.keys())
        if (parts := differing(remembered.get(name, {}), now.get(name, {})))
    }
    return json.dumps({"differs": differs, "kernel": now})


def _forget_traffic(names: Iterable[str], *, with_clients: bool) -> None:
    """Connections, and who was whose client."""
    for name in names:
        with inside(name):
            with contextlib.suppress(KernelError):  # a kernel without conntrack remembers nothing
                conntrack.flush()
            if with_clients:
                forget_clients()


def _make_again(paths: LabPaths, client: SyncClient, topology: Topology) -> None:
    """What the fabric does when it has lost sight of the kernel. It goes on believing what is true again."""
    nodes, pods = client.list(Node)[0], client.list(Pod)[0]
    wanted = lab_state(topology, nodes, pods, paths.lab)
    links.apply(diff(readback.read(paths.lab), wanted.namespaces))
