"""The tracker: what it says changed, which UDP flows it calls stale, and what it makes of bad objects."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from proxy_deeds import STEPS, Deed, after
from proxy_objects import GONE, LEAVING, LOCAL, REMOTE, UNREADY, endpoint, endpoint_slice, node, service, tracker

from netlab.model.objects import KubernetesObject, Service
from netlab.model.rules import Family, IPAddress
from netlab.proxy.changes import ChangeTracker
from netlab.proxy.health import HealthCheck, health_checks
from netlab.proxy.ports import ServiceName, ServicePort

DNS = {"ports": [{"port": 53, "protocol": "UDP"}]}
UDP = ({"name": "", "port": 5353, "protocol": "UDP"},)
ADDRESSES_OF = {"web": "10.96.0.10", "other": "10.96.0.11"}
HERE, THERE = endpoint("10.244.1.5"), endpoint("10.244.2.6")
VIP, NODE, CLIENT = ip_address("10.96.0.10"), ip_address("192.168.50.11"), ip_address("10.244.1.5")


def only_port(known: ChangeTracker) -> ServicePort:
    (port,) = known.ports.values()
    return port


def names(known: ChangeTracker) -> list[str]:
    return [found.name for found in known.endpoints(only_port(known).key)]


def changed_by(known: ChangeTracker, obj: KubernetesObject) -> list[str]:
    known.put(obj)
    return [str(key) for key in known.collect().ports]


# --- what changed


def test_nothing_changes_when_an_object_comes_again() -> None:
    known = tracker(service(), endpoint_slice(HERE), node())
    for obj in (service(), endpoint_slice(HERE), node()):
        known.put(obj)
    assert known.collect().nothing


def test_only_the_service_port_that_changed_is_named() -> None:
    ports = {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}
    known = tracker(service(spec=ports), service("other", spec={"clusterIP": "10.96.0.11"}))
    targets = ({"name": "b", "port": 8080},)
    assert changed_by(known, endpoint_slice(HERE, ports=targets)) == ["default/web:b"]


def test_a_change_that_was_taken_back_before_it_was_collected_is_none() -> None:
    known = tracker(service(), endpoint_slice(HERE))
    known.put(endpoint_slice(HERE, THERE))
    known.put(endpoint_slice(HERE))
    assert known.collect().nothing


def test_a_service_whose_policy_changes_is_named() -> None:
    known = tracker(service(), endpoint_slice(HERE))
    assert changed_by(known, service(spec={"internalTrafficPolicy": "Local"})) == ["default/web"]
    assert only_port(known).internal_local


def test_a_deleted_service_is_named_and_gone() -> None:
    known = tracker(service(), endpoint_slice(HERE))
    known.remove(service())
    changes = known.collect()
    assert [str(key) for key in changes.ports] == ["default/web"]
    assert not known.ports
    assert known.endpoint_total(Family.IPV4) == 0


def test_endpoints_that_came_before_their_service_are_used() -> None:
    assert names(tracker(endpoint_slice(HERE), service())) == [LOCAL]


def test_endpoints_of_a_service_that_nobody_has_change_nothing() -> None:
    assert changed_by(tracker(), endpoint_slice(HERE)) == []


def test_the_node_changes_only_with_what_rules_depend_on() -> None:
    known = tracker(node("zone-a"))
    known.put(node("zone-b"))
    assert known.collect().node_changed
    other = node("zone-c")
    known.put(other.model_copy(update={"metadata": other.metadata.model_copy(update={"name": "node2"})}))
    assert not known.collect().node_changed


# --- slices


def test_several_slices_are_one_set_in_the_order_of_their_text() -> None:
    first = endpoint_slice(endpoint("10.244.1.10"), endpoint("10.244.2.6"))
    second = endpoint_slice(endpoint("10.244.1.100"), name="web-2")
    found = names(tracker(service(), first, second))
    assert found == ["10.244.1.100:8080", "10.244.1.10:8080", "10.244.2.6:8080"]


def test_an_address_in_two_slices_counts_once() -> None:
    known = tracker(service(), endpoint_slice(HERE, THERE), endpoint_slice(HERE, name="web-2"))
    assert names(known) == [LOCAL, REMOTE]
    known.remove(endpoint_slice(name="web-2"))
    assert known.collect().nothing


def test_of_an_address_in_two_slices_the_ready_one_counts() -> None:
    old, new = endpoint_slice(endpoint("10.244.2.6", **GONE)), endpoint_slice(THERE, name="web-2")
    known = tracker(service(), old, new)
    assert [found.ready for found in known.endpoints(only_port(known).key)] == [True]


def test_only_the_first_address_of_an_endpoint_counts() -> None:
    twice = {**HERE, "addresses": ["10.244.1.5", "10.244.1.99"]}
    assert names(tracker(service(), endpoint_slice(twice))) == [LOCAL]


def test_a_slice_that_moves_to_another_service_leaves_the_first() -> None:
    known = tracker(service(), service("other", spec={"clusterIP": "10.96.0.11"}), endpoint_slice(HERE))
    assert sorted(changed_by(known, endpoint_slice(HERE, service="other"))) == ["default/other", "default/web"]


def test_absent_conditions_mean_ready_and_serving() -> None:
    known = tracker(service(), endpoint_slice({"addresses": ["10.244.1.5"]}))
    (found,) = known.endpoints(only_port(known).key)
    assert (found.ready, found.serving, found.terminating, found.local) == (True, True, False, False)


def test_a_slice_port_of_another_protocol_or_name_is_not_the_services() -> None:
    others = ({"name": "", "port": 1, "protocol": "UDP"}, {"name": "x", "port": 2}, {"name": ""})
    assert names(tracker(service(), endpoint_slice(HERE, ports=others))) == []


# --- what is not served


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param(service(labels={"service.kubernetes.io/service-proxy-name": ""}), id="another proxy serves it"),
        pytest.param(service(spec={"clusterIP": "None"}), id="it is headless"),
        pytest.param(service(spec={"clusterIP": ""}), id="it has no address yet"),
        pytest.param(service(spec={"type": "ExternalName", "externalName": "a.example"}), id="it is an ExternalName"),
    ],
)
def test_a_service_vanishes_when(hidden: Service) -> None:
    known = tracker(service(), endpoint_slice(HERE))
    assert changed_by(known, hidden) == ["default/web"]
    assert not known.ports
    assert not known.complaints
    assert changed_by(known, service()) == ["default/web"]


def test_the_headless_label_hides_a_slice_but_not_a_service() -> None:
    label = {"service.kubernetes.io/headless": ""}
    known = tracker(service(labels=label), endpoint_slice(HERE))
    assert names(known) == [LOCAL]
    assert changed_by(known, endpoint_slice(HERE, labels=label)) == ["default/web"]
    assert names(known) == []


# --- stale UDP flows


def stale(known: ChangeTracker) -> list[tuple[IPAddress | None, int, list[str]]]:
    return [(found.address, found.port, sorted(map(str, found.serving))) for found in known.collect().stale]


def dns(*endpoints: dict[str, object]) -> ChangeTracker:
    return tracker(service(spec=DNS), endpoint_slice(*endpoints, ports=UDP))


def test_flows_to_an_endpoint_that_is_gone_are_stale_and_others_are_not() -> None:
    known = dns(HERE, THERE)
    known.put(endpoint_slice(THERE, ports=UDP))
    (found,) = known.collect().stale

    def condemned(*, reply: str, destination: str = "10.96.0.10", port: int = 53) -> bool:
        to, source = ip_address(destination), ip_address(reply)
        return found.condemns(destination=to, port=port, reply_source=source, local_addresses={NODE})

    assert condemned(reply="10.244.1.5")
    assert condemned(reply="10.96.0.10"), "one that began before there were rules"
    assert not condemned(reply="10.244.2.6")
    assert not condemned(reply="10.244.1.5", port=54)
    assert not condemned(reply="10.244.1.5", destination="10.96.0.11")
    assert not condemned(reply="10.244.1.5", destination="192.168.50.11")


def test_all_flows_are_stale_when_the_last_endpoint_goes() -> None:
    known = dns(HERE)
    known.put(endpoint_slice(ports=UDP))
    assert stale(known) == [(VIP, 53, [])]


def test_all_flows_are_stale_when_the_service_goes() -> None:
    known = dns(HERE)
    known.remove(service(spec=DNS))
    assert stale(known) == [(VIP, 53, [])]


def test_an_endpoint_that_ends_but_serves_keeps_its_flows() -> None:
    known = dns(HERE, THERE)
    known.put(endpoint_slice(endpoint("10.244.1.5", **LEAVING), THERE, ports=UDP))
    assert stale(known) == []
    known.put(endpoint_slice(endpoint("10.244.1.5", **UNREADY), THERE, ports=UDP))
    assert stale(known) == [(VIP, 53, ["10.244.2.6"])]


def test_flows_to_every_address_of_a_service_are_looked_at() -> None:
    spec = {
        "type": "LoadBalancer",
        "ports": [{"port": 53, "protocol": "UDP", "nodePort": 30053}],
        "externalIPs": ["203.0.113.20"],
    }
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
    known = ChangeTracker(node_name="node1")
    known.put(service(spec=spec, status=status))
    known.put(endpoint_slice(HERE, ports=UDP))
    found = {(str(flows.address), flows.port) for flows in known.collect().stale}
    assert found == {("10.96.0.10", 53), ("203.0.113.20", 53), ("203.0.113.10", 53), ("None", 30053)}


def test_flows_to_a_node_port_are_only_those_to_the_nodes_own_addresses() -> None:
    spec = {"type": "NodePort", "ports": [{"port": 53, "protocol": "UDP", "nodePort": 30053}]}
    known = tracker(service(spec=spec), endpoint_slice(HERE, ports=UDP))
    known.remove(service(spec=spec))
    (of_node,) = (flows for flows in known.collect().stale if flows.address is None)

    def condemned(destination: str) -> bool:
        to = ip_address(destination)
        return of_node.condemns(destination=to, port=30053, reply_source=CLIENT, local_addresses={NODE})

    assert condemned("192.168.50.11")
    assert not condemned("198.51.100.7"), "a Pod's own flow to a machine outside"


def test_a_service_that_takes_over_an_address_decides_whose_flows_stay() -> None:
    known = dns(HERE)
    known.remove(service(spec=DNS))
    known.put(service("heir", spec=DNS))
    known.put(endpoint_slice(THERE, name="heir-1", service="heir", ports=UDP))
    assert stale(known) == [(VIP, 53, ["10.244.2.6"])]


@pytest.mark.parametrize("gone", ["web", "other"])
def test_of_two_services_at_one_address_the_one_that_stays_keeps_its_flows(gone: str) -> None:
    specs = {name: {**DNS, "clusterIP": ip, "externalIPs": ["203.0.113.20"]} for name, ip in ADDRESSES_OF.items()}
    known = tracker(
        *(service(name, spec=spec) for name, spec in specs.items()),
        endpoint_slice(HERE, ports=UDP),
        endpoint_slice(THERE, name="other-1", service="other", ports=UDP),
    )
    known.remove(service(gone))
    kept = ["10.244.1.5"] if gone == "other" else ["10.244.2.6"]
    assert (ip_address("203.0.113.20"), 53, kept) in stale(known)


@settings(max_examples=50)
@given(STEPS)
def test_after_any_deeds_those_flows_are_stale_whose_endpoint_a_fresh_start_would_not_know(
    steps: list[list[Deed]],
) -> None:
    known, objects = tracker(node()), {}
    serving: dict[tuple[Family, IPAddress | None, int], frozenset[IPAddress]] = {}
    for deeds in steps:
        for deed in deeds:
            deed.do(known)
        objects = after(deeds, objects)
        serving |= {(each.family, each.address, each.port): each.serving for each in known.collect().stale}
        fresh = ChangeTracker(node_name="node1")
        for each in objects.values():
            fresh.put(each)
        anew = {(each.family, each.address, each.port): each.serving for each in fresh.collect().stale}
        assert {key: found for key, found in serving.items() if found} == {key: f for key, f in anew.items() if f}


def test_tcp_flows_are_never_stale() -> None:
    known = tracker(service(), endpoint_slice(HERE))
    known.remove(service())
    assert stale(known) == []


# --- health checks


def test_a_health_check_counts_the_ready_endpoints_of_this_node_once_for_all_ports() -> None:
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 31000,
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
    }
    targets = ({"name": "a", "port": 8080}, {"name": "b", "port": 8081})
    leaving = endpoint("10.244.1.6", **LEAVING)
    known = tracker(service(spec=spec), service("plain"), endpoint_slice(HERE, THERE, leaving, ports=targets))
    assert health_checks(known) == (HealthCheck(ServiceName("default", "web"), Family.IPV4, 31000, 1),)


def test_a_health_check_counts_the_endpoints_of_each_family_by_themselves() -> None:
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 31000,
        "clusterIPs": ["10.96.0.10", "fd00:10:96::10"],
    }
    sixth = endpoint_slice(endpoint("fd00:10:244:2::6", node="node2"), name="web-6", family="IPv6")
    known = tracker(service(spec=spec), endpoint_slice(HERE), sixth)
    assert [(check.family, check.local_endpoints) for check in health_checks(known)] == [
        (Family.IPV4, 1),
        (Family.IPV6, 0),
    ]


def test_only_a_load_balancer_bound_to_its_nodes_has_a_health_check() -> None:
    spec = {"type": "LoadBalancer", "healthCheckNodePort": 31000}
    assert health_checks(tracker(service(spec=spec), endpoint_slice(HERE))) == ()


# --- bad objects


BAD_ADDRESSES = [
    ("127.0.0.1", "is a loopback address"),
    ("169.254.1.1", "is a link-local address"),
    ("224.0.0.1", "is a multicast address"),
    ("0.0.0.0", "is the unspecified address"),
    ("fd00::1", "is not an IPv4 address"),
    ("10.244.1", "is not an IP address"),
    ("$(reboot)", "is not an IP address"),
    ("10.244.1.5 -j ACCEPT", "is not an IP address"),
]


@pytest.mark.parametrize(("address", "reason"), BAD_ADDRESSES)
def test_an_endpoint_that_cannot_be_one_is_named_and_the_others_are_served(address: str, reason: str) -> None:
    known = tracker(service(), endpoint_slice({"addresses": [address]}, HERE))
    assert names(known) == [LOCAL]
    (complaint,) = known.complaints
    assert str(complaint) == f"EndpointSlice default/web-1: endpoints[0].addresses[0]: {address!r} {reason}"


def test_a_bad_object_is_named_once_and_forgotten_when_it_is_mended() -> None:
    known = ChangeTracker(node_name="node1")
    bad = endpoint_slice(endpoint("127.0.0.1", node="node1"))
    known.put(bad)
    assert len(known.collect().complaints) == 1
    known.put(bad)
    assert known.collect().complaints == ()
    known.put(endpoint_slice(HERE))
    assert known.complaints == ()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"clusterIP": "10.96.0"}, "spec.clusterIPs[0]"),
        ({"externalIPs": ["203.0.113.20", "127.0.0.1"]}, "spec.externalIPs[1]"),
        ({"loadBalancerSourceRanges": ["10.0.0.0/33"]}, "spec.loadBalancerSourceRanges[0]"),
        ({"ports": [{"port": 80, "name": 'a" -j ACCEPT'}]}, "spec.ports[0].name"),
    ],
)
def test_a_field_of_a_service_that_cannot_be_served_is_named(spec: dict[str, object], path: str) -> None:
    known = tracker(service("bad", spec=spec), service())
    assert [complaint.path for complaint in known.complaints] == [path]
    assert "default/web" in {str(key) for key in known.ports}


@pytest.mark.parametrize("name", ["a b", 'x" -j ACCEPT', "new\nline", "x" * 300, "", "Ünicode"])
def test_a_service_whose_name_is_none_is_not_served_and_named_on_one_line(name: str) -> None:
    known = tracker(service(name), service())
    assert [str(key) for key in known.ports] == ["default/web"]
    (complaint,) = known.complaints
    assert str(complaint).isprintable()
