"""DNS messages byte by byte: what is answered, what is refused, what is dropped, and how large an answer may be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from dns_objects import ask, external, service, slice_of, zone_of
from dnslib import EDNS0, OPCODE, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from netlab.agents.dns.wire import TCP_SIZE, UDP_SIZE, read_query, respond
from netlab.dns.answers import answer
from netlab.dns.records import Code, Kind, Record
from netlab.dns.zone import Zone
from netlab.model.objects import EndpointSlice

MANY = 300
HTTPS = 65
CLUSTER = zone_of(
    service("web", "10.96.0.80"),
    service("many", "None"),
    slice_of("many", *(f"10.244.{number // 200}.{number % 200 + 2}" for number in range(MANY))),
    external("too-long", f"{'x' * 64}.example.com"),
)


def in_order(records: Sequence[Record]) -> Sequence[Record]:
    return records


def exchange(query: bytes, *, limit: int | None = None, zone: Zone = CLUSTER) -> DNSRecord | None:
    """The response to a query's bytes, read by dnslib; None where there is none."""
    read = read_query(query)
    if read is None:
        return None
    code, response = respond(read, lambda name, kind: answer(zone, name, kind), shuffle=in_order, limit=limit)
    record = DNSRecord.parse(response)
    assert record.header.rcode == code & 0xF
    assert len(response) <= (limit or UDP_SIZE)
    return record


def question(name: str, kind: str = "A", *, edns: int | None = None, version: int = 0) -> bytes:
    record = DNSRecord.question(name, kind)
    if edns is not None:
        record.add_ar(EDNS0(udp_len=edns, version=version))
    return bytes(record.pack())


def answered(query: bytes, *, limit: int | None = None) -> DNSRecord:
    response = exchange(query, limit=limit)
    assert response is not None
    return response


def test_a_response_repeats_the_question_as_it_was_spelled() -> None:
    query = DNSRecord.question("wEb.DEFAULT.svc.cluster.LOCAL")
    response = answered(query.pack())
    assert response.header.id == query.header.id
    assert (response.header.qr, response.header.aa, response.header.tc, response.header.rd) == (1, 1, 0, 1)
    (record,) = response.rr
    assert (str(response.q.qname), str(record.rname)) == ("wEb.DEFAULT.svc.cluster.LOCAL.",) * 2
    assert (str(record.rdata), record.ttl) == ("10.96.0.80", 5)


def test_a_name_that_does_not_exist_comes_with_the_seconds_to_remember_that() -> None:
    response = answered(question("nobody.default.svc.cluster.local"))
    (soa,) = response.auth
    assert (response.header.rcode, QTYPE[soa.rtype], soa.ttl, soa.rdata.times[-1]) == (RCODE.NXDOMAIN, "SOA", 5, 5)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("AXFR", "REFUSED"), ("IXFR", "REFUSED"), ("HTTPS", "NOERROR"), ("MX", "NOERROR"), ("ANY", "NOERROR")],
)
def test_a_type_is_answered_or_refused(kind: str, code: str) -> None:
    response = answered(question("web.default.svc.cluster.local", kind))
    assert (RCODE[response.header.rcode], len(response.rr)) == (code, 1 if kind == "ANY" else 0)


def test_another_class_than_the_internet_is_refused() -> None:
    query = DNSRecord(q=DNSQuestion("version.bind", QTYPE.TXT, 3))
    assert answered(query.pack()).header.rcode == RCODE.REFUSED


@pytest.mark.parametrize("opcode", ["IQUERY", "STATUS", "NOTIFY", "UPDATE"])
def test_another_operation_than_a_query_is_not_implemented(opcode: str) -> None:
    query = DNSRecord.question("web.default.svc.cluster.local")
    query.header.set_opcode(getattr(OPCODE, opcode))
    assert answered(query.pack()).header.rcode == RCODE.NOTIMP


@pytest.mark.parametrize("count", [0, 2])
def test_a_query_has_one_question(count: int) -> None:
    query = DNSRecord(DNSHeader(id=7), questions=[DNSQuestion("web.default.svc.cluster.local")] * count)
    response = answered(query.pack())
    assert (response.header.id, response.header.rcode, response.rr) == (7, RCODE.FORMERR, [])


def test_a_query_with_answers_in_it_is_malformed() -> None:
    query = DNSRecord.question("a.b").replyZone("a.b 60 A 1.2.3.4")
    query.header.set_qr(0)
    assert answered(query.pack()).header.rcode == RCODE.FORMERR


HEADER = bytes.fromhex("0007 0100 0001 0000 0000 0000")
"""Of a query with one question: number 7, recursion desired."""
MALFORMED = {
    "no question behind the header": b"",
    "a name that does not end": b"\x03web",
    "a label that is longer than any": b"\x41" + b"x" * 65 + b"\x00\x00\x01\x00\x01",
    "a name that is longer than any": b"\x3fx".ljust(64, b"x") * 5 + b"\x00\x00\x01\x00\x01",
    "a name that points at itself": b"\xc0\x0c\x00\x01\x00\x01",
    "a name that points ahead": b"\xc0\xff\x00\x01\x00\x01",
    "a label that is no text": b"\x02\xff\xfe\x00\x00\x01\x00\x01",
}


