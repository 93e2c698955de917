"""What is told of a packet from what was seen of it: its head, its direction, its order, its rules."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netlab.kernel.tracing.events import Kind, TraceEvent
from netlab.kernel.tracing.flow_match import FlowMatch, bpf, bpf_text, nft_conditions
from netlab.kernel.tracing.legacy_rules import told_by
from netlab.model.cluster import Destination
from netlab.model.journey import Way
from netlab.model.rules import Family
from netlab.model.targets import TargetProtocol
from netlab.probe.headers import Headers, read_headers
from netlab.probe.packets import Dialect, Tag
from netlab.probe.tracing.hops import hit
from netlab.probe.tracing.passings import Passing, Scene, passings
from netlab.probe.tracing.recognition import Recognition
from netlab.probe.tracing.stations import Station
from netlab.probe.tracing.visits import visits, without_silence
from netlab.probe.tracing.watch import Sighting

TOKEN = 0x1234ABCD
ADDRESSES = {Family.IPV4: ("10.244.0.3", "10.96.0.80"), Family.IPV6: ("fd00:244::3", "fd00:96::80")}
PROTOCOLS = (TargetProtocol.TCP, TargetProtocol.UDP, TargetProtocol.ICMP)
everywhere = pytest.mark.parametrize("family", Family)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def request(family: Family, protocol: TargetProtocol, *, token: int = TOKEN) -> bytes:
    """A probe's packet."""
    source, destination = map(ip_address, ADDRESSES[family])
    port = 0 if protocol is TargetProtocol.ICMP else 80
    return Dialect(source, Destination(destination, port, protocol)).request(Tag(41001, token))


def passes(program: bytes, packet: bytes) -> bool:
    """What the kernel makes of a classic BPF program with the instructions that are used here."""
    value = index = at = 0
    loads: dict[int, Callable[[int], int]] = {
        0x30: lambda k: packet[k],
        0x50: lambda k: packet[index + k],
        0x48: lambda k: int.from_bytes(packet[index + k : index + k + 2]),
        0x40: lambda k: int.from_bytes(packet[index + k : index + k + 4]),
    }
    while True:
        operation, true, false, constant = struct.unpack_from("HBBI", program, at * 8)
        at += 1
        if operation == 0x06:
            return bool(constant)
        if operation == 0x15:
            at += true if value == constant else false
        elif operation == 0x54:
            value &= constant
        elif operation == 0xB1:
            index = 4 * (packet[constant] & 0x0F)
        elif operation == 0x01:
            index = constant
        else:
            value = loads[operation](constant)


@everywhere
@each_protocol
def test_the_kernel_is_told_to_look_at_the_flow_and_at_no_other(family: Family, protocol: TargetProtocol) -> None:
    match = FlowMatch(family, protocol, TOKEN, (8080,))
    assert passes(bpf(match), request(family, protocol))
    assert not passes(bpf(match), request(family, protocol, token=TOKEN + 1))
    other = Family.IPV6 if family is Family.IPV4 else Family.IPV4
    assert not passes(bpf(match), request(other, protocol))


@everywhere
@each_protocol
def test_iptables_takes_the_same_program_and_no_longer_one_than_it_can(
    family: Family, protocol: TargetProtocol
) -> None:
    """XT_BPF_MAX_NUM_INSTR of <linux/netfilter/xt_bpf.h>."""
    match = FlowMatch(family, protocol, TOKEN, (53, 80, 8080, 5353))
    number, *lines = bpf_text(match).split(",")
    assert int(number) == len(lines) == len(bpf(match)) // 8 <= 64


def test_nftables_is_told_the_token_in_its_own_words() -> None:
    assert "@th,32,32 305441741" in nft_conditions(FlowMatch(Family.IPV4, TargetProtocol.TCP, TOKEN))[0]
    assert "udp sport { 53 }" in nft_conditions(FlowMatch(Family.IPV4, TargetProtocol.UDP, TOKEN, (53,)))[1]


@everywhere
@each_protocol
def test_a_packets_head_is_read(family: Family, protocol: TargetProtocol) -> None:
    headers = read_headers(request(family, protocol))
    assert headers
    assert (str(headers.source), str(headers.destination)) == ADDRESSES[family]
    if protocol is not TargetProtocol.ICMP:
        assert (headers.source_port, headers.destination_port) == (41001, 80)
    assert Recognition(FlowMatch(family, protocol, TOKEN)).way(headers) is Way.REQUEST


