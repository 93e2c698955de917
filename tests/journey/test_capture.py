"""`netlab capture`: a flow at every hop, in the order of its way, in files that other tools read."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from netlab_command import PREFIX, Caller, Lab, topology

from netlab.capture.pcapng import OUT, Interface, Packet, read

NAME = f"{PREFIX}-capture"


@pytest.fixture(scope="module")
def lab(user: Caller) -> Iterator[Lab]:
    """An ordinary user's: what works for them works for root."""
    with user.lab(NAME, topology("two-nodes", name=NAME)) as up:
        yield up


class Capture:
    """A capture that has begun."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        self.process = lab.caller.start("capture", "-l", lab.name, *arguments, **pipes)
        assert self.process.stderr
        self.announced = self.process.stderr.readline().decode()

    def end(self) -> tuple[int, bytes, str]:
        """Ctrl-C, or its own end: exit status, standard output, the rest of standard error."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err.decode()

    def interrupt(self) -> tuple[int, bytes, str]:
        self.process.send_signal(signal.SIGINT)
        return self.end()


def seen(data: bytes) -> tuple[list[str], list[Packet]]:
    """The names of the hops, and the packets."""
    found = list(read(io.BytesIO(data)))
    return [each.name for each in found if isinstance(each, Interface)], [f for f in found if isinstance(f, Packet)]


def test_a_flow_is_seen_at_every_hop_in_the_order_of_its_way(lab: Lab) -> None:
    capture = Capture(lab, "pod/shell", "node/node1", "fabric", "node/node2", "pod/web-2", "-w", "-", "tcp[13] = 2")
    assert capture.announced.startswith("capturing at pod/shell eth0, ")
    lab.verdicts("pod/shell", "pod/web-2:8080")
    status, data, said = capture.interrupt()
    hops, packets = seen(data)
    way = [(hops[packet.interface], "out" if packet.flags & 3 == OUT else "in") for packet in packets]
    shell = next(hop for hop in hops if hop.startswith("node/node1 veth") and (hop, "in") in way)
    port = next(hop for hop in hops if hop.startswith("node/node2 veth") and (hop, "out") in way)
    expected = [
        ("pod/shell eth0", "out"),
        (shell, "in"),
        ("node/node1 cni0", "in"),
        ("node/node1 eth0", "out"),
        ("fabric node1", "in"),
        ("fabric node2", "out"),
        ("node/node2 eth0", "in"),
        ("node/node2 cni0", "out"),
        (port, "out"),
        ("pod/web-2 eth0", "in"),
    ]
    assert [hop for hop in way if hop in expected] == expected
    assert [packet.nanoseconds for packet in packets] == sorted(packet.nanoseconds for packet in packets)
    assert (status, said) == (0, f"{len(packets)} packets captured, 0 dropped by the kernel\n")
    assert "pod/web-1 eth0" not in hops


def test_a_translated_address_is_seen_before_and_after_and_what_the_filter_excludes_is_not(lab: Lab) -> None:
    capture = Capture(lab, "pod/shell", "-w", "-", "--count", "2", "tcp[13] & 2 != 0 and host 10.96.0.80")
    lab.verdicts("pod/shell", "pod/web-2:8080")
    lab.verdicts("pod/shell", "service/web:80")
    status, data, _ = capture.end()
    _, packets = seen(data)
    addresses = [(packet.data[26:30], packet.data[30:34]) for packet in packets]
    service, pod = bytes((10, 96, 0, 80)), addresses[0][0]
    assert (status, addresses) == (0, [(pod, service), (service, pod)])


def test_lines_name_the_hop_in_front(lab: Lab) -> None:
    capture = Capture(lab, "shell", "node/node1:eth0", "--count", "2", "icmp")
    lab.verdicts("pod/shell", "pod/web-2/icmp")
    status, out, _ = capture.end()
    first, second = out.decode().splitlines()
    assert status == 0
    assert re.fullmatch(r"\S+ pod/shell eth0  Out IP 10\.244\.0\.\d+ > 10\.244\.1\.\d+: ICMP echo request, .*", first)
    assert re.fullmatch(r"\S+ node/node1 eth0 Out IP 10\.244\.0\.\d+ > 10\.244\.1\.\d+: ICMP echo request, .*", second)


def test_programs_get_a_document_a_line_with_the_hop_in_parts(lab: Lab) -> None:
    capture = Capture(lab, "pod/shell", "fabric:node2", "--count", "3", "-o", "json", "icmp")
    lab.verdicts("pod/shell", "pod/web-2/icmp")
    status, out, said = capture.end()
    documents = [json.loads(line) for line in out.decode().splitlines()]
    assert (status, said) == (0, "3 packets captured, 0 dropped by the kernel\n")
    assert [(each["place"], each["interface"], each["direction"]) for each in documents] == [
        ("pod/shell", "eth0", "out"),
        ("fabric", "node2", "out"),
        ("fabric", "node2", "in"),
    ]
    asked, _, answered = [each["packet"] for each in documents]
    assert re.fullmatch(r"IP 10\.244\.0\.\d+ > 10\.244\.1\.\d+: ICMP echo request, .*", asked)
    assert re.fullmatch(r"IP 10\.244\.1\.\d+ > 10\.244\.0\.\d+: ICMP echo reply, .*", answered)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", documents[0]["time"])


