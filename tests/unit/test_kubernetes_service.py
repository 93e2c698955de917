"""The Service default/kubernetes: in every lab, the control plane's node behind it, whatever is done to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.model.objects import SERVICE_NAME_LABEL, EndpointSlice, Node, Service
from netlab.model.topology import Topology
from netlab.plan.control_plane import CONTROL_PLANE_LABEL, kubernetes_address

TWO_NODES = ({"name": "node1"}, {"name": "node2"})
SIX_FIRST = {
    "podCIDRs": ["fd00:10:244::/56", "10.244.0.0/16"],
    "serviceCIDRs": ["fd00:10:96::/112", "10.96.0.0/16"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
}


def a_topology(*nodes: dict[str, Any], **network: Any) -> Topology:
    return Topology.model_validate(
        {"metadata": {"name": "lab"}, "spec": {"nodes": nodes or TWO_NODES, "network": network}}
    )


@contextmanager
def a_cluster(topology: Topology) -> Iterator[Cluster]:
    store = Store()
    cluster = Cluster(store, Random(1))
    cluster.create(topology)
    yield cluster
    store.close()


def the_service(cluster: Cluster) -> Service:
    return cluster.store.get(Service, "kubernetes", "default")


def the_slice(cluster: Cluster) -> EndpointSlice:
    return cluster.store.get(EndpointSlice, "kubernetes", "default")


def behind_it(cluster: Cluster) -> list[str]:
    return [address for endpoint in the_slice(cluster).endpoints for address in endpoint.addresses]


def roles(cluster: Cluster) -> dict[str, bool]:
    """Which nodes say that they are the control plane's, as `kubectl get nodes` shows it."""
    return {node.metadata.name: CONTROL_PLANE_LABEL in node.metadata.labels for node in cluster.store.list(Node)}


def test_it_has_the_first_address_of_the_range_and_the_first_nodes_port_6443() -> None:
    with a_cluster(a_topology()) as cluster:
        spec, found = the_service(cluster).spec, the_slice(cluster)
    assert (spec.type, spec.cluster_ip, spec.selector) == ("ClusterIP", "10.96.0.1", None)
    assert [(port.name, port.port, port.target_port) for port in spec.ports] == [("https", 443, 6443)]
    assert [(port.name, port.port, port.protocol) for port in found.ports] == [("https", 6443, "TCP")]
    assert [(each.addresses, each.conditions.ready) for each in found.endpoints] == [(("172.18.0.2",), True)]
    assert found.metadata.labels == {SERVICE_NAME_LABEL: "kubernetes"}


def test_the_node_with_the_label_of_a_control_plane_comes_before_the_first_one() -> None:
    with a_cluster(a_topology({"name": "node1"}, {"name": "node2", "labels": {CONTROL_PLANE_LABEL: ""}})) as cluster:
        assert behind_it(cluster) == ["172.18.0.3"]
        assert roles(cluster) == {"node1": False, "node2": True}


def test_it_is_of_the_first_family_of_services_alone() -> None:
    with a_cluster(a_topology(**SIX_FIRST)) as cluster:
        assert the_service(cluster).spec.cluster_ips == ("fd00:10:96::1",)
        assert (the_slice(cluster).address_type, behind_it(cluster)) == ("IPv6", ["fd00:172:18::2"])


def test_deleted_both_come_back_and_a_slice_that_somebody_wrote_over_is_put_right() -> None:
    with a_cluster(a_topology()) as cluster:
        cluster.delete(Service, "kubernetes", "default")
        assert the_service(cluster).spec.cluster_ip == "10.96.0.1"
        cluster.delete(EndpointSlice, "kubernetes", "default")
        assert behind_it(cluster) == ["172.18.0.2"]
        cluster.update(the_slice(cluster).model_copy(update={"endpoints": ()}))
        assert behind_it(cluster) == ["172.18.0.2"]


def test_it_follows_when_the_control_plane_is_another_node() -> None:
    with a_cluster(a_topology()) as cluster:
        (present,) = cluster.store.list(Topology)
        nodes = tuple(node for node in present.spec.nodes if node.name != "node1")
        assert roles(cluster) == {"node1": True, "node2": False}
        cluster.update(present.model_copy(update={"spec": present.spec.model_copy(update={"nodes": nodes})}))
        assert behind_it(cluster) == ["172.18.0.3"]
        assert roles(cluster) == {"node2": True}


def test_its_address_is_nobody_elses_even_while_it_is_deleted() -> None:
    wish = Service.model_validate(
        {
            "metadata": {"name": "web"},
            "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]},
        }
    )
    with a_cluster(a_topology()) as cluster:
        cluster.work_to_do = lambda: None
        cluster.delete(Service, "kubernetes", "default")
        with pytest.raises(Refusal, match=r"failed to allocate IP 10\.96\.0\.1: provided IP is already allocated"):
            cluster.create(wish)


@pytest.mark.parametrize(
    ("cidr", "address"), [("10.96.0.0/12", "10.96.0.1"), ("10.0.0.0/30", "10.0.0.1"), ("10.0.0.0/31", None)]
)
def test_a_range_without_room_for_services_has_no_such_address(cidr: str, address: str | None) -> None:
    assert kubernetes_address([ip_network(cidr)]) == (ip_address(address) if address else None)
