"""A stamped packet is the packet that Scapy would have built, and answers are recognised for what they are."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from netlab.errors import NetlabError
from netlab.model.cluster import Destination
from netlab.model.journey import PacketVerdict
from netlab.model.targets import TargetProtocol
from netlab.probe.packets import Answer, Arrival, Dialect, Tag

ADDRESSES = {4: ("10.244.0.2", "10.96.0.10"), 6: ("fd00::2", "fd00:96::10")}
KINDS = [
    (version, protocol)
    for version in (4, 6)
    for protocol in (TargetProtocol.TCP, TargetProtocol.UDP, TargetProtocol.ICMP)
]
TAG = Tag(port=40000, token=0xFFFFFFFF)


def dialect(version: int, protocol: TargetProtocol) -> Dialect:
    source, destination = (ip_address(text) for text in ADDRESSES[version])
    return Dialect(source, Destination(destination, 0 if protocol is TargetProtocol.ICMP else 80, protocol))


def network(version: int, *, back: bool = False) -> Packet:
    source, destination = ADDRESSES[version][:: -1 if back else 1]
    return IP(src=source, dst=destination, flags="DF") if version == 4 else IPv6(src=source, dst=destination)


def built_by_scapy(version: int, protocol: TargetProtocol, tag: Tag) -> bytes:
    payload = Raw(b"nlab%08x" % tag.token)
    if protocol is TargetProtocol.TCP:
        segment = [("MSS", 1460 if version == 4 else 1440)]
        return bytes(network(version) / TCP(sport=tag.port, dport=80, flags="S", seq=tag.token, options=segment))
    if protocol is TargetProtocol.UDP:
        return bytes(network(version) / UDP(sport=tag.port, dport=80) / payload)
    echo = ICMP(id=tag.port, seq=1) if version == 4 else ICMPv6EchoRequest(id=tag.port, seq=1)
    return bytes(network(version) / echo / payload)


@pytest.mark.parametrize(("version", "protocol"), KINDS, ids=str)
@settings(max_examples=40)
@given(port=st.integers(1, 65535), token=st.integers(0, 2**32 - 1))
def test_a_request_is_the_packet_that_scapy_builds(
    version: int, protocol: TargetProtocol, port: int, token: int
) -> None:
    tag = Tag(port, token)
    assert dialect(version, protocol).request(tag) == built_by_scapy(version, protocol, tag)


@pytest.mark.parametrize(("version", "protocol"), KINDS, ids=str)
def test_a_request_is_recognised_where_it_arrives_whatever_was_translated(
    version: int, protocol: TargetProtocol
) -> None:
    speaks = dialect(version, protocol)
    packet = network(version).__class__(speaks.request(TAG))
    packet.src, packet.dst = ADDRESSES[version][1], ADDRESSES[version][0]
    if protocol is not TargetProtocol.ICMP:
        packet.payload.sport, packet.payload.dport = 1234, 8080
    source, destination = packet.src, packet.dst
    port = 0 if protocol is TargetProtocol.ICMP else 8080
    assert speaks.arrival(bytes(packet)) == Arrival(TAG.token, ip_address(source), ip_address(destination), port)


def received(version: int, packet: Packet) -> bytes:
    """What a raw socket gives: with the IP header in IPv4, without it in IPv6."""
    return bytes(packet) if version == 4 else bytes(packet.payload)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("flags", "acknowledged", "port", "answer"),
    [
        ("SA", 0, 80, Answer(40000, TAG.token, PacketVerdict.REACHED)),
        ("RA", 0, 80, Answer(40000, TAG.token, PacketVerdict.REFUSED)),
        ("SA", 1, 80, Answer(40000, 0, PacketVerdict.REACHED)),
        ("A", 0, 80, None),
        ("SA", 0, 81, None),
    ],
    ids=["SYN/ACK", "RST", "SYN/ACK of another packet", "a mere ACK", "SYN/ACK from another port"],
)
def test_a_tcp_answer_tells_which_packet_it_answers(
    version: int, flags: str, acknowledged: int, port: int, answer: Answer | None
) -> None:
    tcp = TCP(sport=port, dport=TAG.port, flags=flags, ack=acknowledged)
    assert dialect(version, TargetProtocol.TCP).answer(received(version, network(version, back=True) / tcp)) == answer


@pytest.mark.parametrize("version", [4, 6])
def test_a_ping_is_answered_by_an_echo_reply_with_its_token_alone(version: int) -> None:
    speaks = dialect(version, TargetProtocol.ICMP)
    kinds = (
        (ICMP(type=0, id=TAG.port), ICMP(type=8, id=TAG.port))
        if version == 4
        else (
            ICMPv6EchoReply(id=TAG.port),
            ICMPv6EchoRequest(id=TAG.port),
        )
    )
    answers = [
        speaks.answer(received(version, network(version, back=True) / kind / Raw(payload)))
        for kind in kinds
        for payload in (b"nlabffffffff", b"somebody else's", b"nlabfffffffg")
    ]
    assert answers == [Answer(TAG.port, TAG.token, PacketVerdict.REACHED), *[None] * 5]


ERRORS = {
    (4, "port unreachable"): (ICMP(type=3, code=3), PacketVerdict.REFUSED),
    (4, "net unreachable"): (ICMP(type=3, code=0), PacketVerdict.UNREACHABLE),
    (4, "host unreachable"): (ICMP(type=3, code=1), PacketVerdict.UNREACHABLE),
    (4, "time exceeded"): (ICMP(type=11, code=0), PacketVerdict.UNREACHABLE),
    (4, "redirect"): (ICMP(type=5, code=1), None),
    (6, "port unreachable"): (ICMPv6DestUnreach(code=4), PacketVerdict.REFUSED),
    (6, "no route"): (ICMPv6DestUnreach(code=0), PacketVerdict.UNREACHABLE),
    (6, "address unreachable"): (ICMPv6DestUnreach(code=3), PacketVerdict.UNREACHABLE),
}


@pytest.mark.parametrize("protocol", [TargetProtocol.TCP, TargetProtocol.UDP, TargetProtocol.ICMP])
@pytest.mark.parametrize(("version", "message"), ERRORS.keys(), ids=str)
def test_an_icmp_error_ends_the_flow_that_it_quotes(version: int, message: str, protocol: TargetProtocol) -> None:
    speaks = dialect(version, protocol)
    error, verdict = ERRORS[version, message]
    packet = network(version, back=True) / error / speaks.request(TAG)
    answer = speaks.error(received(version, packet))
    assert (answer and (answer.port, answer.verdict)) == (verdict and (TAG.port, verdict))


@pytest.mark.parametrize("version", [4, 6])
def test_an_icmp_error_that_quotes_somebody_elses_packet_is_none_of_ours(version: int) -> None:
    speaks = dialect(version, TargetProtocol.TCP)
    error, _ = ERRORS[version, "port unreachable"]
    others = network(version, back=True) / TCP(sport=TAG.port, dport=80, seq=TAG.token)
    assert speaks.error(received(version, network(version, back=True) / error / others)) is None
    assert speaks.error(received(version, network(version, back=True) / error)) is None


@settings(max_examples=30)
@given(data=st.binary(min_size=1, max_size=60))
@pytest.mark.parametrize(("version", "protocol"), KINDS, ids=str)
def test_whatever_comes_in_is_read_without_an_error(version: int, protocol: TargetProtocol, data: bytes) -> None:
    speaks = dialect(version, protocol)
    for packet in (data, speaks.request(TAG)[: len(data)], speaks.request(TAG)[: len(data) % 24] + data):
        for read in (speaks.answer, speaks.error, speaks.arrival):
            found = read(packet)
            assert found is None or isinstance(found, Answer | Arrival)


def test_a_flow_whose_answer_got_lost_is_ended_by_a_reset_of_its_own_connection() -> None:
    farewell = dialect(4, TargetProtocol.TCP).farewell(TAG)
    assert farewell is not None
    reset = IP(farewell)[TCP]
    assert (reset.sport, reset.dport, reset.flags, reset.seq) == (TAG.port, 80, "R", 0)
    assert dialect(4, TargetProtocol.UDP).farewell(TAG) is None


def test_sctp_is_refused_in_words() -> None:
    with pytest.raises(NetlabError, match="probes speak TCP, UDP and ICMP"):
        dialect(4, TargetProtocol.SCTP)
