"""A Service that becomes one of another type: what it keeps, what it gives back, and what Kubernetes refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.encoding import decode
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.model.objects import Service, ServiceSpec
from netlab.model.topology import Topology

Spec = dict[str, Any]
LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}


def a_service(name: str = "web", **spec: Any) -> Service:
    spec = {"ports": [{"port": 80}], **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    store = Store()
    cluster = Cluster(store, Random(1))
    cluster.create(Topology.model_validate({"metadata": {"name": "lab"}}))
    yield cluster
    store.close()


def changed(cluster: Cluster, patch: Spec, name: str = "web") -> ServiceSpec:
    return cluster.patch(cluster.store.get(Service, name), {"spec": patch}).spec


def refused(cluster: Cluster, patch: Spec) -> str:
    before = cluster.store.get(Service, "web")
    with pytest.raises(Refusal) as refusal:
        changed(cluster, patch)
    assert cluster.store.get(Service, "web") == before
    return str(refusal.value).removeprefix('Service "web" is invalid: ')


def is_free(cluster: Cluster, port: int | None) -> bool:
    """Whether another Service can have the port; it does not keep it."""
    try:
        cluster.create(a_service("probe", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    except Refusal as refusal:
        return "provided port is already allocated" not in str(refusal)
    cluster.delete(Service, "probe")
    return True


TYPES: dict[str, Spec] = {
    "ClusterIP": {"type": "ClusterIP", "externalName": None},
    "NodePort": {"type": "NodePort", "externalName": None},
    "LoadBalancer": {"type": "LoadBalancer", "externalName": None},
    "LoadBalancer with policy Local": {**LOCAL, "externalName": None},
    "ExternalName": {"type": "ExternalName", "externalName": "example.com"},
}
CHANGES = [(before, after) for before in TYPES for after in TYPES if before != after]


def has(spec: ServiceSpec) -> Spec:
    """Which of the values that Kubernetes gives out or sets for a type the Service has."""
    return {
        "clusterIP": bool(spec.cluster_ip and spec.cluster_ips and spec.ip_families and spec.ip_family_policy),
        "nodePort": spec.ports[0].node_port is not None,
        "healthCheckNodePort": spec.health_check_node_port is not None,
        "externalTrafficPolicy": spec.external_traffic_policy is not None,
        "allocateLoadBalancerNodePorts": spec.allocate_load_balancer_node_ports,
    }


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=[f"from {one} to {other}" for one, other in CHANGES])
def test_a_changed_type_leaves_what_a_new_service_of_that_type_would_have(before: str, after: str) -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(**TYPES[before]))
        policy = {"externalTrafficPolicy": "Cluster"} if after in ("NodePort", "LoadBalancer") else {}
        became = changed(cluster, TYPES[after] | policy)
        fresh = cluster.create(a_service("fresh", **TYPES[after])).spec
        assert has(became) == has(fresh)


@pytest.mark.parametrize("before", [name for name in TYPES if name not in ("ClusterIP", "ExternalName")])
@pytest.mark.parametrize("after", ["ClusterIP", "ExternalName"])
def test_going_inside_gives_the_ports_back(before: str, after: str) -> None:
    with a_cluster() as cluster:
        had = cluster.create(a_service(**TYPES[before])).spec
        ports = [port for port in (had.ports[0].node_port, had.health_check_node_port) if port]
        assert not any(is_free(cluster, port) for port in ports)
        changed(cluster, TYPES[after])
        assert all(is_free(cluster, port) for port in ports)


def test_going_from_node_port_to_load_balancer_and_back_keeps_address_and_port() -> None:
    with a_cluster() as cluster:
        before = cluster.create(a_service(type="NodePort")).spec
        balanced = changed(cluster, {"type": "LoadBalancer"})
        again = changed(cluster, {"type": "NodePort"})
        for spec in (balanced, again):
            assert (spec.cluster_ip, spec.ports[0].node_port) == (before.cluster_ip, before.ports[0].node_port)
        assert again.allocate_load_balancer_node_ports is None


def test_a_deleted_service_gives_back_every_port() -> None:
    with a_cluster() as cluster:
        spec = cluster.create(a_service(**LOCAL)).spec
        cluster.delete(Service, "web")
        assert is_free(cluster, spec.ports[0].node_port)
        assert is_free(cluster, spec.health_check_node_port)


def test_the_health_check_port_goes_with_the_policy_and_a_later_one_may_be_another() -> None:
    with a_cluster() as cluster:
        before = cluster.create(a_service(**LOCAL, healthCheckNodePort=30123)).spec
        assert before.health_check_node_port == 30123
        assert changed(cluster, {"sessionAffinity": "ClientIP"}).health_check_node_port == 30123
        assert changed(cluster, {"externalTrafficPolicy": "Cluster"}).health_check_node_port is None
        assert is_free(cluster, 30123)
        assert changed(cluster, {"externalTrafficPolicy": "Local"}).health_check_node_port is not None


def test_a_health_check_port_may_not_change() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(**LOCAL, healthCheckNodePort=30123))
        message = refused(cluster, {"healthCheckNodePort": 30124})
        assert message == "spec.healthCheckNodePort: Forbidden: field is immutable"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"healthCheckNodePort": 30080}, "provided port is already allocated", id="another Service's"),
        pytest.param(
            {"healthCheckNodePort": 31000, "ports": [{"port": 80, "nodePort": 31000}]},
            "provided port is already allocated",
            id="its own nodePort",
        ),
        pytest.param(
            {"healthCheckNodePort": 80},
            "provided port is not in the valid range. The range of valid ports is 30000-32767",
            id="outside the range",
        ),
    ],
)
def test_a_health_check_port_that_cannot_be_had_is_refused(spec: Spec, why: str) -> None:
    number = spec["healthCheckNodePort"]
    with a_cluster() as cluster:
        cluster.create(a_service("other", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
        with pytest.raises(Refusal) as refusal:
            cluster.create(a_service(**LOCAL, **spec))
        assert str(refusal.value) == (
            f'Service "web" is invalid: spec.healthCheckNodePort: Invalid value: {number}: '
            f"failed to allocate requested HealthCheck NodePort {number}: {why}"
        )


def test_node_ports_stay_when_they_are_no_longer_asked_for_and_go_with_the_type() -> None:
    with a_cluster() as cluster:
        before = cluster.create(a_service(type="LoadBalancer")).spec
        without = changed(cluster, {"allocateLoadBalancerNodePorts": False})
        assert without.ports[0].node_port == before.ports[0].node_port
        assert changed(cluster, {"type": "ClusterIP"}).ports[0].node_port is None
        assert is_free(cluster, before.ports[0].node_port)


def test_a_port_may_be_dropped_together_with_the_type() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    with a_cluster() as cluster:
        before = cluster.create(a_service(type="NodePort", ports=ports)).spec
        kept = {"name": "a", "port": 80, "nodePort": before.ports[0].node_port}
        assert changed(cluster, {"type": "ClusterIP", "ports": [kept]}).ports[0].node_port is None
        assert all(is_free(cluster, port.node_port) for port in before.ports)


def test_an_external_name_holds_no_port_though_one_is_written() -> None:
    with a_cluster() as cluster:
        ports = [{"port": 80, "nodePort": 30080}]
        cluster.create(a_service(type="ExternalName", externalName="example.com", ports=ports))
        assert is_free(cluster, 30080)


@pytest.mark.parametrize(
    ("before", "patch", "message"),
    [
        pytest.param(
            {"type": "NodePort"},
            {"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30001}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            id="a new nodePort for a ClusterIP",
        ),
        pytest.param(
            {"type": "LoadBalancer", "loadBalancerClass": "a.example/lb"},
            {"loadBalancerClass": "b.example/lb"},
            'spec.loadBalancerClass: Invalid value: "b.example/lb": may not change once set',
            id="another class",
        ),
        pytest.param(
            {"type": "LoadBalancer", "loadBalancerClass": "a.example/lb"},
            {"loadBalancerClass": None},
            "spec.loadBalancerClass: Invalid value: null: may not change once set",
            id="no class any more",
        ),
        pytest.param(
            {"type": "LoadBalancer"},
            {"loadBalancerClass": "a.example/lb"},
            'spec.loadBalancerClass: Invalid value: "a.example/lb": may not change once set',
            id="a class for a load balancer that had none",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"loadBalancerClass": "a.example/lb"},
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            id="a class without load balancer",
        ),
        pytest.param(
            {"type": "LoadBalancer"},
            {"type": "ClusterIP", "allocateLoadBalancerNodePorts": False},
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            id="allocateLoadBalancerNodePorts changed on the way out",
        ),
        pytest.param(
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
            {"type": "NodePort"},
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            id="source ranges are not dropped by themselves",
        ),
        pytest.param(
            {"type": "LoadBalancer"},
            {"loadBalancerSourceRanges": ["10.0.0.0/8", "10.0.0.1"]},
            'spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1": '
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            id="a source range that is an address",
        ),
        pytest.param(
            {"type": "NodePort"},
            {"healthCheckNodePort": 30001},
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and "
            "`externalTrafficPolicy` is 'Local'",
            id="a health check port without load balancer",
        ),
        pytest.param(
            {"type": "NodePort", "externalTrafficPolicy": "Local"},
            {"type": "ClusterIP", "externalTrafficPolicy": "Cluster"},
            'spec.externalTrafficPolicy: Invalid value: "Cluster": may only be set for externally-accessible services',
            id="an external policy changed on the way in",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"type": "ExternalName", "externalName": "example.com", "clusterIP": "10.96.9.9", "clusterIPs": None},
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            id="an address for an ExternalName",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"type": "ExternalName", "externalName": "not a name"},
            'spec.externalName: Invalid value: "not a name": a lowercase RFC 1123 subdomain must consist of',
            id="an ExternalName that is no name",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}},
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: "
            "must be greater than 0 and less than 86400",
            id="an affinity of more than a day",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"internalTrafficPolicy": "Nowhere"},
            'spec.internalTrafficPolicy: Unsupported value: "Nowhere": supported values: "Cluster", "Local"',
            id="an internal policy that there is not",
        ),
        pytest.param(
            {"type": "ClusterIP"},
            {"type": "Router"},
            'spec.type: Unsupported value: "Router": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
            '"NodePort"',
            id="a type that there is not",
        ),
    ],
)
def test_a_change_is_refused_in_the_words_of_kubernetes(before: Spec, patch: Spec, message: str) -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(**before))
        assert refused(cluster, patch).startswith(message)


def test_a_service_that_ceases_to_be_a_load_balancer_loses_the_addresses_in_its_status() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(type="LoadBalancer", loadBalancerClass="a.example/lb"))
        service = cluster.store.get(Service, "web")
        given = cluster.patch(service, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}, "status")
        assert [(each.ip, each.ip_mode) for each in given.status.load_balancer.ingress] == [("192.0.2.1", "VIP")]
        changed(cluster, {"type": "NodePort"})
        assert cluster.store.get(Service, "web").status.load_balancer.ingress == ()


@pytest.mark.parametrize(
    ("type_", "ingress", "message"),
    [
        (
            "LoadBalancer",
            {"ip": "192.0.2"},
            'status.loadBalancer.ingress[0].ip: Invalid value: "192.0.2": must be a valid',
        ),
        (
            "LoadBalancer",
            {"hostname": "lb.example.com", "ipMode": "VIP"},
            "status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set",
        ),
        (
            "LoadBalancer",
            {"hostname": "192.0.2.1"},
            'status.loadBalancer.ingress[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP',
        ),
        (
            "NodePort",
            {"ip": "192.0.2.1"},
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
        ),
    ],
)
def test_a_wrong_load_balancer_status_is_refused(type_: str, ingress: Spec, message: str) -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(type=type_))
        service = cluster.store.get(Service, "web")
        with pytest.raises(Refusal) as refusal:
            cluster.patch(service, {"status": {"loadBalancer": {"ingress": [ingress]}}}, "status")
        assert str(refusal.value).startswith(f'Service "web" is invalid: {message}')
        assert cluster.store.get(Service, "web") == service


def test_source_ranges_in_the_old_annotation_are_read_too() -> None:
    with a_cluster() as cluster:
        key = "service.beta.kubernetes.io/load-balancer-source-ranges"
        body = {"metadata": {"name": "web", "annotations": {key: "10.0.0.0/8, x"}}, "spec": {"ports": [{"port": 80}]}}
        with pytest.raises(Refusal) as refusal:
            cluster.create(decode(Service, str(body).replace("'", '"').encode()))
        assert str(refusal.value) == (
            f'Service "web" is invalid: [metadata.annotations[{key}]: Forbidden: may only be used when `type` is '
            f"'LoadBalancer', metadata.annotations[{key}]: Invalid value: \"x\": must be a valid CIDR value, "
            "(e.g. 10.9.8.0/24 or 2001:db8::/64)]"
        )
