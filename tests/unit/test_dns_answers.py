"""What the cluster's names mean: questions and their answers, by the Kubernetes DNS specification."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from dns_objects import ask, external, namespace, said, service, slice_of, zone_of

from netlab.dns.records import Authority, Code, Kind
from netlab.dns.zone import Zone

NOT_READY = {"conditions": {"ready": False}}
CLUSTER = zone_of(
    namespace("shop"),
    service("kube-dns", "10.96.0.10", where="kube-system", ports={"dns": ("UDP", 53), "dns-tcp": ("TCP", 53)}),
    service("web", "10.96.0.80", ports={"http": ("TCP", 80), "metrics": ("TCP", 9090)}),
    slice_of("web", "10.244.0.5"),
    service("empty", "10.96.0.81"),
    service("both", "10.96.0.82", "fd00:10:96::82"),
    service("nameless", "10.96.0.83", ports={"": ("TCP", 80)}),
    service("cart", "10.96.0.90", where="shop"),
    service("db", "None"),
    slice_of("db", {"addresses": ["10.244.0.6"], "hostname": "db-0"}, {"addresses": ["10.244.1.6"], **NOT_READY}),
    slice_of("db", "10.244.0.7", name="db-2"),
    slice_of("db", {"addresses": ["fd00:244::6"], "hostname": "db-0"}, "fd00:244::7", name="db-6"),
    service("lonely", "None"),
    slice_of("lonely", {"addresses": ["10.244.0.9"], **NOT_READY}),
    external("inside", "web.default.svc.cluster.local"),
    external("twice", "inside.default.svc.cluster.local"),
    external("outside", "www.example.com"),
    external("astray", "nobody.default.svc.cluster.local"),
    external("ring", "gnir.default.svc.cluster.local"),
    external("gnir", "ring.default.svc.cluster.local"),
)

QUESTIONS = {
    "a Service: its clusterIP": ("web.default.svc", Kind.A, ["web.default.svc A 10.96.0.80"]),
    "in any case": ("WEB.Default.SVC", Kind.A, ["web.default.svc A 10.96.0.80"]),
    "without endpoints: its clusterIP all the same": ("empty.default.svc", Kind.A, ["empty.default.svc A 10.96.0.81"]),
    "in another namespace": ("cart.shop.svc", Kind.A, ["cart.shop.svc A 10.96.0.90"]),
    "of two families: IPv4": ("both.default.svc", Kind.A, ["both.default.svc A 10.96.0.82"]),
    "of two families: IPv6": ("both.default.svc", Kind.AAAA, ["both.default.svc AAAA fd00:10:96::82"]),
    "headless: every ready endpoint": (
        "db.default.svc",
        Kind.A,
        ["db.default.svc A 10.244.0.6", "db.default.svc A 10.244.0.7"],
    ),
    "headless, by IPv6": (
        "db.default.svc",
        Kind.AAAA,
        ["db.default.svc AAAA fd00:244::6", "db.default.svc AAAA fd00:244::7"],
    ),
    "an endpoint by its host name": ("db-0.db.default.svc", Kind.A, ["db-0.db.default.svc A 10.244.0.6"]),
    "an endpoint by its address": ("10-244-0-7.db.default.svc", Kind.A, ["10-244-0-7.db.default.svc A 10.244.0.7"]),
    "an endpoint by its IPv6 address": (
        "fd00-244--7.db.default.svc",
        Kind.AAAA,
        ["fd00-244--7.db.default.svc AAAA fd00:244::7"],
    ),
    "a named port": ("_http._tcp.web.default.svc", Kind.SRV, ["_http._tcp.web.default.svc SRV 100 80 web.default.svc"]),
    "a named port of a headless Service: each of its endpoints": (
        "_http._tcp.db.default.svc",
        Kind.SRV,
        [
            "_http._tcp.db.default.svc SRV 33 80 10-244-0-7.db.default.svc",
            "_http._tcp.db.default.svc SRV 33 80 db-0.db.default.svc",
            "_http._tcp.db.default.svc SRV 33 80 fd00-244--7.db.default.svc",
        ],
    ),
    "a port over UDP": (
        "_dns._udp.kube-dns.kube-system.svc",
        Kind.SRV,
        ["_dns._udp.kube-dns.kube-system.svc SRV 100 53 kube-dns.kube-system.svc"],
    ),
    "an external name outside: the alias alone": (
        "outside.default.svc",
        Kind.A,
        ["outside.default.svc CNAME www.example.com"],
    ),
    "an external name inside: followed": (
        "inside.default.svc",
        Kind.A,
        ["inside.default.svc CNAME web.default.svc", "web.default.svc A 10.96.0.80"],
    ),
    "an external name that leads to another": (
        "twice.default.svc",
        Kind.A,
        [
            "inside.default.svc CNAME web.default.svc",
            "twice.default.svc CNAME inside.default.svc",
            "web.default.svc A 10.96.0.80",
        ],
    ),
    "the alias itself": ("inside.default.svc", Kind.CNAME, ["inside.default.svc CNAME web.default.svc"]),
    "a Pod's address in its name": ("10-244-0-5.default.pod", Kind.A, ["10-244-0-5.default.pod A 10.244.0.5"]),
    "a Pod's IPv6 address": ("fd00-244--6.shop.pod", Kind.AAAA, ["fd00-244--6.shop.pod AAAA fd00:244::6"]),
    "the version of the schema": ("dns-version", Kind.TXT, ["dns-version TXT 1.1.0"]),
    "the name server": ("", Kind.NS, ["cluster.local NS ns.dns"]),
    "the name server's address": ("ns.dns", Kind.A, ["ns.dns A 10.96.0.10"]),
    "anything": ("web.default.svc", Kind.ANY, ["web.default.svc A 10.96.0.80"]),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_name_of_the_cluster_has(question: tuple[str, Kind, list[str]]) -> None:
    name, kind, expected = question
    answer = ask(CLUSTER, f"{name}.cluster.local", kind)
    assert (answer.code, said(answer.answers), answer.authority) == (Code.NOERROR, expected, ())


def assert_starts_with_authority(authority: object, origin: str) -> None:
    (record,) = authority if isinstance(authority, tuple) else ()
    assert (".".join(record.name), type(record.data)) == (origin, Authority)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web.default.svc", Kind.AAAA),
        ("web.default.svc", Kind.SRV),
        ("web.default.svc", 65),
        ("_http._tcp.web.default.svc", Kind.A),
        ("_tcp.web.default.svc", Kind.SRV),
        ("db-0.db.default.svc", Kind.SRV),
        ("inside.default.svc", Kind.AAAA),
        ("default.svc", Kind.A),
        ("default.pod", Kind.A),
        ("svc", Kind.A),
        ("pod", Kind.A),
        ("dns", Kind.A),
        ("", Kind.A),
        ("dns-version", Kind.A),
        ("10-244-0-5.default.pod", Kind.AAAA),
    ],
)
def test_a_name_that_is_there_without_such_a_record_is_no_error_and_no_answer(name: str, kind: int) -> None:
    answer = ask(CLUSTER, f"{name}.cluster.local", kind)
    assert (answer.code, [r for r in said(answer.answers) if "CNAME" not in r]) == (Code.NOERROR, [])
    assert_starts_with_authority(answer.authority, "cluster.local")


@pytest.mark.parametrize(
    "name",
    [
        "nobody.default.svc",
        "web.nowhere.svc",
        "web.shop.svc",
        "nowhere.svc",
        "nowhere.pod",
        "db-1.db.default.svc",
        "10-244-0-6.db.default.svc",
        "10-244-1-6.db.default.svc",
        "lonely.default.svc",
        "_http._tcp.lonely.default.svc",
        "_https._tcp.web.default.svc",
        "_http._udp.web.default.svc",
        "_._tcp.nameless.default.svc",
        "_udp.web.default.svc",
        "_http.tcp.web.default.svc",
        "http._tcp.web.default.svc",
        "below.outside.default.svc",
        "a.b.c.web.default.svc",
        "10-244-0-5.nowhere.pod",
        "web.default.pod",
        "10-244-0-256.default.pod",
        "a.10-244-0-5.default.pod",
        "web",
        "web.default",
    ],
)
def test_a_name_that_nothing_has_does_not_exist(name: str) -> None:
    for kind in (Kind.A, Kind.AAAA, Kind.SRV):
        answer = ask(CLUSTER, f"{name}.cluster.local", kind)
        assert (answer.code, answer.answers) == (Code.NXDOMAIN, ())
        assert_starts_with_authority(answer.authority, "cluster.local")


def test_an_alias_of_a_name_that_nothing_has_says_both() -> None:
    answer = ask(CLUSTER, "astray.default.svc.cluster.local", Kind.A)
    assert said(answer.answers) == ["astray.default.svc CNAME nobody.default.svc"]
    assert answer.code is Code.NXDOMAIN


def test_aliases_that_lead_in_a_ring_are_given_up() -> None:
    assert ask(CLUSTER, "ring.default.svc.cluster.local", Kind.A).code is Code.SERVFAIL


@pytest.mark.parametrize("name", ["www.example.com", "com", "", "local", "web", "cluster.localhost", "mycluster.local"])
def test_whatever_lies_outside_the_cluster_is_refused(name: str) -> None:
    answer = ask(CLUSTER, name, Kind.A)
    assert (answer.code, answer.answers, answer.authority) == (Code.REFUSED, (), ())


ADDRESSES = {
    "a clusterIP": ("10.96.0.80", ["web.default.svc"]),
    "an IPv6 clusterIP": ("fd00:10:96::82", ["both.default.svc"]),
    "an endpoint of a headless Service with a host name": ("10.244.0.6", ["db-0.db.default.svc"]),
    "an endpoint of a headless Service without": ("10.244.0.7", ["10-244-0-7.db.default.svc"]),
    "an IPv6 endpoint": ("fd00:244::6", ["db-0.db.default.svc"]),
    "an endpoint of a Service with a clusterIP": ("10.244.0.5", []),
    "an endpoint that is not ready": ("10.244.1.6", []),
    "nobody's": ("10.96.0.79", []),
    "one of the world outside": ("192.0.2.1", []),
}


@pytest.mark.parametrize(("address", "names"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_an_address_leads_back_to(address: str, names: list[str]) -> None:
    reverse = ip_address(address).reverse_pointer
    answer = ask(CLUSTER, reverse, Kind.PTR)
    assert said(answer.answers) == [f"{reverse} PTR {name}" for name in names]
    assert answer.code is (Code.NOERROR if names else Code.NXDOMAIN)
    if not names:
        assert_starts_with_authority(answer.authority, "ip6.arpa" if ":" in address else "in-addr.arpa")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("in-addr.arpa", Code.NOERROR),
        ("96.10.in-addr.arpa", Code.NOERROR),
        ("0.0.d.f.ip6.arpa", Code.NOERROR),
        ("080.0.96.10.in-addr.arpa", Code.NXDOMAIN),
        ("256.0.96.10.in-addr.arpa", Code.NXDOMAIN),
        ("1.80.0.96.10.in-addr.arpa", Code.NXDOMAIN),
        ("x.0.96.10.in-addr.arpa", Code.NXDOMAIN),
        ("10.0.d.f.ip6.arpa", Code.NXDOMAIN),
        ("-1.0.96.10.in-addr.arpa", Code.NXDOMAIN),
        ("1_0.0.96.10.in-addr.arpa", Code.NXDOMAIN),
    ],
)
def test_a_part_of_an_address_is_a_name_and_no_address_is_none(name: str, code: Code) -> None:
    answer = ask(CLUSTER, name, Kind.PTR)
    assert (answer.code, answer.answers) == (code, ())


def test_a_port_comes_with_the_addresses_to_go_to() -> None:
    answer = ask(CLUSTER, "_http._tcp.db.default.svc.cluster.local", Kind.SRV)
    assert said(answer.additional) == [
        "10-244-0-7.db.default.svc A 10.244.0.7",
        "db-0.db.default.svc A 10.244.0.6",
        "db-0.db.default.svc AAAA fd00:244::6",
        "fd00-244--7.db.default.svc AAAA fd00:244::7",
    ]


def test_an_endpoint_in_two_slices_is_one_address() -> None:
    zone = zone_of(service("db", "None"), slice_of("db", "10.244.0.6"), slice_of("db", "10.244.0.6", name="copy"))
    assert said(ask(zone, "db.default.svc.cluster.local", Kind.A).answers) == ["db.default.svc A 10.244.0.6"]


def names_of(zone: Zone, *, address: str = "10.244.0.6") -> tuple[list[str], list[str]]:
    """What the headless Service db resolves to, and what an address leads back to."""
    forth = ask(zone, "db.default.svc.cluster.local", Kind.A)
    back = ask(zone, ip_address(address).reverse_pointer, Kind.PTR)
    return [line.split()[-1] for line in said(forth.answers)], [line.split()[-1] for line in said(back.answers)]


def test_what_changes_in_the_cluster_changes_in_its_names() -> None:
    zone = zone_of(service("db", "None"), slice_of("db", "10.244.0.6"))
    assert names_of(zone) == (["10.244.0.6"], ["10-244-0-6.db.default.svc"])
    zone.put(slice_of("db", {"addresses": ["10.244.0.6"], **NOT_READY}, "10.244.0.8"))
    assert names_of(zone) == (["10.244.0.8"], [])
    zone.put(slice_of("other", "10.244.0.8", name="db-1"))
    assert names_of(zone, address="10.244.0.8") == ([], [])
    zone.put(service("db", "10.96.0.99"))
    assert names_of(zone, address="10.96.0.99") == (["10.96.0.99"], ["db.default.svc"])
    zone.put(service("db", "10.96.0.98"))
    assert names_of(zone, address="10.96.0.99") == (["10.96.0.98"], [])
    zone.remove(service("db", "10.96.0.98"))
    assert names_of(zone, address="10.96.0.98") == ([], [])


def test_a_namespace_that_is_gone_is_no_name() -> None:
    zone = zone_of(namespace("shop"))
    assert ask(zone, "shop.svc.cluster.local", Kind.A).code is Code.NOERROR
    zone.remove(namespace("shop"))
    assert ask(zone, "shop.svc.cluster.local", Kind.A).code is Code.NXDOMAIN


def test_an_endpoint_of_another_family_or_without_an_address_harms_nobody() -> None:
    broken = slice_of("db", "10.244.0.6", "not an address", "10.244.0.7")
    six = slice_of("db", "10.244.0.8", name="six").model_copy(update={"address_type": "IPv6"})
    zone = zone_of(service("db", "None"), broken, six)
    assert names_of(zone)[0] == ["10.244.0.6", "10.244.0.7"]