def test_programs_get_yaml_documents_too(lab: Lab) -> None:
    capture = Capture(lab, "pod/shell", "--count", "2", "-o", "yaml", "icmp")
    lab.verdicts("pod/shell", "pod/web-2/icmp")
    documents = list(yaml.safe_load_all(capture.end()[1]))
    assert [(each["place"], each["direction"]) for each in documents] == [("pod/shell", "out"), ("pod/shell", "in")]


def test_beside_a_file_programs_get_the_counts(lab: Lab) -> None:
    path = lab.caller.home / "counted.pcapng"
    capture = Capture(lab, "pod/shell:eth0", "-w", str(path), "--count", "2", "-o", "json", "icmp")
    lab.verdicts("pod/shell", "pod/web-2/icmp")
    status, out, _ = capture.end()
    document = json.loads(out)
    (at,) = document.pop("at")
    assert (status, document) == (
        0,
        {"apiVersion": "netlab/v1", "kind": "Capture", "file": str(path), "packets": 2, "dropped": 0},
    )
    assert (at["interface"], at["packets"] >= 2, at["dropped"]) == ("pod/shell eth0", True, 0)
    assert len(seen(path.read_bytes())[1]) == 2


def test_it_pipes_into_tcpdump(lab: Lab) -> None:
    if not shutil.which("tcpdump", path="/usr/bin:/usr/sbin"):
        pytest.skip("needs tcpdump: scripts/install brings it")
    capture = Capture(lab, "pod/shell", "node/node1", "-w", "-", "--count", "3", "udp")
    lab.verdicts("pod/shell", "pod/web-1:9/udp")
    _, data, _ = capture.end()
    command = ["tcpdump", "-n", "-r", "-"]
    shown = subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().splitlines()
    assert len(shown) == 3
    assert all(re.search(r"IP 10\.244\.0\.\d+\.\d+ > 10\.244\.0\.\d+\.9: UDP", packet) for packet in shown)


def test_seconds_end_it_and_nothing_that_passed_is_no_packet(lab: Lab) -> None:
    path = lab.caller.home / "none.pcapng"
    capture = Capture(lab, "external/client", "-w", str(path), "--seconds", "0.2", "tcp port 1")
    assert capture.end() == (0, b"", "0 packets captured, 0 dropped by the kernel\n")
    hops, packets = seen(path.read_bytes())
    assert (hops, packets) == (["external/client eth0", "external/client lo"], [])


def test_all_is_the_whole_lab(lab: Lab) -> None:
    hops, _ = seen(Capture(lab, "all", "-w", "-", "--seconds", "0.1").end()[1])
    places = {hop.rpartition(" ")[0] for hop in hops}
    assert places >= {"pod/shell", "pod/web-1", "pod/web-2", "node/node1", "node/node2", "external/client", "fabric"}


def test_a_reader_that_goes_away_ends_it_without_a_word(lab: Lab) -> None:
    capture = Capture(lab, "pod/shell", "-w", "-")
    assert capture.process.stdout
    capture.process.stdout.close()
    lab.verdicts("pod/shell", "pod/web-2:8080")
    capture.process.wait(timeout=30)
    assert (capture.process.returncode, capture.process.stderr and capture.process.stderr.read()) == (141, b"")
    capture.process.stderr.close()


def test_a_caller_that_is_killed_leaves_no_capture_behind(lab: Lab) -> None:
    before = lab.processes()
    capture = Capture(lab, "pod/shell", "-w", "/dev/null")
    capture.process.kill()
    capture.end()
    lab.verdicts("pod/shell", "pod/web-2:8080")
    assert lab.processes().keys() == before.keys()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("pod/shell", "tcp prt 80"), 2, "'tcp prt 80' is no filter"),
        (("pod/nobody",), 4, "pod/nobody"),
        (("pod/shell:eth7",), 4, "pod/shell has no interface eth7: it has lo, eth0"),
        (("machine/shell",), 2, "is not a place"),
        (("pod/shell", "-w", "/no/such/folder/file"), 1, "/no/such/folder/file"),
        (("pod/shell", "--count", "0"), 2, "--count"),
        (("pod/shell", "-w", "-", "-o", "json"), 2, "-w - leaves no room for -o json"),
    ],
)
def test_what_cannot_be_captured_is_said(lab: Lab, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = lab.run("capture", *arguments)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
