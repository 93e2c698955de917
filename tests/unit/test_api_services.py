"""What becomes of a Service on its way in: defaults, checks, and its addresses and ports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.encoding import decode
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.model.objects import FORCED, Namespace, ObjectMeta, Service
from netlab.model.topology import Topology

DUAL_STACK = {
    "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
}
Spec = dict[str, Any]


def a_service(name: str = "web", **spec: Any) -> Service:
    spec = {"ports": [{"port": 80}], **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def forced(service: Service) -> Service:
    metadata = service.metadata.model_copy(update={"annotations": {FORCED: "true"}})
    return service.model_copy(update={"metadata": metadata})


@contextmanager
def a_cluster(network: Spec | None = None, seed: int = 1) -> Iterator[Cluster]:
    store = Store()
    cluster = Cluster(store, Random(seed))
    cluster.create(Topology.model_validate({"metadata": {"name": "lab"}, "spec": {"network": network or {}}}))
    yield cluster
    store.close()


def refused(cluster: Cluster, service: Service) -> str:
    with pytest.raises(Refusal) as refusal:
        cluster.create(service)
    assert cluster.store.find(Service, service.metadata.name) is None
    return str(refusal.value)


def changed(cluster: Cluster, patch: Spec, name: str = "web") -> Service:
    return cluster.patch(cluster.store.get(Service, name), {"spec": patch})


def test_a_service_gets_the_defaults_of_kubernetes() -> None:
    with a_cluster() as cluster:
        spec = cluster.create(a_service(selector={"app": "web"})).spec
    assert spec.model_dump(by_alias=True, mode="json", exclude_none=True, exclude_defaults=True) == {
        "type": "ClusterIP",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "targetPort": 80}],
        "clusterIP": spec.cluster_ip,
        "clusterIPs": [spec.cluster_ip],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
    }


def test_fields_that_netlab_does_not_know_survive() -> None:
    with a_cluster() as cluster:
        created = cluster.create(a_service(loadBalancerThing={"deep": [1, {"x": None}]}))
    assert created.spec.model_extra == {"loadBalancerThing": {"deep": [1, {"x": None}]}}


def test_zeros_and_empty_texts_mean_that_nothing_was_said_as_manifests_from_templates_have_them() -> None:
    port = {"name": "", "port": 80, "protocol": "", "targetPort": 0, "nodePort": 0}
    spec = {"type": "", "clusterIP": "", "sessionAffinity": "", "externalTrafficPolicy": "", "healthCheckNodePort": 0}
    body = {"metadata": {"name": "web"}, "spec": {**spec, "loadBalancerIP": "", "externalName": "", "ports": [port]}}
    with a_cluster() as cluster:
        created = cluster.create(decode(Service, json.dumps(body).encode())).spec
        plain = cluster.create(a_service("plain")).spec
        apart = {"cluster_ip": None, "cluster_ips": ()}
        assert created.model_copy(update=apart) == plain.model_copy(update=apart)


def test_a_port_of_zero_and_a_false_are_no_such_nothing() -> None:
    for port in ({"port": 0}, {"port": 80, "name": "", "nodePort": False}):
        with pytest.raises(Refusal):
            decode(Service, json.dumps({"metadata": {"name": "web"}, "spec": {"ports": [port]}}).encode())


def test_a_client_ip_affinity_lasts_three_hours_unless_said_otherwise() -> None:
    with a_cluster() as cluster:
        spec = cluster.create(a_service(sessionAffinity="ClientIP")).spec
        assert spec.session_affinity_config is not None
        assert spec.session_affinity_config.client_ip is not None
        assert spec.session_affinity_config.client_ip.timeout_seconds == 10800
        assert changed(cluster, {"sessionAffinity": "None"}).spec.session_affinity_config is None


def test_addresses_come_at_random_from_above_the_static_band() -> None:
    with a_cluster({"serviceCIDRs": ["10.96.0.0/24"]}) as cluster:
        given = [ip_address(cluster.create(a_service(f"s{number}")).spec.cluster_ip or "") for number in range(100)]
    assert len(set(given)) == 100
    assert given != sorted(given)
    assert min(given) > ip_address("10.96.0.16")
    assert max(given) < ip_address("10.96.0.255")


def test_the_static_band_is_used_once_all_else_is_taken_and_then_the_range_is_full() -> None:
    with a_cluster({"serviceCIDRs": ["10.96.0.0/27"]}) as cluster:
        given = [ip_address(cluster.create(a_service(f"s{number}")).spec.cluster_ip or "") for number in range(29)]
        assert {*given, ip_address("10.96.0.1")} == set(ip_network("10.96.0.0/27").hosts())
        assert min(given[:14]) > ip_address("10.96.0.16")
        message = refused(cluster, a_service("one-too-many"))
        assert message == "Internal error occurred: failed to allocate a serviceIP: range is full"
        cluster.delete(Service, "s3")
        assert cluster.create(a_service("one-too-many")).spec.cluster_ip == str(given[3])


def test_a_taken_address_is_refused_until_its_holder_is_deleted() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service("first", clusterIP="10.96.0.10"))
        assert refused(cluster, a_service(clusterIP="10.96.0.10")) == (
            'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: '
            "failed to allocate IP 10.96.0.10: provided IP is already allocated"
        )
        cluster.delete(Service, "first")
        assert cluster.create(a_service(clusterIP="10.96.0.10")).spec.cluster_ip == "10.96.0.10"


def test_an_address_outside_the_range_is_refused_and_the_range_named() -> None:
    with a_cluster() as cluster:
        assert refused(cluster, a_service(clusterIP="10.200.0.1")) == (
            'Service "web" is invalid: spec.clusterIPs: Invalid value: ["10.200.0.1"]: failed to allocate IP '
            "10.200.0.1: the provided IP (10.200.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12"
        )


def test_the_network_and_broadcast_addresses_belong_to_nobody() -> None:
    with a_cluster({"serviceCIDRs": ["10.96.0.0/24"]}) as cluster:
        assert "not in the valid range" in refused(cluster, a_service(clusterIP="10.96.0.0"))
        assert "not in the valid range" in refused(cluster, a_service(clusterIP="10.96.0.255"))


def test_a_service_can_be_forced_to_have_an_address_of_the_pod_range_but_not_somebody_elses() -> None:
    """The fault pod-range-in-service-range."""
    with a_cluster() as cluster:
        one, two = (forced(a_service(name, clusterIP="10.244.0.3")) for name in ("one", "two"))
        assert cluster.create(one).spec.cluster_ip == "10.244.0.3"
        assert "provided IP is already allocated" in refused(cluster, two)
        assert "not in the valid range" in refused(cluster, a_service("three", clusterIP="10.244.0.4"))


def test_node_ports_are_distinct_and_come_from_above_the_static_band() -> None:
    with a_cluster() as cluster:
        ports = [
            port.node_port or 0
            for number in range(50)
            for port in cluster.create(a_service(f"s{number}", type="NodePort")).spec.ports
        ]
    assert len(set(ports)) == 50
    assert min(ports) >= 30000 + 86
    assert max(ports) <= 32767


def test_a_full_range_of_node_ports_is_said_to_be_full() -> None:
    with a_cluster({"nodePortRange": "30000-30001"}) as cluster:
        cluster.create(a_service("a", type="NodePort"))
        cluster.create(a_service("b", type="NodePort"))
        message = refused(cluster, a_service(type="NodePort"))
        assert message == "Internal error occurred: failed to allocate a nodePort: range is full"


def test_a_taken_or_impossible_node_port_is_refused() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service("first", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
        assert refused(cluster, a_service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])) == (
            'Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated'
        )
        assert refused(cluster, a_service(type="NodePort", ports=[{"port": 80, "nodePort": 80}])) == (
            'Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 80: '
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        )


def test_tcp_and_udp_of_one_port_number_share_a_node_port() -> None:
    ports = [{"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}]
    with a_cluster() as cluster:
        created = cluster.create(a_service(type="NodePort", ports=ports))
    assert len({port.node_port for port in created.spec.ports}) == 1


def test_going_from_cluster_ip_to_node_port_and_back_keeps_the_address_and_frees_the_port() -> None:
    with a_cluster() as cluster:
        before = cluster.create(a_service())
        outside = changed(cluster, {"type": "NodePort"})
        assert outside.spec.ports[0].node_port is not None
        assert outside.spec.external_traffic_policy == "Cluster"
        assert outside.spec.cluster_ip == before.spec.cluster_ip
        inside = changed(cluster, {"type": "ClusterIP"})
        assert (inside.spec.ports[0].node_port, inside.spec.external_traffic_policy) == (None, None)
        again = a_service("other", type="NodePort", ports=[{"port": 80, "nodePort": outside.spec.ports[0].node_port}])
        assert cluster.create(again).spec.ports[0].node_port == outside.spec.ports[0].node_port


def test_an_update_that_leaves_out_what_was_given_keeps_it() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    with a_cluster() as cluster:
        before = cluster.create(a_service(type="NodePort", ports=ports))
        ports[0]["port"] = 8080
        after = cluster.update(a_service(type="NodePort", ports=ports))
        assert after.spec.cluster_ips == before.spec.cluster_ips
        assert [port.node_port for port in after.spec.ports] == [port.node_port for port in before.spec.ports]


def test_a_port_that_is_dropped_from_a_service_frees_its_node_port() -> None:
    ports = [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]
    with a_cluster() as cluster:
        cluster.create(a_service(type="NodePort", ports=ports))
        cluster.update(a_service(type="NodePort", ports=ports[:1]))
        assert cluster.create(a_service("other", type="NodePort", ports=ports[1:])).spec.ports[0].node_port == 30002
        assert "already allocated" in refused(cluster, a_service("third", type="NodePort", ports=ports[:1]))


def test_a_cluster_ip_may_not_change_once_set() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(clusterIP="10.96.0.10"))
        with pytest.raises(Refusal, match=r"spec.clusterIPs\[0\]: Invalid value: .* may not change once set"):
            changed(cluster, {"clusterIP": "10.96.0.11"})
        assert cluster.store.get(Service, "web").spec.cluster_ip == "10.96.0.10"


def test_an_external_name_has_no_address_and_frees_the_one_it_had() -> None:
    with a_cluster() as cluster:
        address = cluster.create(a_service()).spec.cluster_ip
        outside = changed(cluster, {"type": "ExternalName", "externalName": "example.com"})
        assert (outside.spec.cluster_ip, outside.spec.cluster_ips, outside.spec.ip_families) == (None, (), ())
        assert cluster.create(a_service("other", clusterIP=address)).spec.cluster_ip == address
        back = changed(cluster, {"type": "ClusterIP", "externalName": None})
        assert back.spec.cluster_ip not in (None, address)


def test_what_services_have_is_known_again_after_a_restart() -> None:
    store = Store()
    cluster = Cluster(store, Random(1))
    cluster.create(a_service("first", type="NodePort", clusterIP="10.96.0.10", ports=[{"port": 1, "nodePort": 30080}]))
    again = Cluster(store, Random(1))
    message = refused(again, a_service(type="NodePort", clusterIP="10.96.0.10", ports=[{"port": 1, "nodePort": 30080}]))
    assert "spec.clusterIPs" in message
    assert "spec.ports[0].nodePort" in message
    store.close()


@pytest.mark.parametrize(
    ("spec", "families", "policy", "versions"),
    [
        pytest.param({}, ("IPv4",), "SingleStack", [4], id="nothing said: the first family"),
        pytest.param({"ipFamilies": ["IPv6"]}, ("IPv6",), "SingleStack", [6], id="the other family alone"),
        pytest.param({"ipFamilyPolicy": "PreferDualStack"}, ("IPv4", "IPv6"), "PreferDualStack", [4, 6], id="prefer"),
        pytest.param(
            {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]},
            ("IPv6", "IPv4"),
            "RequireDualStack",
            [6, 4],
            id="require, the other family first",
        ),
        pytest.param(
            {"clusterIP": "fd00:10:96::10"}, ("IPv6",), "SingleStack", [6], id="the family follows from the address"
        ),
        pytest.param({"clusterIP": "None", "selector": {"a": "b"}}, ("IPv4",), "SingleStack", [], id="headless"),
        pytest.param({"clusterIP": "None"}, ("IPv4", "IPv6"), "RequireDualStack", [], id="headless without selector"),
    ],
)
def test_families_in_a_dual_stack_lab(spec: Spec, families: tuple[str, ...], policy: str, versions: list[int]) -> None:
    with a_cluster(DUAL_STACK) as cluster:
        given = cluster.create(a_service(**spec)).spec
    assert (given.ip_families, given.ip_family_policy) == (families, policy)
    assert [ip_address(ip).version for ip in given.cluster_ips if ip != "None"] == versions


def test_a_service_becomes_dual_stack_and_single_stack_again() -> None:
    with a_cluster(DUAL_STACK) as cluster:
        before = cluster.create(a_service()).spec
        both = changed(cluster, {"ipFamilyPolicy": "RequireDualStack"}).spec
        assert both.cluster_ips[0] == before.cluster_ip
        assert [ip_address(ip).version for ip in both.cluster_ips] == [4, 6]
        single = changed(cluster, {"ipFamilyPolicy": "SingleStack"}).spec
        assert (single.cluster_ips, single.ip_families) == (before.cluster_ips, ("IPv4",))
        assert cluster.create(a_service("other", clusterIP=both.cluster_ips[1])).spec.cluster_ip == both.cluster_ips[1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ports": []}, "spec.ports: Required value"),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            "[spec.ports[0].name: Required value, spec.ports[1].name: Required value]",
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
            'spec.ports[1].name: Duplicate value: "a"',
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,'
            '"NodePort":0}',
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"ports": [{"port": 80, "targetPort": "way-too-long-a-name"}]},
            'spec.ports[0].targetPort: Invalid value: "way-too-long-a-name": must be no more than 15 characters',
        ),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        (
            {"type": "NodePort", "clusterIP": "None"},
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        (
            {"externalTrafficPolicy": "Local"},
            'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        ),
        (
            {"clusterIP": "10.96.0.300"},
            'spec.clusterIPs[0]: Invalid value: "10.96.0.300": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services",
        ),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        (
            {"clusterIP": "10.96.0.10", "ipFamilies": ["IPv6"]},
            '[spec.clusterIPs[0]: Invalid value: "10.96.0.10": expected an IPv6 value as indicated by `ipFamilies[0]`, '
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster]',
        ),
        (
            {"loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"trafficDistribution": "Nearby"},
            'spec.trafficDistribution: Unsupported value: "Nearby": '
            'supported values: "PreferClose", "PreferSameZone", "PreferSameNode"',
        ),
    ],
)
def test_a_wrong_service_is_refused_in_the_words_of_kubernetes(spec: Spec, message: str) -> None:
    with a_cluster() as cluster:
        assert refused(cluster, a_service(**spec)) == f'Service "web" is invalid: {message}'


def test_a_wrong_name_is_refused_with_the_rule_for_names() -> None:
    with a_cluster() as cluster:
        assert refused(cluster, a_service("Web_1")) == (
            'Service "Web_1" is invalid: metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 label must '
            "consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
            "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        )


def test_a_service_in_a_namespace_that_is_not_there_is_refused() -> None:
    with a_cluster() as cluster:
        lost = Service.model_validate({"metadata": {"name": "web", "namespace": "shop"}, "spec": {}})
        with pytest.raises(Refusal, match=r'^namespaces "shop" not found$'):
            cluster.create(lost)
        cluster.create(Namespace(metadata=ObjectMeta(name="shop")))
        cluster.create(lost.model_copy(update={"spec": a_service().spec}))


def test_a_load_balancer_with_local_policy_gets_a_port_for_its_health_check_and_can_do_without_node_ports() -> None:
    with a_cluster() as cluster:
        spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": False}
        created = cluster.create(a_service(**spec)).spec
        assert created.health_check_node_port is not None
        assert created.ports[0].node_port is None
        taken = {"type": "NodePort", "ports": [{"port": 80, "nodePort": created.health_check_node_port}]}
        assert "already allocated" in refused(cluster, a_service("other", **taken))
