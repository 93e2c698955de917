"""Services to count and to measure with: each has one TCP port and two endpoints on another node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service

NODE_NAME = "node"
FIRST_CLUSTER_IP = IPv4Address("10.96.0.10")
FIRST_ENDPOINT = IPv4Address("10.128.0.2")
SERVICE_PORT, TARGET_PORT = 80, 8080
FEWEST_SERVICES, MOST_SERVICES = 2, 20_000
"""How many can be measured among: one is for connections, one for transfers."""
Endpoint = tuple[IPv4Address, int]
"""An address and a port."""


def cluster_ip(number: int) -> IPv4Address:
    """The ClusterIP of the Service of that number."""
    return FIRST_CLUSTER_IP + number


def node(address: IPv4Address) -> Node:
    """The node whose rules are written."""
    status = {"addresses": [{"type": "InternalIP", "address": str(address)}]}
    return Node.model_validate({"metadata": {"name": NODE_NAME}, "status": status})


def service(number: int, endpoints: Iterable[Endpoint] = ()) -> Iterator[KubernetesObject]:
    """A Service and its slice. Without `endpoints` it has two that nobody is at, and no other Service has."""
    first = FIRST_ENDPOINT + 4 * number
    places = tuple(endpoints) or ((first, TARGET_PORT), (first + 1, TARGET_PORT))
    target = places[0][1]
    name = f"svc-{number}"
    spec = {"clusterIP": str(cluster_ip(number)), "ports": [{"port": SERVICE_PORT, "targetPort": target}]}
    yield Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
    labels = {"kubernetes.io/service-name": name}
    yield EndpointSlice.model_validate(
        {
            "metadata": {"name": f"{name}-1", "namespace": "default", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": target, "protocol": "TCP"}],
            "endpoints": [{"addresses": [str(address)], "nodeName": "elsewhere"} for address, _ in places],
        }
    )
