"""What the controllers make of the objects: Nodes, Pods, addresses, EndpointSlices, and their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netlab.api.cluster import Cluster
from netlab.api.encoding import as_json
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.api.write_options import DeleteOptions, Propagation
from netlab.model.objects import (
    Condition,
    Deployment,
    EndpointSlice,
    Namespace,
    Node,
    ObjectMeta,
    Pod,
    ReplicaSet,
    Service,
)
from netlab.model.topology import Topology

DUAL_STACK = {
    "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
}
TWO_NODES = [{"name": "node1", "labels": {"topology.kubernetes.io/zone": "a"}}, {"name": "node2"}]
WEB = {"app": "web"}


def a_topology(nodes: list[dict[str, Any]] | None = None, **spec: Any) -> Topology:
    return Topology.model_validate({"metadata": {"name": "lab"}, "spec": {"nodes": nodes or TWO_NODES, **spec}})


@contextmanager
def a_cluster(topology: Topology | None = None, path: Path | None = None) -> Iterator[Cluster]:
    with closing(Store(path)) as store:
        cluster = Cluster(store, Random(1))
        if not store.list(Topology):
            cluster.create(topology or a_topology())
        yield cluster


def a_pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Pod:
    containers = [{"name": "server", "image": "web", "ports": [{"containerPort": 8080, "name": "http"}]}]
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return Pod.model_validate({"metadata": metadata, "spec": {"containers": containers, **spec}})


def a_deployment(name: str = "web", replicas: int = 3, image: str = "web") -> Deployment:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "server", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pod}
    return Deployment.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def a_service(name: str = "web", **spec: Any) -> Service:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return Service.model_validate({"metadata": {"name": name, "namespace": "default"}, "spec": spec})


def set_ready(cluster: Cluster, *names: str, ready: bool = True) -> None:
    for name in names:
        pod = cluster.store.get(Pod, name)
        others = tuple(condition for condition in pod.status.conditions if condition.type != "Ready")
        condition = Condition(type="Ready", status="True" if ready else "False")
        status = pod.status.model_copy(update={"phase": "Running", "conditions": (*others, condition)})
        cluster.update(pod.model_copy(update={"status": status}), "status")


def pods(cluster: Cluster) -> dict[str, Pod]:
    """Those that are not on their way out."""
    return {pod.metadata.name: pod for pod in cluster.store.list(Pod) if not pod.metadata.deletion_timestamp}


def let_go(cluster: Cluster) -> int:
    """Say what kubelets say once nothing is left of a Pod that is on its way out; of how many."""
    ending = [pod for pod in cluster.store.list(Pod) if pod.metadata.deletion_timestamp]
    for pod in ending:
        cluster.delete(Pod, pod.metadata.name, pod.metadata.namespace)
    return len(ending)


def places(cluster: Cluster) -> dict[str, tuple[str | None, str | None]]:
    return {name: (pod.spec.node_name, pod.status.pod_ip) for name, pod in pods(cluster).items()}


def slices(cluster: Cluster, service: str = "web") -> tuple[EndpointSlice, ...]:
    label = "kubernetes.io/service-name"
    return tuple(each for each in cluster.store.list(EndpointSlice) if each.metadata.labels.get(label) == service)


def endpoints(cluster: Cluster, service: str = "web") -> dict[str, bool | None]:
    return {e.addresses[0]: e.conditions.ready for each in slices(cluster, service) for e in each.endpoints}


# --- Nodes


def test_nodes_come_from_the_topology_with_labels_addresses_and_shares() -> None:
    with a_cluster(a_topology(network=DUAL_STACK)) as cluster:
        node = cluster.store.get(Node, "node1")
        assert [address.address for address in node.status.addresses] == ["172.18.0.2", "fd00:172:18::2", "node1"]
        assert node.spec.pod_cidrs == ("10.244.0.0/24", "fd00:10:244::/64")
        assert node.metadata.labels["topology.kubernetes.io/zone"] == "a"
        assert node.metadata.labels["kubernetes.io/hostname"] == "node1"


def test_a_node_that_goes_from_the_topology_goes_with_its_pods_and_the_others_stay() -> None:
    with a_cluster() as cluster:
        for number in range(4):
            cluster.create(a_pod(f"p{number}"))
        stays = {name: place for name, place in places(cluster).items() if place[0] == "node2"}
        cluster.update(a_topology(TWO_NODES[1:]))
        assert [node.metadata.name for node in cluster.store.list(Node)] == ["node2"]
        assert places(cluster) == stays
        assert len(stays) == 2


def test_labels_that_go_from_the_topology_go_from_the_node_and_those_of_others_stay() -> None:
    with a_cluster() as cluster:
        cluster.patch(cluster.store.get(Node, "node1"), {"metadata": {"labels": {"mine": "yes"}}})
        cluster.update(a_topology([{"name": "node1", "labels": {"disk": "ssd"}}, {"name": "node2"}]))
        labels = cluster.store.get(Node, "node1").metadata.labels
        assert {key: labels.get(key) for key in ("mine", "disk")} == {"mine": "yes", "disk": "ssd"}
        assert "topology.kubernetes.io/zone" not in labels


def test_nodes_are_neither_made_nor_deleted_by_hand() -> None:
    with a_cluster() as cluster:
        with pytest.raises(Refusal, match='nodes "node3" is forbidden'):
            cluster.create(Node(metadata=ObjectMeta(name="node3")))
        with pytest.raises(Refusal, match='nodes "node1" is forbidden'):
            cluster.delete(Node, "node1")


# --- Pods: a node and an address


def test_pods_are_spread_evenly_and_get_the_lowest_addresses_of_their_nodes() -> None:
    with a_cluster() as cluster:
        for number in range(4):
            cluster.create(a_pod(f"p{number}"))
        assert places(cluster) == {
            "p0": ("node1", "10.244.0.2"),
            "p1": ("node2", "10.244.1.2"),
            "p2": ("node1", "10.244.0.3"),
            "p3": ("node2", "10.244.1.3"),
        }
        assert cluster.store.get(Pod, "p0").status.host_ip == "172.18.0.2"
        assert cluster.store.get(Pod, "p0").condition("PodScheduled")


def test_the_pods_of_a_deployment_are_spread_even_where_other_pods_are_not() -> None:
    with a_cluster() as cluster:
        for number in range(3):
            cluster.create(a_pod(f"p{number}", nodeName="node1"))
        cluster.create(a_deployment(replicas=4))
        spread = Counter(pod.spec.node_name for name, pod in pods(cluster).items() if name.startswith("web"))
        assert spread == {"node1": 2, "node2": 2}


def test_a_pod_in_a_dual_stack_lab_has_an_address_of_each_family() -> None:
    with a_cluster(a_topology(network=DUAL_STACK)) as cluster:
        cluster.create(a_pod("p"))
        ips = [entry.ip for entry in cluster.store.get(Pod, "p").status.pod_ips]
        assert ips == ["10.244.0.2", "fd00:10:244::2"]


def test_a_pods_wish_for_a_node_by_name_or_by_label_is_honoured() -> None:
    with a_cluster() as cluster:
        for number in range(3):
            cluster.create(a_pod(f"named{number}", nodeName="node2"))
            cluster.create(a_pod(f"labelled{number}", nodeSelector={"topology.kubernetes.io/zone": "a"}))
        assert {(name[:-1], place[0]) for name, place in places(cluster).items()} == {
            ("named", "node2"),
            ("labelled", "node1"),
        }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"nodeName": "node9"}, 'node "node9" not found'),
        (
            {"nodeSelector": {"disk": "ssd"}},
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
        ),
    ],
)
def test_a_pod_that_cannot_be_placed_waits_and_says_why(spec: dict[str, Any], message: str) -> None:
    with a_cluster() as cluster:
        cluster.create(a_pod("p", **spec))
        pod = cluster.store.get(Pod, "p")
        (condition,) = pod.status.conditions
        assert (pod.status.phase, pod.status.pod_ips) == ("Pending", ())
        assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
        assert condition.message == message
        disk = {"name": "node9", "labels": {"disk": "ssd"}}
        cluster.update(a_topology([*TWO_NODES, disk]))
        assert cluster.store.get(Pod, "p").spec.node_name == "node9"


def test_a_cordoned_node_gets_no_new_pods_until_it_is_uncordoned() -> None:
    with a_cluster(a_topology([{"name": "node1"}])) as cluster:
        cluster.patch(cluster.store.get(Node, "node1"), {"spec": {"unschedulable": True}})
        cluster.create(a_pod("p"))
        (condition,) = cluster.store.get(Pod, "p").status.conditions
        assert condition.message == "0/1 nodes are available: 1 node(s) were unschedulable."
        cluster.patch(cluster.store.get(Node, "node1"), {"spec": {"unschedulable": None}})
        assert cluster.store.get(Pod, "p").spec.node_name == "node1"


def test_a_pod_without_a_free_address_waits_for_one() -> None:
    with a_cluster(a_topology([{"name": "node1"}], network={"podCIDRs": ["10.244.0.0/30"]})) as cluster:
        cluster.create(a_pod("first"))
        cluster.create(a_pod("second"))
        assert places(cluster) == {"first": ("node1", "10.244.0.2"), "second": (None, None)}
        cluster.delete(Pod, "first")
        assert places(cluster) == {"second": ("node1", "10.244.0.2")}


def test_a_pod_in_the_hosts_network_has_its_nodes_address_and_takes_none() -> None:
    with a_cluster(a_topology([{"name": "node1"}])) as cluster:
        cluster.create(a_pod("host", hostNetwork=True))
        cluster.create(a_pod("own"))
        assert places(cluster) == {"host": ("node1", "172.18.0.2"), "own": ("node1", "10.244.0.2")}


@pytest.mark.parametrize(
    ("name", "namespace", "holder"),
    [
        ("node1", "default", "node/node1"),
        ("client", "default", "external/client"),
        ("fabric", "default", "fabric"),
        ("a", "b", "pod/a.b"),
    ],
)
def test_a_pod_that_would_share_a_network_namespace_is_refused(name: str, namespace: str, holder: str) -> None:
    with a_cluster(a_topology(externals=[{"name": "client"}])) as cluster:
        cluster.create(a_pod("a.b"))
        cluster.create(Namespace(metadata=ObjectMeta(name="b")))
        pod = a_pod(name)
        pod = pod.model_copy(update={"metadata": pod.metadata.model_copy(update={"namespace": namespace})})
        with pytest.raises(Refusal, match=f"its network namespace would be .*, which is that of {holder}$"):
            cluster.create(pod)


def test_a_node_that_would_share_a_network_namespace_with_a_pod_is_refused() -> None:
    with a_cluster() as cluster:
        cluster.create(a_pod("node3"))
        with pytest.raises(Refusal, match=r"spec.nodes\[2\].name: Invalid value: \"node3\": .* that of pod/node3"):
            cluster.update(a_topology([*TWO_NODES, {"name": "node3"}]))


# --- Deployments


def test_a_deployment_has_its_replicas_owned_labelled_and_counted() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment())
        made = pods(cluster)
        assert len(made) == 3
        for name, pod in made.items():
            hash_ = pod.metadata.labels["pod-template-hash"]
            assert name.startswith(f"web-{hash_}-")
            assert pod.metadata.owner_references[0].name == f"web-{hash_}"
        set_ready(cluster, next(iter(made)))
        status = cluster.store.get(Deployment, "web").status
        assert (status.replicas, status.ready_replicas, status.observed_generation) == (3, 1, 1)


def test_scaling_down_takes_what_is_not_ready_first_and_then_the_youngest() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment(replicas=4))
        names = list(pods(cluster))
        set_ready(cluster, *names[1:])
        cluster.patch(cluster.store.get(Deployment, "web"), {"spec": {"replicas": 2}})
        assert list(pods(cluster)) == names[1:3]


def test_a_changed_template_replaces_every_pod_one_by_one_and_a_changed_count_none() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment(replicas=2))
        first = set(pods(cluster))
        cluster.patch(cluster.store.get(Deployment, "web"), {"spec": {"replicas": 3}})
        assert first < set(pods(cluster))
        old = set(pods(cluster))
        set_ready(cluster, *old)
        cluster.update(a_deployment(replicas=3, image="other"))
        while new := [name for name, pod in pods(cluster).items() if not pod.condition("Ready")]:
            # A Pod more than wanted, and none fewer that are ready: maxSurge and maxUnavailable are a quarter of three.
            assert (len(pods(cluster)), len(new)) == (4, 1)
            set_ready(cluster, *new)
        assert len(pods(cluster)) == 3
        assert not old & set(pods(cluster))
        assert let_go(cluster) == 3
        assert cluster.store.get(Deployment, "web").status.replicas == 3


def test_what_a_controller_takes_away_goes_on_serving_until_its_kubelet_says_that_it_has_ended() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        deployment = as_json(a_deployment(replicas=2))
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7  # type: ignore[call-overload,index]
        cluster.create(Deployment.model_validate(deployment))
        set_ready(cluster, *pods(cluster))
        cluster.patch(cluster.store.get(Deployment, "web"), {"spec": {"replicas": 1}})
        (ending,) = (pod for pod in cluster.store.list(Pod) if pod.metadata.deletion_timestamp)
        assert ending.metadata.deletion_grace_period_seconds == 7
        conditions = {e.addresses[0]: e.conditions for each in slices(cluster) for e in each.endpoints}
        leaving = conditions[ending.status.pod_ip or ""]
        assert (leaving.ready, leaving.serving, leaving.terminating) == (False, True, True)
        assert cluster.store.get(Deployment, "web").status.replicas == 1
        assert let_go(cluster) == 1
        assert len(endpoints(cluster)) == 1


def test_with_recreate_the_last_old_pod_is_gone_before_the_first_new_one_comes() -> None:
    with a_cluster() as cluster:
        strategy = {"spec": {"strategy": {"type": "Recreate"}}}
        cluster.create(a_deployment(replicas=2))
        cluster.patch(cluster.store.get(Deployment, "web"), strategy)
        cluster.patch(
            cluster.store.get(Deployment, "web"),
            {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "other"}]}}}},
        )
        assert not pods(cluster)
        assert let_go(cluster) == 2
        assert [pod.spec.containers[0].image for pod in pods(cluster).values()] == ["other", "other"]


def test_who_waits_for_what_belongs_to_it_waits_until_the_last_pod_has_ended() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment(replicas=2))
        cluster.delete(Deployment, "web", options=DeleteOptions(propagation=Propagation.FOREGROUND))
        assert cluster.store.find(Deployment, "web") is not None
        assert let_go(cluster) == 2
        assert cluster.store.find(Deployment, "web") is None
        assert cluster.store.list(ReplicaSet) == cluster.store.list(Pod) == ()


def test_a_pod_of_a_deployment_that_is_deleted_is_replaced() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment(replicas=2))
        gone = next(iter(pods(cluster)))
        cluster.delete(Pod, gone)
        assert len(pods(cluster)) == 2
        assert gone not in pods(cluster)


def test_a_deployment_goes_with_its_pods_and_leaves_others_alone() -> None:
    with a_cluster() as cluster:
        cluster.create(a_deployment())
        cluster.create(a_pod("bystander", labels=WEB))
        cluster.delete(Deployment, "web")
        assert list(pods(cluster)) == ["bystander"]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (
            {"template": {"metadata": {"labels": {"app": "other"}}}},
            'spec.template.metadata.labels: Invalid value: {"app":"other"}: '
            "`selector` does not match template `labels`",
        ),
        (
            {"selector": {"matchLabels": {"tier": "x"}}, "template": {"metadata": {"labels": {"tier": "x"}}}},
            'spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"x"}}: field is immutable',
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never"}}},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_a_wrong_deployment_is_refused_and_the_old_one_stays(patch: dict[str, Any], message: str) -> None:
    with a_cluster() as cluster:
        before = cluster.create(a_deployment())
        with pytest.raises(Refusal) as refusal:
            cluster.patch(cluster.store.get(Deployment, "web"), {"spec": patch})
        assert str(refusal.value) == f'Deployment.apps "web" is invalid: {message}'
        assert cluster.store.get(Deployment, "web").spec == before.spec


# --- EndpointSlices


def test_endpoints_follow_readiness_labels_and_deletion() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        cluster.create(a_pod("a", labels=WEB))
        cluster.create(a_pod("b", labels=WEB))
        cluster.create(a_pod("other", labels={"app": "other"}))
        assert endpoints(cluster) == {"10.244.0.2": False, "10.244.1.2": False}
        set_ready(cluster, "a", "b")
        assert endpoints(cluster) == {"10.244.0.2": True, "10.244.1.2": True}
        set_ready(cluster, "a", ready=False)
        cluster.patch(cluster.store.get(Pod, "b"), {"metadata": {"labels": {"app": "elsewhere"}}})
        assert endpoints(cluster) == {"10.244.0.2": False}
        cluster.delete(Pod, "a")
        assert endpoints(cluster) == {}
        assert len(slices(cluster)) == 1


def test_an_endpoint_names_its_pod_node_and_zone() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        pod = cluster.create(a_pod("a", labels=WEB, nodeName="node1"))
        set_ready(cluster, "a")
        (slice_,) = slices(cluster)
        assert as_json(slice_)["endpoints"] == [
            {
                "addresses": ["10.244.0.2"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": "node1",
                "zone": "a",
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": pod.metadata.uid},
            }
        ]
        assert as_json(slice_)["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
        assert slice_.metadata.owner_references[0].kind == "Service"
        cluster.update(a_topology([{"name": "node1", "labels": {"topology.kubernetes.io/zone": "b"}}, TWO_NODES[1]]))
        assert slices(cluster)[0].endpoints[0].zone == "b"


def test_a_terminating_pod_serves_but_is_not_ready_and_one_that_has_ended_is_no_endpoint() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        cluster.create(a_pod("a", labels=WEB))
        set_ready(cluster, "a")
        cluster.delete(Pod, "a", options=DeleteOptions(grace_seconds=30))
        conditions = slices(cluster)[0].endpoints[0].conditions
        assert (conditions.ready, conditions.serving, conditions.terminating) == (False, True, True)
        cluster.patch(cluster.store.get(Pod, "a"), {"status": {"phase": "Succeeded"}}, "status")
        assert endpoints(cluster) == {}


def test_publishing_not_ready_addresses_makes_every_endpoint_ready() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(publishNotReadyAddresses=True))
        cluster.create(a_pod("a", labels=WEB))
        conditions = slices(cluster)[0].endpoints[0].conditions
        assert (conditions.ready, conditions.serving) == (True, False)


def test_a_named_target_port_that_differs_between_pods_makes_a_slice_for_each_number() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(ports=[{"port": 80, "targetPort": "http"}]))
        cluster.create(a_pod("a", labels=WEB))
        port = {"containerPort": 9090, "name": "http"}
        cluster.create(a_pod("b", labels=WEB, containers=[{"name": "server", "image": "web", "ports": [port]}]))
        cluster.create(a_pod("without", labels=WEB, containers=[{"name": "server", "image": "web"}]))
        found = {each.ports[0].port: [e.addresses[0] for e in each.endpoints] for each in slices(cluster)}
        assert found == {8080: ["10.244.0.2"], 9090: ["10.244.1.2"]}


def test_pods_in_the_hosts_network_are_endpoints_of_their_own_though_they_share_an_address() -> None:
    with a_cluster(a_topology([{"name": "node1"}])) as cluster:
        cluster.create(a_service())
        for name in ("a", "b"):
            cluster.create(a_pod(name, labels=WEB, hostNetwork=True))
        (slice_,) = slices(cluster)
        assert [endpoint.addresses for endpoint in slice_.endpoints] == [("172.18.0.2",)] * 2
        cluster.delete(Pod, "a")
        cluster.delete(Pod, "b")
        assert endpoints(cluster) == {}


def test_a_dual_stack_service_has_slices_of_each_family_and_a_single_stack_one_does_not() -> None:
    with a_cluster(a_topology(network=DUAL_STACK)) as cluster:
        cluster.create(a_service(ipFamilyPolicy="RequireDualStack"))
        cluster.create(a_service("single", selector=WEB))
        cluster.create(a_pod("a", labels=WEB))
        both = {each.address_type: each.endpoints[0].addresses for each in slices(cluster)}
        assert both == {"IPv4": ("10.244.0.2",), "IPv6": ("fd00:10:244::2",)}
        assert [each.address_type for each in slices(cluster, "single")] == ["IPv4"]


def test_a_headless_service_has_slices_with_the_label_that_hides_them_from_proxies() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(clusterIP="None"))
        cluster.create(a_pod("a", labels=WEB, hostname="first", subdomain="web"))
        (slice_,) = slices(cluster)
        assert slice_.metadata.labels["service.kubernetes.io/headless"] == ""
        assert slice_.endpoints[0].hostname == "first"


@pytest.mark.parametrize(
    ("wish", "hints"),
    [
        ("PreferClose", {"forZones": [{"name": "a"}]}),
        ("PreferSameZone", {"forZones": [{"name": "a"}]}),
        ("PreferSameNode", {"forZones": [{"name": "a"}], "forNodes": [{"name": "node1"}]}),
    ],
)
def test_a_wish_for_near_endpoints_becomes_hints_on_ready_endpoints(wish: str, hints: dict[str, Any]) -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(trafficDistribution=wish))
        cluster.create(a_pod("a", labels=WEB, nodeName="node1"))
        assert slices(cluster)[0].endpoints[0].hints is None
        set_ready(cluster, "a")
        found = slices(cluster)[0].endpoints[0].hints
        assert found is not None
        assert found.model_dump(by_alias=True, mode="json", exclude_unset=True) == hints


def test_a_wish_taken_back_or_an_endpoint_that_ends_leaves_no_hint() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(trafficDistribution="PreferSameNode"))
        for name in ("a", "b"):
            cluster.create(a_pod(name, labels=WEB, nodeName="node1"))
        set_ready(cluster, "a", "b")
        cluster.delete(Pod, "a", options=DeleteOptions(grace_seconds=30))
        found = {e.conditions.terminating: e.hints is not None for e in slices(cluster)[0].endpoints}
        assert found == {True: False, False: True}
        cluster.patch(cluster.store.get(Service, "web"), {"spec": {"trafficDistribution": None}})
        assert [endpoint.hints for endpoint in slices(cluster)[0].endpoints] == [None, None]


def test_a_node_without_a_zone_gives_hints_for_the_node_alone_and_a_zone_that_it_gets_is_added() -> None:
    def hints(cluster: Cluster, service: str) -> dict[str, Any] | None:
        found = slices(cluster, service)[0].endpoints[0].hints
        return found.model_dump(by_alias=True, mode="json", exclude_defaults=True) if found else None

    with a_cluster() as cluster:
        for wish in ("PreferSameNode", "PreferSameZone"):
            cluster.create(a_service(wish.lower(), selector=WEB, trafficDistribution=wish))
        cluster.create(a_pod("a", labels=WEB, nodeName="node2"))
        set_ready(cluster, "a")
        assert hints(cluster, "prefersamenode") == {"forNodes": [{"name": "node2"}]}
        assert hints(cluster, "prefersamezone") is None
        zone = {"metadata": {"labels": {"topology.kubernetes.io/zone": "b"}}}
        cluster.patch(cluster.store.get(Node, "node2"), zone)
        assert hints(cluster, "prefersamenode") == {"forZones": [{"name": "b"}], "forNodes": [{"name": "node2"}]}
        assert hints(cluster, "prefersamezone") == {"forZones": [{"name": "b"}]}


@pytest.mark.parametrize("patch", [{"selector": None}, {"type": "ExternalName", "externalName": "example.com"}])
def test_the_slices_of_a_service_that_ceases_to_select_stay_as_they_were(patch: dict[str, Any]) -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        cluster.create(a_pod("a", labels=WEB))
        before = slices(cluster)
        cluster.patch(cluster.store.get(Service, "web"), {"spec": patch})
        cluster.create(a_pod("b", labels=WEB))
        assert slices(cluster) == before
        assert [len(each.endpoints) for each in before] == [1]
        back = {"selector": WEB, "type": "ClusterIP", "externalName": None}
        cluster.patch(cluster.store.get(Service, "web"), {"spec": back})
        assert [len(each.endpoints) for each in slices(cluster)] == [2]


def test_a_slice_has_at_most_100_endpoints_and_one_change_writes_one_slice() -> None:
    with a_cluster(a_topology(network={"podCIDRs": ["10.0.0.0/8"], "serviceCIDRs": ["11.0.0.0/16"]})) as cluster:
        cluster.create(a_service())
        cluster.create(a_deployment(replicas=250))
        sizes = sorted(len(each.endpoints) for each in slices(cluster))
        assert sizes == [50, 100, 100]
        before = {each.metadata.name: each.metadata.resource_version for each in slices(cluster)}
        set_ready(cluster, next(iter(pods(cluster))))
        after = {each.metadata.name: each.metadata.resource_version for each in slices(cluster)}
        assert sum(after[name] != version for name, version in before.items()) == 1
        assert sum(ready is True for ready in endpoints(cluster).values()) == 1


def test_slices_go_with_their_service_and_those_written_by_hand_stay() -> None:
    by_hand = {
        "metadata": {"name": "by-hand", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"]}],
    }
    with a_cluster() as cluster:
        cluster.create(a_service())
        cluster.create(a_pod("a", labels=WEB))
        cluster.create(EndpointSlice.model_validate(by_hand))
        assert len(slices(cluster)) == 2
        cluster.delete(Service, "web")
        assert [each.metadata.name for each in slices(cluster)] == ["by-hand"]


def test_a_service_without_a_selector_gets_no_slices() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service(selector=None))
        assert slices(cluster) == ()


def test_a_slice_that_is_spoilt_or_deleted_by_hand_is_put_right() -> None:
    with a_cluster() as cluster:
        cluster.create(a_service())
        cluster.create(a_pod("a", labels=WEB))
        (slice_,) = slices(cluster)
        cluster.update(slice_.model_copy(update={"endpoints": ()}))
        assert endpoints(cluster) == {"10.244.0.2": False}
        cluster.delete(EndpointSlice, slice_.metadata.name)
        assert endpoints(cluster) == {"10.244.0.2": False}


# --- Namespaces, restarts


def test_a_namespace_goes_with_everything_in_it_and_the_permanent_ones_stay() -> None:
    with a_cluster() as cluster:
        cluster.create(Namespace(metadata=ObjectMeta(name="shop")))
        pod = a_pod("a", labels=WEB)
        moved = {"namespace": "shop"}
        cluster.create(pod.model_copy(update={"metadata": pod.metadata.model_copy(update=moved)}))
        service = a_service()
        cluster.create(service.model_copy(update={"metadata": service.metadata.model_copy(update=moved)}))
        cluster.create(a_pod("stays"))
        cluster.delete(Namespace, "shop")
        assert cluster.store.get(Namespace, "shop").status.phase == "Terminating"
        assert let_go(cluster) == 1
        assert [pod.key for pod in cluster.store.list(Pod)] == ["default/stays"]
        assert list(cluster.store.keys(Service)) == list(cluster.store.keys(EndpointSlice)) == ["default/kubernetes"]
        assert [each.metadata.name for each in cluster.store.list(Namespace)] == ["default", "kube-system"]
        with pytest.raises(Refusal, match='namespaces "default" is forbidden: this namespace may not be deleted'):
            cluster.delete(Namespace, "default")


def test_nothing_is_written_by_a_restart_and_work_that_was_left_undone_is_done(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    with a_cluster(path=path) as cluster:
        cluster.create(a_service())
        cluster.create(a_deployment())
        version = cluster.store.version
        cluster.work_to_do = lambda: None
        cluster.patch(cluster.store.get(Deployment, "web"), {"spec": {"replicas": 1}})
        cluster.delete(Service, "web")
    with a_cluster(path=path) as cluster:
        assert len(pods(cluster)) == 1
        assert slices(cluster) == ()
        assert cluster.store.version > version
        version = cluster.store.version
    with a_cluster(path=path) as cluster:
        assert cluster.store.version == version
        cluster.create(a_pod("next", nodeName="node1"))
        taken = [place[1] for place in places(cluster).values()]
        assert len(set(taken)) == len(taken)


def test_two_topologies_or_one_with_other_ranges_are_refused() -> None:
    with a_cluster() as cluster:
        other = a_topology().model_copy(update={"metadata": ObjectMeta(name="other")})
        with pytest.raises(
            Refusal, match=r'topologies.netlab "other" is forbidden: this is the lab of the Topology lab'
        ):
            cluster.create(other)
        with pytest.raises(Refusal, match=r"spec.network.podCIDRs: Invalid value: .* while the lab is up"):
            cluster.update(a_topology(network={"podCIDRs": ["10.0.0.0/16"]}))


def test_overlapping_ranges_are_refused_with_what_would_go_wrong() -> None:
    store = Store()
    cluster = Cluster(store, Random(1))
    with pytest.raises(Refusal) as refusal:
        cluster.create(a_topology(network={"podCIDRs": ["10.0.0.0/8"]}))
    assert str(refusal.value) == (
        'Topology.netlab "lab" is invalid: spec.network.podCIDRs[0]: Invalid value: "10.0.0.0/8": overlaps with '
        "serviceCIDRs 10.96.0.0/12: a Pod could get the address of a Service, and its packets would go elsewhere"
    )
    store.close()
