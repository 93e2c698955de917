"""Which Service gets which address of the pool, what it says while it waits, and when an address is free again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.model.objects import Service
from netlab.model.topology import Topology

DUAL_STACK = {
    "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
    "loadBalancerCIDRs": ["172.18.255.0/28", "fd00:172:18:ff::/120"],
}
POOL = {"loadBalancerCIDRs": ["172.18.255.0/28"]}
Spec = dict[str, Any]


def a_service(name: str = "web", **spec: Any) -> Service:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def a_topology(network: Spec) -> Topology:
    return Topology.model_validate({"metadata": {"name": "lab"}, "spec": {"network": network}})


@contextmanager
def a_cluster(network: Spec, path: Path | None = None) -> Iterator[Cluster]:
    with closing(Store(path)) as store:
        cluster = Cluster(store, Random(1))
        if not store.list(Topology):
            cluster.create(a_topology(network))
        yield cluster


def addresses(cluster: Cluster, name: str = "web") -> list[str | None]:
    ingress = cluster.store.get(Service, name).status.load_balancer.ingress
    assert all(each.ip_mode == "VIP" for each in ingress)
    return [each.ip for each in ingress]


def lacks(cluster: Cluster, name: str = "web") -> list[tuple[str | None, str | None]]:
    conditions = cluster.store.get(Service, name).status.conditions
    assert all((each.type, each.status) == ("LoadBalancerAddress", "False") for each in conditions)
    return [(each.reason, each.message) for each in conditions]


def change(cluster: Cluster, patch: Spec, name: str = "web") -> None:
    cluster.patch(cluster.store.get(Service, name), {"spec": patch})


def test_load_balancers_get_the_lowest_addresses_that_are_free_and_keep_them() -> None:
    with a_cluster(POOL) as cluster:
        for name in ("a", "b", "c"):
            cluster.create(a_service(name))
        assert [addresses(cluster, name) for name in ("a", "b", "c")] == [
            ["172.18.255.1"],
            ["172.18.255.2"],
            ["172.18.255.3"],
        ]
        cluster.delete(Service, "a")
        change(cluster, {"sessionAffinity": "ClientIP"}, "c")
        cluster.create(a_service("d"))
        assert [addresses(cluster, name) for name in ("b", "c", "d")] == [
            ["172.18.255.2"],
            ["172.18.255.3"],
            ["172.18.255.1"],
        ]


def test_a_load_balancer_gets_one_address_of_each_family_it_has() -> None:
    with a_cluster(DUAL_STACK) as cluster:
        cluster.create(a_service(ipFamilyPolicy="PreferDualStack"))
        assert addresses(cluster) == ["172.18.255.1", "fd00:172:18:ff::1"]
        cluster.create(a_service("six", ipFamilies=["IPv6"]))
        assert addresses(cluster, "six") == ["fd00:172:18:ff::2"]
        change(cluster, {"ipFamilyPolicy": "SingleStack"})
        assert addresses(cluster) == ["172.18.255.1"]


@pytest.mark.parametrize("type_", ["ClusterIP", "NodePort"])
def test_an_address_goes_with_the_type_and_whoever_waits_for_one_gets_it(type_: str) -> None:
    with a_cluster({"loadBalancerCIDRs": ["172.18.255.7/32"]}) as cluster:
        cluster.create(a_service("first"))
        cluster.create(a_service())
        assert addresses(cluster, "first") == ["172.18.255.7"]
        assert (addresses(cluster), lacks(cluster)) == (
            [],
            [("AddressUnavailable", "no address of 172.18.255.7/32 is left")],
        )
        change(cluster, {"type": type_}, "first")
        assert addresses(cluster, "first") == []
        assert (addresses(cluster), lacks(cluster)) == (["172.18.255.7"], [])


def test_a_deleted_load_balancer_leaves_its_address_to_the_one_that_waited_longest() -> None:
    with a_cluster({"loadBalancerCIDRs": ["172.18.255.6/31"]}) as cluster:
        for name in ("a", "b", "c", "d"):
            cluster.create(a_service(name))
        cluster.delete(Service, "b")
        assert [addresses(cluster, name) for name in ("a", "c", "d")] == [["172.18.255.6"], ["172.18.255.7"], []]


def test_an_address_that_is_asked_for_is_given_where_it_is_free() -> None:
    with a_cluster(POOL) as cluster:
        cluster.create(a_service("first", loadBalancerIP="172.18.255.9"))
        cluster.create(a_service(loadBalancerIP="172.18.255.9"))
        assert addresses(cluster, "first") == ["172.18.255.9"]
        assert (addresses(cluster), lacks(cluster)) == (
            [],
            [("AddressUnavailable", "loadBalancerIP 172.18.255.9 is taken")],
        )
        change(cluster, {"loadBalancerIP": "172.18.255.4"}, "first")
        assert addresses(cluster, "first") == ["172.18.255.4"]
        assert (addresses(cluster), lacks(cluster)) == (["172.18.255.9"], [])


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ("192.0.2.1", "loadBalancerIP 192.0.2.1 is not in 172.18.255.0/28"),
        ("172.18.255.0", "loadBalancerIP 172.18.255.0 is not in 172.18.255.0/28"),
        ("somewhere", "loadBalancerIP somewhere is no address"),
    ],
)
def test_a_wish_that_cannot_be_met_is_said_and_nothing_else_is_given(wish: str, why: str) -> None:
    with a_cluster(POOL) as cluster:
        cluster.create(a_service(loadBalancerIP=wish))
        assert (addresses(cluster), lacks(cluster)) == ([], [("AddressUnavailable", why)])
        change(cluster, {"loadBalancerIP": None})
        assert (addresses(cluster), lacks(cluster)) == (["172.18.255.1"], [])


def test_a_load_balancer_of_a_class_is_left_alone() -> None:
    with a_cluster(POOL) as cluster:
        cluster.create(a_service(loadBalancerClass="example.com/mine"))
        assert (addresses(cluster), lacks(cluster)) == ([], [])
        theirs = {"status": {"loadBalancer": {"ingress": [{"ip": "172.18.255.1"}]}}}
        cluster.patch(cluster.store.get(Service, "web"), theirs, "status")
        cluster.create(a_service("other"))
        assert addresses(cluster) == ["172.18.255.1"]
        assert addresses(cluster, "other") == ["172.18.255.2"], "the class' own controller gave the first away"


def test_without_a_pool_a_load_balancer_waits_and_what_others_write_into_its_status_stays() -> None:
    with a_cluster({}) as cluster:
        cluster.create(a_service())
        lab_says = ("NoPool", "the lab's spec.network.loadBalancerCIDRs has no range for it")
        assert (addresses(cluster), lacks(cluster)) == ([], [lab_says])
        theirs = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
        cluster.patch(cluster.store.get(Service, "web"), theirs, "status")
        assert addresses(cluster) == ["203.0.113.1"]
        change(cluster, {"type": "ClusterIP"})
        assert (addresses(cluster), lacks(cluster)) == ([], [])


def test_who_has_which_address_is_known_again_after_a_restart(tmp_path: Path) -> None:
    with a_cluster(POOL, tmp_path / "api.db") as cluster:
        cluster.create(a_service("a"))
        cluster.create(a_service("b"))
        cluster.delete(Service, "a")
    with a_cluster(POOL, tmp_path / "api.db") as cluster:
        assert addresses(cluster, "b") == ["172.18.255.2"]
        cluster.create(a_service("c"))
        cluster.create(a_service("d"))
        assert (addresses(cluster, "c"), addresses(cluster, "d")) == (["172.18.255.1"], ["172.18.255.3"])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        pytest.param(
            {"loadBalancerCIDRs": ["10.244.8.0/28"]},
            'spec.network.podCIDRs[0]: Invalid value: "10.244.0.0/16": overlaps with loadBalancerCIDRs 10.244.8.0/28',
            id="the Pods'",
        ),
        pytest.param(
            {"loadBalancerCIDRs": ["10.96.8.0/28"]},
            'spec.network.serviceCIDRs[0]: Invalid value: "10.96.0.0/12": overlaps with loadBalancerCIDRs 10.96.8.0/28',
            id="the Services'",
        ),
        pytest.param(
            {"loadBalancerCIDRs": ["172.18.0.240/28"]},
            'spec.network.nodeCIDRs[0]: Invalid value: "172.18.0.0/24": overlaps with loadBalancerCIDRs 172.18.0.240',
            id="the nodes'",
        ),
        pytest.param(
            {"loadBalancerCIDRs": ["172.18.255.0/28", "172.18.254.0/28"]},
            "at most one range of each address family",
            id="none's, but there are two",
        ),
    ],
)
def test_a_pool_that_overlaps_another_range_is_refused(network: Spec, message: str) -> None:
    with pytest.raises(Refusal) as refusal, a_cluster(network):
        pass
    assert message in str(refusal.value)


def test_the_pool_of_a_lab_that_is_up_does_not_change() -> None:
    why = r"spec\.network\.loadBalancerCIDRs: .* may not change while the lab is up"
    with a_cluster(POOL) as cluster, pytest.raises(Refusal, match=why):
        cluster.update(a_topology({}))