@pytest.mark.parametrize("rest", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_query_is_malformed_with(rest: bytes) -> None:
    response = answered(HEADER + rest)
    assert (response.header.id, response.header.rcode) == (7, RCODE.FORMERR)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 11], ids=["nothing", "a word", "less than a header"])
def test_what_is_too_short_is_not_answered(data: bytes) -> None:
    assert exchange(data) is None


def test_a_response_is_not_answered_so_that_two_servers_never_talk_for_ever() -> None:
    assert exchange(answered(question("web.default.svc.cluster.local")).pack()) is None


def test_dots_inside_a_label_do_not_separate_labels() -> None:
    labels = b"\x0bweb.default" + b"\x03svc\x07cluster\x05local\x00" + b"\x00\x01\x00\x01"
    assert answered(HEADER + labels).header.rcode == RCODE.NXDOMAIN


@pytest.mark.parametrize(
    ("edns", "most"),
    [(None, 512), (0, 512), (700, 700), (4096, UDP_SIZE)],
    ids=["says nothing", "says less than every client takes", "says 700", "says more than fits one packet"],
)
def test_an_answer_over_udp_fits_a_client_that(edns: int | None, most: int) -> None:
    query = question("many.default.svc.cluster.local", edns=edns)
    response = answered(query)
    assert response.header.tc == 1
    assert most - 60 < len(response.pack()) <= most
    assert len(response.rr) < MANY
    assert (len(response.ar), response.header.rcode) == (0 if edns is None else 1, 0)


def test_all_of_an_answer_goes_over_tcp() -> None:
    response = answered(question("many.default.svc.cluster.local"), limit=TCP_SIZE)
    assert (response.header.tc, len({str(record.rdata) for record in response.rr})) == (0, MANY)


def test_addresses_to_spare_are_left_out_before_an_answer_is_cut() -> None:
    zone = zone_of(service("db", "None"), slice_of("db", *(f"10.244.0.{number}" for number in range(2, 9))))
    asked = ask(zone, "_http._tcp.db.default.svc.cluster.local", Kind.SRV)
    response = exchange(question("_http._tcp.db.default.svc.cluster.local", "SRV"), zone=zone)
    assert response is not None
    assert (len(asked.additional), response.ar) == (7, [])
    assert (len(response.rr), response.header.tc) == (7, 0)


def test_a_long_answer_over_tcp_names_every_endpoint_rightly() -> None:
    zone = zone_of(service("many", "None"), *thousand_endpoints())
    response = exchange(question("_http._tcp.many.default.svc.cluster.local", "SRV"), limit=TCP_SIZE, zone=zone)
    assert response is not None
    targets = {str(record.rdata.target) for record in response.rr}
    assert targets == {f"host-{number}.many.default.svc.cluster.local." for number in range(1000)}
    assert (response.header.tc, response.ar) == (0, [])


def thousand_endpoints() -> list[EndpointSlice]:
    endpoints = [
        {"addresses": [f"10.244.{number // 200}.{number % 200 + 2}"], "hostname": f"host-{number}"}
        for number in range(1000)
    ]
    return [slice_of("many", *endpoints[start : start + 100], name=f"many-{start}") for start in range(0, 1000, 100)]


def test_a_version_of_edns_that_nobody_knows_is_told_so() -> None:
    response = answered(question("web.default.svc.cluster.local", edns=1232, version=1))
    (opt,) = response.ar
    assert (response.header.rcode, opt.edns_rcode, opt.edns_ver, response.rr) == (0, Code.BADVERS >> 4, 0, [])


def test_an_external_name_that_no_dns_name_can_be_fails_alone() -> None:
    assert answered(question("too-long.default.svc.cluster.local")).header.rcode == RCODE.SERVFAIL
    assert answered(question("web.default.svc.cluster.local")).header.rcode == RCODE.NOERROR


def test_a_log_has_the_question_without_what_could_break_its_line() -> None:
    labels = b"\x05a\nb\x1b\x20\x00" + b"\x00\x41\x00\x01"
    query = read_query(HEADER + labels)
    assert query is not None
    assert query.described == "a\\010b\\027\\032. TYPE65"


@given(st.binary(max_size=300))
def test_no_bytes_do_any_harm(data: bytes) -> None:
    exchange(data)


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_no_bytes_behind_a_header_do_any_harm(name: bytes, rest: bytes) -> None:
    for additional in (b"\x00\x00", b"\x00\x01"):
        response = exchange(HEADER[:10] + additional + name + rest)
        assert response is not None
        assert response.header.rcode in (Code.NOERROR, Code.FORMERR, Code.NXDOMAIN, Code.REFUSED, Code.SERVFAIL)


LABELS = st.lists(
    st.sampled_from([b"web", b"many", b"default", b"svc", b"pod", b"cluster", b"local", b"_http", b"_tcp", b"in-addr"])
    | st.binary(min_size=1, max_size=63),
    max_size=8,
)


@given(LABELS, st.sampled_from([*Kind, HTTPS]))
def test_every_name_has_an_answer(labels: list[bytes], kind: int) -> None:
    name = b"".join(bytes([len(label)]) + label for label in (*labels, b"cluster", b"local")) + b"\x00"
    response = exchange(HEADER + name + kind.to_bytes(2, "big") + b"\x00\x01", limit=TCP_SIZE)
    assert response is not None
    assert response.header.rcode != Code.SERVFAIL
