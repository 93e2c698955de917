"""Captures as files: what is written is read again, by netlab, by Scapy and by Wireshark's own program."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.utils import RawPcapNgReader

from netlab.capture.lines import CUT, line, told
from netlab.capture.pcapng import (
    Interface,
    Packet,
    direction,
    interface_block,
    packet_block,
    read,
    section,
    statistics_block,
)
from netlab.capture.spots import Spot, is_spot
from netlab.errors import InvalidInput
from netlab.kernel.packet_filter import INSTRUCTION_BYTES, compile_filter
from netlab.model.names import Place

MOMENT = 1_795_856_587_389_867_562
HOPS = (Interface("pod/shell eth0", "cable to node/node1"), Interface("node/node1 cni0"))
SYN = bytes(Ether(dst="02:00:00:00:00:02") / IP(src="10.244.0.3", dst="10.96.0.80") / TCP(sport=40000, dport=80, seq=7))
PACKETS = tuple(
    Packet(number % 2, MOMENT + number, SYN + b"x" * number, len(SYN) + number, direction(outgoing=number > 2, kind=0))
    for number in range(5)
)


def file() -> bytes:
    head = [section(comment="a lab"), *(interface_block(hop, snap_length=262144, expression="tcp") for hop in HOPS)]
    tail = statistics_block(1, nanoseconds=MOMENT, received=9, dropped=2)
    return b"".join([*head, *map(packet_block, PACKETS), tail])


def test_what_was_written_is_read_again() -> None:
    assert tuple(read(io.BytesIO(file()))) == (*HOPS, *PACKETS)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_file_that_is_cut_off_says_so(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        tuple(read(io.BytesIO(file()[:-cut])))


def test_scapy_reads_the_packets_their_times_and_hops(tmp_path: Path) -> None:
    path = tmp_path / "lab.pcapng"
    path.write_bytes(file())
    with RawPcapNgReader(str(path)) as reader:
        found = list(reader)
    assert [data for data, _ in found] == [packet.data for packet in PACKETS]
    assert [about.ifname for _, about in found] == [HOPS[packet.interface].name.encode() for packet in PACKETS]
    assert [(about.tshigh << 32) + about.tslow for _, about in found] == [packet.nanoseconds for packet in PACKETS]


def test_wireshark_reads_hop_direction_and_counts(tmp_path: Path) -> None:
    if not shutil.which("tshark"):
        pytest.skip("needs tshark: scripts/install --test brings it")
    path = tmp_path / "lab.pcapng"
    path.write_bytes(file())
    fields = ("frame.time_epoch", "frame.interface_name", "frame.interface_description", "frame.packet_flags_direction")
    options = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *options]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[0].split("\t") == ["1795856587.389867562", HOPS[0].name, HOPS[0].description, "0x00000001"]
    assert shown[3].split("\t") == ["1795856587.389867565", HOPS[1].name, "", "0x00000002"]
    assert len(shown) == len(PACKETS)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (SYN, "IP 10.244.0.3.40000 > 10.96.0.80.80: Flags [S], seq 7, win 8192, length 0"),
        (
            bytes(
                Ether() / IP(src="1.2.3.4", dst="5.6.7.8") / TCP(flags="PA", sport=1, dport=2, seq=3, ack=4) / b"hey"
            ),
            "IP 1.2.3.4.1 > 5.6.7.8.2: Flags [P.], seq 3, ack 4, win 8192, length 3",
        ),
        (
            bytes(Ether() / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=53, dport=5353) / b"four"),
            "IP6 fd00::1.53 > fd00::2.5353: UDP, length 4",
        ),
        (
            bytes(Ether() / IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(type=3, code=3) / b"12345678"),
            "IP 1.2.3.4 > 5.6.7.8: ICMP port unreachable, length 16",
        ),
        (
            bytes(Ether() / IP(src="1.2.3.4", dst="5.6.7.8") / ICMP(id=5, seq=6)),
            "IP 1.2.3.4 > 5.6.7.8: ICMP echo request, id 5, seq 6, length 8",
        ),
        (
            bytes(Ether() / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_NS(tgt="fe80::2")),
            "IP6 fe80::1 > ff02::1: ICMP6 neighbor solicitation, length 24",
        ),
        (
            bytes(Ether(type=0x0806) / ARP(psrc="10.0.0.1", pdst="10.0.0.2")),
            "ARP, Request who-has 10.0.0.2 tell 10.0.0.1",
        ),
        (
            bytes(Ether() / IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=9, dport=4789) / VXLAN(vni=1) / SYN),
            "IP 1.2.3.4.9 > 5.6.7.8.4789: VXLAN, vni 1: "
            "IP 10.244.0.3.40000 > 10.96.0.80.80: Flags [S], seq 7, win 8192, length 0",
        ),
        (SYN[:40], CUT),
        (SYN[:15], CUT),
        (bytes(Ether(type=0x88CC) / b"lldp"), "ethertype 0x88cc, length 18"),
    ],
)
def test_a_packet_is_told_in_tcpdumps_words(packet: bytes, words: str) -> None:
    assert told(packet) == words


def test_a_line_begins_with_time_hop_and_direction() -> None:
    assert line(PACKETS[3], hop="pod/web-1 eth0").startswith(tuple("012"))
    assert ".389867565 pod/web-1 eth0 Out IP 10.244.0.3.40000 > " in line(PACKETS[3], hop="pod/web-1 eth0")
    assert ".389867562 pod/web-1 eth0 In  IP 10.244.0.3.40000 > " in line(PACKETS[0], hop="pod/web-1 eth0")


def test_where_to_listen_is_read() -> None:
    assert Spot.parse("node/node1:eth0") == Spot(Place.parse("node/node1"), "eth0")
    assert Spot.parse("pod/kube-system/dns") == Spot(Place.parse("pod/kube-system/dns"))
    assert Spot.parse("fabric:br0") == Spot(None, "br0")
    assert str(Spot.parse("fabric:br0")) == "fabric:br0"
    for wrong in ("node/node1:", "machine/x", "pod/"):
        with pytest.raises(ValueError, match="write"):
            Spot.parse(wrong)


def test_what_is_no_place_begins_the_filter() -> None:
    assert all(map(is_spot, ("pod/web-1", "node/n:eth0", "fabric", "fabric:br0", "all")))
    assert not any(map(is_spot, ("tcp", "port", "net", "10.0.0.0/8", "ether[6:2]==1", "fabrics")))


def test_a_filter_becomes_a_program_and_a_bad_one_an_error_in_libpcaps_words() -> None:
    assert compile_filter("") == b""
    program = compile_filter("tcp port 80")
    assert program
    assert len(program) % INSTRUCTION_BYTES == 0
    with pytest.raises(InvalidInput, match=r"'tcp prt 80' is no filter: .*syntax error"):
        compile_filter("tcp prt 80")
