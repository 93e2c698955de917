"""Objects that only a broken or malicious client would send: refused, each in Kubernetes' words, or stored whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.api.cluster import Cluster
from netlab.api.encoding import decode, decode_trusted, parse
from netlab.api.statuses import Refusal
from netlab.api.store import Store
from netlab.model.objects import EndpointSlice, Service
from netlab.model.topology import Topology

NETWORK = {
    "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "serviceCIDRs": ["10.96.0.0/16", "fd00:10:96::/112"],
    "nodeCIDRs": ["172.18.0.0/24", "fd00:172:18::/64"],
    "loadBalancerCIDRs": ["172.18.255.0/28"],
}
OF_THE_API_SERVER = "default/kubernetes"
Json = dict[str, Any]


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    store = Store()
    cluster = Cluster(store, Random(1))
    cluster.create(Topology.model_validate({"metadata": {"name": "lab"}, "spec": {"network": NETWORK}}))
    yield cluster
    store.close()


def sent(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


# --- EndpointSlices


def a_slice(endpoint: Json | None = None, **fields: Any) -> Json:
    endpoint = {"addresses": ["10.244.0.2"]} | (endpoint or {})
    ports = [{"name": "http", "port": 80}]
    body = {"metadata": {"name": "web-1"}, "addressType": "IPv4", "endpoints": [endpoint], "ports": ports}
    return body | fields


def addressed(address: str, family: str = "IPv4") -> Json:
    return a_slice({"addresses": [address]}, addressType=family)


LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
LINK_LOCAL = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
MULTICAST = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
INJECTIONS = [
    "web; reboot",
    "$(id)",
    "web\n-A INPUT -j DROP",
    'a" -j ACCEPT #',
    "--help",
    "web`id`",
    "über",
    "a b",
    "A",
]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (addressed("127.0.0.1"), f'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": {LOOPBACK}'),
        (addressed("::1", "IPv6"), f'endpoints[0].addresses[0]: Invalid value: "::1": {LOOPBACK}'),
        (addressed("169.254.1.1"), f'endpoints[0].addresses[0]: Invalid value: "169.254.1.1": {LINK_LOCAL}'),
        (addressed("fe80::1", "IPv6"), f'endpoints[0].addresses[0]: Invalid value: "fe80::1": {LINK_LOCAL}'),
        (addressed("224.0.0.1"), f'endpoints[0].addresses[0]: Invalid value: "224.0.0.1": {MULTICAST}'),
        (addressed("ff02::1", "IPv6"), f'endpoints[0].addresses[0]: Invalid value: "ff02::1": {MULTICAST}'),
        (addressed("ff12::1", "IPv6"), f'endpoints[0].addresses[0]: Invalid value: "ff12::1": {MULTICAST}'),
        (
            addressed("0.0.0.0"),
            'endpoints[0].addresses[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
        ),
        (addressed("::", "IPv6"), 'endpoints[0].addresses[0]: Invalid value: "::": may not be unspecified (::)'),
        (addressed("fd00::1"), 'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address'),
        (
            addressed("10.244.0.2", "IPv6"),
            'endpoints[0].addresses[0]: Invalid value: "10.244.0.2": must be a valid IPv6 address',
        ),
        (
            addressed("::ffff:127.0.0.1", "IPv6"),
            'endpoints[0].addresses[0]: Invalid value: "::ffff:127.0.0.1": must be a valid IPv6 address',
        ),
        (
            addressed("10.244.0.2; reboot"),
            'endpoints[0].addresses[0]: Invalid value: "10.244.0.2; reboot": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            addressed("fe80::1%eth0", "IPv6"),
            'endpoints[0].addresses[0]: Invalid value: "fe80::1%eth0": must be a valid IP address, '
            "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            addressed("localhost", "FQDN"),
            'endpoints[0].addresses[0]: Invalid value: "localhost": '
            "should be a domain with at least two segments separated by dots",
        ),
        (a_slice({"addresses": []}), "endpoints[0].addresses: Required value: must contain at least 1 address"),
        (
            a_slice({"addresses": ["10.244.0.2"] * 101}),
            "endpoints[0].addresses: Too many: 101: must have at most 100 items",
        ),
        (
            a_slice(endpoints=[{"addresses": ["127.0.0.1"]}] * 1001),
            "endpoints: Too many: 1001: must have at most 1000 items",
        ),
        (
            a_slice(ports=[{"name": "x", "port": 80}] * 20001),
            "ports: Too many: 20001: must have at most 20000 items",
        ),
        (
            a_slice(ports=[{"name": "a", "port": 80}, {"name": "a", "port": 81}]),
            'ports[1].name: Duplicate value: "a"',
        ),
        (a_slice(ports=[{"port": 80}, {"port": 81}]), 'ports[1].name: Duplicate value: ""'),
        (a_slice(ports=[{"port": 0}]), "ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        (
            a_slice(ports=[{"port": 80, "protocol": "ICMP"}]),
            'ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            a_slice({"hints": {"forZones": [{"name": str(number)} for number in range(9)]}}),
            "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items",
        ),
        (
            a_slice({"hints": {"forNodes": [{"name": "a"}, {"name": "a"}]}}),
            'endpoints[0].hints.forNodes[1].name: Duplicate value: "a"',
        ),
        (
            a_slice(metadata={"name": "web-1", "annotations": {"a": "x" * 262144}}),
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
    ],
)
def test_a_wrong_slice_is_refused_in_the_words_of_kubernetes(body: Json, message: str) -> None:
    with a_cluster() as cluster:
        with pytest.raises(Refusal) as refusal:
            cluster.create(decode(EndpointSlice, sent(body)))
        assert str(refusal.value) == f'EndpointSlice.discovery.k8s.io "web-1" is invalid: {message}'
        assert refusal.value.status == 422
        assert list(cluster.store.keys(EndpointSlice)) == [OF_THE_API_SERVER]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    "place",
    ["metadata.name", "ports.name", "ports.appProtocol", "endpoints.nodeName", "endpoints.hostname", "hints", "labels"],
)
def test_a_slice_with_the_syntax_of_a_shell_or_of_iptables_in_a_name_is_refused(place: str, text: str) -> None:
    lenient = {"ports.appProtocol", "hints", "labels"}
    bodies: dict[str, Json] = {
        "metadata.name": a_slice(metadata={"name": text}),
        "ports.name": a_slice(ports=[{"name": text, "port": 80}]),
        "ports.appProtocol": a_slice(ports=[{"port": 80, "appProtocol": text}]),
        "endpoints.nodeName": a_slice({"nodeName": text}),
        "endpoints.hostname": a_slice({"hostname": text}),
        "hints": a_slice({"hints": {"forZones": [{"name": text}]}}),
        "labels": a_slice(metadata={"name": "web-1", "labels": {"kubernetes.io/service-name": text}}),
    }
    with a_cluster() as cluster:
        if text == "A" and place in lenient:
            cluster.create(decode(EndpointSlice, sent(bodies[place])))
            return
        with pytest.raises(Refusal, match="Invalid value: ") as refusal:
            cluster.create(decode(EndpointSlice, sent(bodies[place])))
        assert refusal.value.status == 422


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    "place", ["name", "port", "targetPort", "selector", "clusterIP", "externalIPs", "externalName"]
)
def test_a_service_with_the_syntax_of_a_shell_or_of_iptables_in_a_name_is_refused(place: str, text: str) -> None:
    specs: dict[str, Json] = {
        "name": {},
        "port": {"ports": [{"name": text, "port": 80}]},
        "targetPort": {"ports": [{"port": 80, "targetPort": text}]},
        "selector": {"selector": {text + "/x": "y"}},
        "clusterIP": {"clusterIP": text},
        "externalIPs": {"externalIPs": [text]},
        "externalName": {"type": "ExternalName", "externalName": text},
    }
    name = text if place == "name" else "web"
    body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **specs[place]}}
    with a_cluster() as cluster:
        with pytest.raises(Refusal) as refusal:
            cluster.create(decode(Service, sent(body)))
        assert refusal.value.status == 422
        assert list(cluster.store.keys(Service)) == [OF_THE_API_SERVER]


# --- JSON that is none


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"metadata":{"name":"a"},"x":NaN}', id="not a number"),
        pytest.param(b'{"metadata":{"name":"a"},"x":1e999}', id="a number without end"),
        pytest.param(b'{"metadata":{"name":"a"},"x":"\\ud800"}', id="half a character"),
        pytest.param(b'{"metadata":{"name":"a"},"x":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"y":null,"x":' + b"[" * 450 + b"]" * 450 + b"}", id="deep, with a null"),
        pytest.param(b'{"x":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", id="very deep"),
        pytest.param(b'{"x":' + b"9" * 5000 + b"}", id="a number of 5000 digits"),
        pytest.param(b"null", id="nothing"),
        pytest.param(b'{"spec":[null]}', id="a list for a spec"),
    ],
)
def test_what_is_no_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        decode(Service, body)
    assert refusal.value.status == 400


def test_a_patch_that_is_nested_too_deep_is_a_bad_request() -> None:
    with pytest.raises(Refusal, match="nested deeper than 100 levels"):
        parse(b'{"x":' * 300 + b"1" + b"}" * 300)


# --- Anything


NAMES = st.sampled_from(["web", "db", "a-very-long-name-" * 4, "", *INJECTIONS])
IPS = st.sampled_from(
    [
        *("10.96.0.10", "10.96.0.11", "10.96.255.255", "fd00:10:96::10", "None", "", "10.244.0.2", "10.244.0.3"),
        *("127.0.0.1", "169.254.0.1", "224.0.0.1", "0.0.0.0", "::", "::1", "fe80::1", "::ffff:10.0.0.1", "1.2.3"),
    ]
)
NUMBERS = st.one_of(st.sampled_from([0, 1, 80, 30000, 30080, 30081, 32767, 65535, 65536, -1, 2**40]), st.booleans())
TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Router"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


def spoiled(good: Json, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """A good object, of which up to three fields are something else, and one in thirty of these anything at all."""
    values = {name: st.integers(0, 29).flatmap(lambda n, v=value: v if n else JUNK) for name, value in fields.items()}
    changes = st.one_of([value.map(lambda v, n=name: (n, v)) for name, value in values.items()])
    return st.lists(changes, max_size=3).map(lambda changed: good | dict(changed))


METADATA = spoiled(
    {},
    labels=st.dictionaries(NAMES, NAMES, max_size=2),
    annotations=st.dictionaries(NAMES, st.text(max_size=300), max_size=2),
    uid=st.just("someone-else"),
    finalizers=st.lists(NAMES, max_size=1),
)
NAMED = st.tuples(st.sampled_from(["web", "db", "cache"]), st.just({}) | METADATA).map(lambda m: m[1] | {"name": m[0]})
SERVICE_PORT = spoiled(
    {"port": 80},
    port=NUMBERS,
    name=NAMES,
    protocol=st.sampled_from(["TCP", "UDP", "SCTP", "tcp"]),
    targetPort=NUMBERS | NAMES,
    nodePort=NUMBERS,
    appProtocol=NAMES,
)
SPEC_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": TYPES,
    "ports": st.lists(SERVICE_PORT, max_size=2),
    "selector": st.dictionaries(NAMES, NAMES, max_size=2),
    "clusterIP": IPS,
    "clusterIPs": st.lists(IPS, max_size=3),
    "ipFamilies": st.lists(st.sampled_from(["IPv4", "IPv6", "IPv5"]), max_size=3),
    "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack"]),
    "externalIPs": st.lists(IPS, max_size=2),
    "externalName": NAMES | st.just("example.com"),
    "externalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
    "internalTrafficPolicy": st.sampled_from(["Cluster", "Local", "local"]),
    "sessionAffinity": st.sampled_from(["None", "ClientIP"]),
    "sessionAffinityConfig": objects(clientIP=objects(timeoutSeconds=NUMBERS)),
    "loadBalancerIP": IPS | st.sampled_from(["172.18.255.1", "172.18.255.4"]),
    "loadBalancerClass": NAMES,
    "loadBalancerSourceRanges": st.lists(IPS | st.just("10.0.0.0/8"), max_size=2),
    "allocateLoadBalancerNodePorts": st.booleans(),
    "healthCheckNodePort": NUMBERS,
    "trafficDistribution": st.sampled_from(["PreferClose", "PreferSameNode", "PreferSomething"]),
    "unknown": JUNK,
}
GOOD_SPECS: tuple[Json, ...] = (
    {},
    {"type": "ClusterIP"},
    {"type": "NodePort"},
    {"type": "LoadBalancer"},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    {"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack"},
    {"type": "ExternalName", "externalName": "example.com"},
    {"clusterIP": "None"},
)
SPECS = st.sampled_from(GOOD_SPECS).flatmap(lambda good: spoiled({"ports": [{"port": 80}]} | good, **SPEC_FIELDS))
INGRESS = objects(ip=IPS | st.just("172.18.255.1"), ipMode=st.sampled_from(["VIP", "Proxy", "vip"]), hostname=NAMES)
STATUSES = st.just({}) | objects(loadBalancer=objects(ingress=st.lists(INGRESS, max_size=2)), conditions=JUNK) | JUNK
SERVICES = st.fixed_dictionaries({"metadata": NAMED, "spec": SPECS}, optional={"status": STATUSES})
HINTS = objects(forZones=st.lists(objects(name=NAMES), max_size=2), forNodes=st.lists(objects(name=NAMES), max_size=2))
ENDPOINT = spoiled(
    {"addresses": ["10.244.0.2"]},
    addresses=st.lists(IPS, max_size=3),
    conditions=objects(ready=st.booleans(), serving=st.booleans(), terminating=st.booleans()),
    nodeName=NAMES,
    hostname=NAMES,
    zone=NAMES,
    hints=HINTS,
)
SLICES = st.tuples(
    NAMED,
    spoiled(
        {"addressType": "IPv4", "endpoints": [], "ports": []},
        addressType=st.sampled_from(["IPv4", "IPv6", "FQDN", "IPX"]),
        endpoints=st.lists(ENDPOINT, max_size=3),
        ports=st.lists(SERVICE_PORT, max_size=2),
    ),
).map(lambda parts: {"metadata": parts[0], **parts[1]})
VERBS = st.sampled_from(["create", "update", "update", "patch", "patch", "delete"])
REQUESTS = st.one_of(
    st.tuples(st.just(Service), VERBS | st.just("status"), SERVICES),
    st.tuples(st.just(EndpointSlice), VERBS, SLICES),
)
Request = tuple[type[Service] | type[EndpointSlice], str, Json]


def perform(cluster: Cluster, request: Request) -> None:
    """The request; where there is nothing to be changed the object is created instead."""
    kind, verb, body = request
    name = body["metadata"]["name"]
    present = cluster.store.find(kind, name, "default")
    match verb if present or verb == "delete" else "create":
        case "create":
            cluster.create(decode(kind, sent(body)))
        case "update":
            value = decode(kind, sent(body))
            namespaced = value.metadata.model_copy(update={"namespace": "default"})
            cluster.update(value.model_copy(update={"metadata": namespaced}))
        case "patch":
            cluster.patch(cluster.store.get(kind, name, "default"), parse(sent(body)))
        case "status":
            patch = parse(sent({"status": body.get("status")}))
            cluster.patch(cluster.store.get(kind, name, "default"), patch, "status")
        case "delete":
            cluster.delete(kind, name, "default")


def outcome(cluster: Cluster, request: Request) -> int:
    """The HTTP status of the answer."""
    try:
        perform(cluster, request)
    except Refusal as refusal:
        return refusal.status
    return 200


WELL_NAMED = re.compile("[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def check_store(cluster: Cluster) -> None:
    """Everything in the store reads back as it is, is named well, and shares no address or port with another."""
    for kind in (Service, EndpointSlice):
        for stored in cluster.store.all_stored(kind):
            assert decode_trusted(kind, stored.encoded) == stored.object
            ports = stored.object.ports if isinstance(stored.object, EndpointSlice) else stored.object.spec.ports
            assert all(
                WELL_NAMED.fullmatch(name)
                for name in (stored.object.metadata.name, *filter(None, (p.name for p in ports)))
            )
    services = cluster.store.list(Service)
    held: Counter[object] = Counter()
    for service in services:
        held.update(ip for ip in service.spec.cluster_ips if ip != "None")
        if service.spec.load_balancer_class is None and "IPv4" in service.spec.ip_families:
            held.update(each.ip for each in service.status.load_balancer.ingress)
        if service.spec.type in ("NodePort", "LoadBalancer"):
            numbers = {port.node_port for port in service.spec.ports} | {service.spec.health_check_node_port}
            held.update(numbers - {None})
    assert [what for what, count in held.items() if count > 1] == []


@settings(max_examples=150, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_whatever_is_sent_is_refused_as_the_clients_fault_or_stored_whole(requests: list[Request]) -> None:
    with a_cluster() as cluster:
        for request in requests:
            assert outcome(cluster, request) < 500
            check_store(cluster)


@settings(max_examples=50, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_a_restarted_server_knows_what_is_held_as_the_old_one_did(requests: list[Request]) -> None:
    with a_cluster() as cluster:
        for request in requests:
            outcome(cluster, request)
        before = cluster.store.list(Service)
        again = Cluster(cluster.store, Random(2))
        assert cluster.store.list(Service) == before
        for service in before:
            if service.spec.cluster_ip not in (None, "None"):
                spec = {"clusterIP": service.spec.cluster_ip, "ports": [{"port": 1}]}
                with pytest.raises(Refusal, match="provided IP is already allocated"):
                    again.create(decode(Service, sent({"metadata": {"name": "thief"}, "spec": spec})))
