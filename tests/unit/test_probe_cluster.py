"""Names lead to addresses, addresses to Pods, and a wrong name to the one that was probably meant."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from netlab.errors import NotFound
from netlab.model.cluster import ClusterView, spell
from netlab.model.names import Place
from netlab.model.objects import (
    Container,
    ContainerPort,
    EndpointSlice,
    Node,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from netlab.model.rules import Family
from netlab.model.targets import Target, Workload
from netlab.model.topology import External, Topology, TopologySpec
from netlab.probe.taps import FEW_PODS, watched_pods


def pod(name: str, *addresses: str, namespace: str = "default", owner: str = "", phase: str = "Running") -> Pod:
    owners = (OwnerReference(api_version="apps/v1", kind="ReplicaSet", name=f"{owner}-5d4f", uid="1"),) if owner else ()
    return Pod(
        metadata=ObjectMeta(
            name=name, namespace=namespace, owner_references=owners, labels={"pod-template-hash": "5d4f"}
        ),
        spec=PodSpec(
            node_name="node1",
            containers=(Container(name="c", ports=(ContainerPort(container_port=8080, name="http"),)),),
        ),
        status=PodStatus(phase=phase, pod_ips=tuple(PodIP(ip=address) for address in addresses)),
    )


def service(name: str, *cluster_ips: str, namespace: str = "default") -> Service:
    ports = (ServicePort(port=80, name="http"),)
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=ServiceSpec(cluster_ips=cluster_ips, ports=ports)
    )


def node(name: str, address: str) -> Node:
    status = {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]}
    return Node.model_validate({"metadata": {"name": name}, "status": status})


VIEW = ClusterView(
    lab="two",
    topology=Topology(metadata=ObjectMeta(name="two"), spec=TopologySpec(externals=(External(name="client"),))),
    nodes=(node("node1", "172.18.0.2"), node("node2", "172.18.0.3")),
    pods=(
        pod("web-1", "10.244.0.2", "fd00::2", owner="web"),
        pod("web-2", "10.244.0.3", owner="web"),
        pod("shell", "10.244.0.4"),
        pod("dns", "10.244.0.5", namespace="kube-system"),
        pod("waiting"),
        pod("ended", "10.244.0.4", phase="Succeeded"),
    ),
    services=(
        service("web", "10.96.0.10", "fd00:96::10"),
        service("headless", "None"),
        service("dns", "10.96.0.11", namespace="kube-system"),
        service("pending"),
    ),
    external_addresses={"client": (ip_address("172.18.0.4"),)},
)


@pytest.mark.parametrize(
    ("target", "address", "port"),
    [
        ("service/web:80", "10.96.0.10", 80),
        ("service/web:http", "10.96.0.10", 80),
        ("service/web:81", "10.96.0.10", 81),
        ("service/kube-system/dns:53/udp", "10.96.0.11", 53),
        ("pod/web-1:8080", "10.244.0.2", 8080),
        ("pod/web-1:http", "10.244.0.2", 8080),
        ("pod/kube-system/dns/icmp", "10.244.0.5", 0),
        ("node/node2:30080", "172.18.0.3", 30080),
        ("external/client:22", "172.18.0.4", 22),
        ("[fd00:96::10]:80", "fd00:96::10", 80),
    ],
)
def test_a_target_leads_to_an_address_and_a_port(target: str, address: str, port: int) -> None:
    destination = VIEW.destination(Target.parse(target))
    assert (str(destination.address), destination.port) == (address, port)
    assert destination.protocol is Target.parse(target).protocol


@pytest.mark.parametrize(("target", "address"), [("service/web:80", "fd00:96::10"), ("pod/web-1:80", "fd00::2")])
def test_a_family_can_be_asked_for(target: str, address: str) -> None:
    assert str(VIEW.destination(Target.parse(target), family=Family.IPV6).address) == address


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("service/wbe:80", "there is no service/wbe: did you mean service/web?"),
        ("service/web:htp", "there is no port of service/web called htp: did you mean http?"),
        ("service/headless:80", "service/headless is headless"),
        ("service/pending:80", "service/pending has no address"),
        ("pod/dns:53", "there is no pod/dns: did you mean pod/kube-system/dns?"),
        ("pod/waiting:80", "pod/waiting has no address"),
        ("node/node3:80", "there is no node/node3: did you mean node/node"),
        ("node/control-plane:80", "there is no node/control-plane: there is node/node1, node/node2"),
        ("external/clint:80", "there is no external/clint: did you mean external/client?"),
    ],
)
def test_a_target_that_is_not_there_is_named_with_what_may_be_meant(target: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        VIEW.destination(Target.parse(target))
    assert message in str(caught.value)


def test_a_family_that_the_target_lacks_is_named() -> None:
    with pytest.raises(NotFound, match="pod/web-2 has no IPv6 address"):
        VIEW.destination(Target.parse("pod/web-2:80"), family=Family.IPV6)


@pytest.mark.parametrize(
    ("place", "namespace"),
    [
        ("pod/web-1", "two.web-1"),
        ("pod/kube-system/dns", "two.dns.kube-system"),
        ("node/node1", "two.node1"),
        ("external/client", "two.client"),
    ],
)
def test_a_place_has_a_network_namespace(place: str, namespace: str) -> None:
    assert VIEW.network_namespace(Place.parse(place)) == namespace


@pytest.mark.parametrize("place", ["pod/web-3", "node/web-1", "external/node1"])
def test_a_place_that_the_lab_has_not_is_refused(place: str) -> None:
    with pytest.raises(NotFound, match=f"there is no {place}"):
        VIEW.network_namespace(Place.parse(place))


def test_an_address_leads_back_to_the_pod_that_has_it_now() -> None:
    found = VIEW.pod_at(ip_address("10.244.0.4"))
    assert found is not None
    assert found.metadata.name == "shell"
    assert VIEW.pod_at(ip_address("10.244.0.99")) is None


@pytest.mark.parametrize(
    ("place", "address", "namespaces"),
    [
        ("pod/shell", "10.96.0.10", ("two.node1",)),
        ("node/node2", "10.96.0.10", ("two.node2",)),
        ("external/client", "172.18.0.3", ("two.node2",)),
        ("external/client", "10.96.0.10", ("two.node1", "two.node2")),
    ],
)
def test_a_packet_is_translated_on_the_first_node_that_it_meets(
    place: str, address: str, namespaces: tuple[str, ...]
) -> None:
    assert VIEW.translating_namespaces(Place.parse(place), ip_address(address)) == namespaces


def test_a_deployment_stands_for_its_pods_but_not_for_those_it_gave_up() -> None:
    leaving = pod("web-3", "10.244.0.6", owner="web")
    leaving = leaving.model_copy(update={"metadata": leaving.metadata.model_copy(update={"deletion_timestamp": "now"})})
    view = ClusterView(lab="two", topology=VIEW.topology, pods=(*VIEW.pods, leaving))
    assert [each.metadata.name for each in view.pods_of(Workload.parse("deployment/web"))] == ["web-1", "web-2"]
    with pytest.raises(NotFound, match="deployment/shell has no Pods"):
        view.pods_of(Workload.parse("deployment/shell"))


def test_a_service_is_tried_in_each_of_its_families_and_a_pod_in_the_first() -> None:
    assert VIEW.families(Target.parse("service/web:80")) == (Family.IPV4, Family.IPV6)
    assert VIEW.families(Target.parse("pod/web-1:80")) == (Family.IPV4,)


def test_an_address_with_a_port_is_spelled_with_brackets_where_it_must_be() -> None:
    assert spell(ip_address("10.0.0.1"), 80) == "10.0.0.1:80"
    assert spell(ip_address("fd00::1"), 80) == "[fd00::1]:80"
    assert spell(ip_address("fd00::1"), 0) == "fd00::1"


def test_in_a_small_lab_every_pod_with_an_address_of_the_family_is_watched() -> None:
    names = [each.metadata.name for each in watched_pods(VIEW, ip_address("fd00:96::10"))]
    assert names == ["web-1"]


def test_in_a_big_lab_the_pods_behind_services_and_the_one_addressed_are_watched() -> None:
    many = tuple(pod(f"p{number}", f"10.244.{number // 200}.{number % 200}") for number in range(FEW_PODS + 1))
    behind = EndpointSlice(address_type="IPv4", endpoints=({"addresses": ["10.244.0.7"]},))  # type: ignore[arg-type]
    view = ClusterView(lab="two", topology=VIEW.topology, pods=many, endpoint_slices=(behind,))
    assert [each.metadata.name for each in watched_pods(view, ip_address("10.244.0.9"))] == ["p7", "p9"]
