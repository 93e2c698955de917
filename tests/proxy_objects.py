"""Short ways to write the objects of a proxy's tests, and the node they are seen from."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypedDict, Unpack

import yaml

from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service
from netlab.model.rules import Family, Table
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.config import ProxyConfig
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables import spell

CASES = Path(__file__).parent / "golden" / "reference"
KINDS: dict[str, type[KubernetesObject]] = {"Node": Node, "Service": Service, "EndpointSlice": EndpointSlice}
NODE1, NODE1_6 = "192.168.50.11", "fd00:50::11"
MACHINE_ADDRESSES = (
    *(NODE1, "172.20.0.9", "10.244.1.1", "127.0.0.1"),
    *(NODE1_6, "fd00:172::9", "fd00:10:244:1::1", "::1"),
)
"""node1's own, on its interfaces eth0 (two), cni0 and lo."""
LOCAL, REMOTE, THIRD = "10.244.1.5:8080", "10.244.2.6:8080", "10.244.3.7:8080"
CONFIG = ProxyConfig(node_name="node1", cluster_cidrs=(ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")))


class Conditions(TypedDict, total=False):
    ready: bool
    serving: bool
    terminating: bool
    node: str | None
    zones: list[str]
    nodes: list[str]


def endpoint(address: str, **state: Unpack[Conditions]) -> dict[str, object]:
    """An endpoint of a slice; its node is told by the third byte of its address unless `node` says otherwise."""
    node = state.get("node", f"node{address.split('.')[2]}" if "." in address else "node1")
    hints = {
        "forZones": [{"name": name} for name in state.get("zones", [])],
        "forNodes": [{"name": name} for name in state.get("nodes", [])],
    }
    conditions = {name: state[name] for name in ("ready", "serving", "terminating") if name in state}
    return {"addresses": [address], "nodeName": node, "conditions": conditions, "hints": hints}


LEAVING: Conditions = {"ready": False, "serving": True, "terminating": True}
GONE: Conditions = {"ready": False, "serving": False, "terminating": True}
UNREADY: Conditions = {"ready": False, "serving": False, "terminating": False}


def service(
    name: str = "web", *, spec: dict[str, object] | None = None, status: object = None, labels: object = None
) -> Service:
    """A Service at 10.96.0.10, port 80 over TCP; `spec` adds to that."""
    given = {"clusterIP": "10.96.0.10", "ports": [{"port": 80, "targetPort": 8080}], **(spec or {})}
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    document = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": given, "status": status or {}}
    return Service.model_validate(document)


def endpoint_slice(
    *endpoints: dict[str, object],
    name: str = "web-1",
    service: str = "web",
    ports: Iterable[dict[str, object]] = ({"name": "", "port": 8080, "protocol": "TCP"},),
    labels: dict[str, str] | None = None,
    family: str = "IPv4",
) -> EndpointSlice:
    """An EndpointSlice of a Service; port 8080 over TCP unless said otherwise."""
    metadata = {
        "name": name,
        "namespace": "default",
        "labels": {"kubernetes.io/service-name": service, **(labels or {})},
    }
    return EndpointSlice.model_validate(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": family,
            "ports": list(ports),
            "endpoints": list(endpoints),
        }
    )


def documents(path: Path) -> list[KubernetesObject]:
    """The objects of a multi-document file."""
    return [KINDS[found["kind"]].model_validate(found) for found in yaml.safe_load_all(path.read_text()) if found]


def node(zone: str = "zone-a") -> Node:
    """node1 of the reference cases, in a zone (empty: in none)."""
    (found,) = documents(CASES / "node1.yaml")
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    assert isinstance(found, Node)
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"labels": labels})})


def tracker(*objects: KubernetesObject) -> ChangeTracker:
    """What node1 knows after it heard of these objects."""
    found = ChangeTracker(node_name="node1")
    for obj in objects:
        found.put(obj)
    found.collect()
    return found


def tables(
    *objects: KubernetesObject,
    config: ProxyConfig = CONFIG,
    family: Family = Family.IPV4,
    addresses: tuple[str, ...] = MACHINE_ADDRESSES,
) -> tuple[Table, ...]:
    """The tables of node1 for these objects."""
    known = tracker(*objects)
    routes = decide_all(known, config).values()
    return spell(
        routes,
        config=config,
        node=known.node,
        family=family,
        endpoint_total=known.endpoint_total(family),
        local_addresses=tuple(map(ip_address, addresses)),
    )