@everywhere
@pytest.mark.parametrize("protocol", [TargetProtocol.UDP, TargetProtocol.ICMP])
def test_so_much_of_a_packet_as_nftables_reports_shows_of_which_flow_it_is(
    family: Family, protocol: TargetProtocol
) -> None:
    """NFT_TRACETYPE_TRANSPORT_HSIZE of net/netfilter/nf_tables_trace.c."""
    network = 20 if family is Family.IPV4 else 40
    headers = read_headers(request(family, protocol)[: network + 20])
    assert headers
    assert headers.token == TOKEN


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x00" * 40, b"\x60" + bytes(20)])
def test_what_is_no_packet_is_none(data: bytes) -> None:
    assert read_headers(data) is None


def test_an_answer_is_told_by_what_it_acknowledges_wherever_it_comes_from() -> None:
    recognition = Recognition(FlowMatch(Family.IPV4, TargetProtocol.TCP, TOKEN))
    answer = Headers(ip_address("10.244.1.2"), ip_address("10.244.0.3"), 6, 8080, 41001, "S.", 7, TOKEN + 1)
    assert recognition.way(answer) is Way.REPLY
    assert recognition.way(replace(answer, acknowledged=TOKEN)) is None


def test_a_server_that_sends_the_token_back_answers() -> None:
    asked = read_headers(request(Family.IPV4, TargetProtocol.UDP))
    assert asked
    recognition = Recognition(FlowMatch(Family.IPV4, TargetProtocol.UDP, TOKEN))
    source, port, destination, to = asked.reversed_ends
    answer = replace(asked, source=source, source_port=port, destination=destination, destination_port=to)
    assert [recognition.way(each) for each in (asked, answer)] == [Way.REQUEST, Way.REPLY]


def test_an_error_is_an_answer_by_the_packet_that_it_quotes() -> None:
    asked = read_headers(request(Family.IPV4, TargetProtocol.TCP))
    assert asked
    error = Headers(ip_address("172.18.0.1"), asked.source, 1, flags="net unreachable", quoted=asked)
    recognition = Recognition(FlowMatch(Family.IPV4, TargetProtocol.TCP, TOKEN))
    assert recognition.way(error) is Way.REPLY
    assert recognition.way(replace(error, quoted=replace(asked, sequence=1))) is None


# --- rules


SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.80/32 -j DNAT --to-destination 10.244.0.2:8080
COMMIT
*filter
:FORWARD DROP [0:0]
COMMIT
"""


def event(
    chain: str, number: int, *, table: str = "nat", kind: Kind = Kind.RULE, hook: str = "PREROUTING"
) -> TraceEvent:
    packet = request(Family.IPV4, TargetProtocol.TCP)
    place = f"{table}/{hook}"
    return TraceEvent(table=table, chain=chain, kind=kind, number=number, packet=packet, mark=0, place=place, hook=hook)


def test_rules_are_told_by_their_numbers_and_a_chains_end_by_its_policy() -> None:
    met = [event("PREROUTING", 1), event("KUBE-SERVICES", 1), event("KUBE-SERVICES", 9)]
    met.append(event("FORWARD", 1, table="filter", kind=Kind.POLICY))
    assert [each.rule for each in told_by(SAVED, met)] == [
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-A KUBE-SERVICES -d 10.96.0.80/32 -j DNAT --to-destination 10.244.0.2:8080",
        "",
        "-P FORWARD DROP",
    ]


@pytest.mark.parametrize("kind", [Kind.POLICY, Kind.RETURN])
def test_what_the_kernel_calls_a_chains_end_may_be_a_rule_without_a_condition(kind: Kind) -> None:
    saved = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j LOG\n-A INPUT -j DROP\nCOMMIT\n"
    (met,) = told_by(saved, [event("INPUT", 2, table="filter", kind=kind)])
    assert (met.kind, met.rule) == (Kind.RULE, "-A INPUT -j DROP")


@pytest.mark.parametrize(
    ("rule", "comment", "probability"),
    [
        ('-A A -m comment --comment "to a Pod" -j B', "to a Pod", None),
        ("-A A -m comment --comment word -j B", "word", None),
        ("-A A -m statistic --mode random --probability 0.33333333349 -j B", None, 0.33333333349),
        ("numgen random mod 4 0 meta l4proto tcp dnat to 10.244.0.2:8080", None, 0.25),
        ("dnat ip to meta l4proto . th dport . numgen random mod 8 map @nodeport-endpoints-8", None, 0.125),
        ('ip daddr 10.0.0.1 counter drop comment "by hand"', "by hand", None),
    ],
)
def test_comment_and_chance_are_read_from_a_rules_text(
    rule: str, comment: str | None, probability: float | None
) -> None:
    found = hit(event("A", 1).told(rule))
    assert (found.comment, found.probability) == (comment, probability)


# --- order


def test_hooks_and_interfaces_are_put_into_the_order_of_the_packets_way() -> None:
    """Through a bridge that asks the rules: its port, PREROUTING, the bridge, FORWARD, the way out."""
    node = Scene(Station("lab.node1", "node/node1"), bridges=frozenset({"cni0"}), through_rules=True)
    headers = read_headers(request(Family.IPV4, TargetProtocol.TCP))
    assert headers
    seen = [
        Sighting("lab.node1", interface, outgoing, float(number), headers)
        for number, (interface, outgoing) in enumerate([("veth0", False), ("cni0", False), ("eth0", True)])
    ]
    told = [event("PREROUTING", 1), event("FORWARD", 1, table="filter", hook="FORWARD")]
    told.append(event("POSTROUTING", 1, hook="POSTROUTING"))
    found = passings(FlowMatch(Family.IPV4, TargetProtocol.TCP, TOKEN), [node], seen, {"lab.node1": told})
    assert [each.link or each.place for each in found] == [
        "veth0",
        "nat/PREROUTING",
        "cni0",
        "filter/FORWARD",
        "nat/POSTROUTING",
        "eth0",
    ]


def test_a_rule_whose_comment_speaks_of_masquerading_is_not_what_translated() -> None:
    """IPVS did, between OUTPUT and the way out, and no hook tells of it."""
    node = Scene(Station("lab.node1", "node/node1"), interfaces={1: "kube-ipvs0"})
    headers = read_headers(request(Family.IPV4, TargetProtocol.TCP))
    assert headers
    server = replace(headers, destination=ip_address("10.244.1.2"), destination_port=8080)
    rule = '-A OUTPUT -m comment --comment "for masquerade purpose" -j KUBE-MARK-MASQ'
    asked = replace(event("OUTPUT", 1, hook="OUTPUT"), rule=rule, priority=-100)
    (visit,) = visits(
        [
            Passing(scene=node, way=Way.REQUEST, headers=headers, place="nat/OUTPUT", hook="OUTPUT", events=(asked,)),
            Passing(scene=node, way=Way.REQUEST, headers=server, link="eth0", outgoing=True),
        ]
    )
    assert [(each.place or each.link, len(each.events)) for each in visit.passings] == [
        ("nat/OUTPUT", 1),
        ("nat/OUTPUT", 0),
        ("eth0", 0),
    ]


def test_a_hook_where_nothing_matched_still_says_what_a_translation_before_it_has_made_of_the_packet() -> None:
    node = Scene(Station("lab.node1", "node/node1"))
    answer = read_headers(request(Family.IPV4, TargetProtocol.TCP))
    assert answer
    back = replace(answer, destination=ip_address("172.18.0.2"), destination_port=51234)
    silent = replace(event("filter-input", 0, table="kube-proxy", kind=Kind.POLICY, hook="INPUT"), verdict="accept")
    early = replace(silent, chain="filter-prerouting-pre-dnat", hook="PREROUTING", priority=-110)
    (visit,) = visits(
        [
            Passing(scene=node, way=Way.REPLY, headers=answer, link="eth0"),
            Passing(scene=node, way=Way.REPLY, headers=answer, place="a", hook="PREROUTING", events=(early,)),
            Passing(scene=node, way=Way.REPLY, headers=back, place="b", hook="INPUT", events=(silent,)),
        ]
    )
    told = without_silence(visit).passings
    assert [(each.link or each.place, each.headers) for each in told] == [
        ("eth0", answer),
        ("nat/PREROUTING", answer),
        ("b", back),
    ]


@pytest.mark.parametrize("watched", [("node2", "client"), ("node2",)])
def test_what_a_bridge_sent_to_everybody_is_told_once(watched: tuple[str, ...]) -> None:
    wire = Scene(
        Station("lab.fabric", "fabric"),
        bridges=frozenset({"br0"}),
        peers={"node2": "lab.node2", "client": "lab.client"},
    )
    others = [Scene(Station(f"lab.{name}", name)) for name in watched]
    headers = read_headers(request(Family.IPV4, TargetProtocol.TCP))
    assert headers
    seen = [
        Sighting("lab.fabric", "client", True, 1.0, headers),
        Sighting("lab.client", "eth0", False, 2.0, headers, overheard=True),
        Sighting("lab.fabric", "node2", True, 3.0, headers),
        Sighting("lab.node2", "eth0", False, 4.0, headers),
    ]
    seen = [each for each in seen if each.where in {"lab.fabric", *(other.station.namespace for other in others)}]
    found = passings(FlowMatch(Family.IPV4, TargetProtocol.TCP, TOKEN), [wire, *others], seen, {})
    assert [(each.scene.station.at, each.link) for each in found] == [("fabric", "node2"), ("node2", "eth0")]
