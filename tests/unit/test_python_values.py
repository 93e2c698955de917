"""Labs from Python, where no lab is needed: what is given, what comes back, how a failed test is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.capture.pcapng import Interface, Packet, interface_block, packet_block, section
from netlab.errors import InvalidInput
from netlab.model.journey import Flow, PacketVerdict, ProbeResult, ProbeSummary, Translation
from netlab.model.modes import ProxyMode
from netlab.python import Executed, HttpAnswer, Probe
from netlab.python.explaining import explain_now, forget_doubts, last_doubted
from netlab.python.sources import in_mode, lab_file, manifest, named
from netlab.testing.failures import folder_name
from netlab.testing.packets import Captured, read, write_of_place
from netlab.testing.report import Page, page

TEXT = """
apiVersion: netlab/v1
kind: Topology
metadata: {name: small}
spec: {nodes: [{name: n1, proxyMode: userspace}]}
"""
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}


def probe(verdicts: dict[PacketVerdict, int], pods: dict[str, int]) -> Probe:
    flows = tuple(Flow(verdict=verdict) for verdict, count in verdicts.items() for _ in range(count))
    summary = ProbeSummary(verdicts=verdicts, pods=pods)
    result = ProbeResult(from_="pod/shell", to="service/web:80", flows=flows, summary=summary)
    return Probe(result, lambda: "its journey\n")


# --- what is given


def test_a_lab_is_given_as_a_file_as_a_text_or_as_objects(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(TEXT)
    assert lab_file(file) == lab_file(str(file)) == lab_file(TEXT)
    assert [each.name for each in lab_file([SERVICE]).topology.spec.nodes] == ["node1", "node2"]
    assert lab_file(SERVICE).objects[0].metadata.name == "web"


def test_mistakes_are_told_with_their_places() -> None:
    with pytest.raises(InvalidInput, match=r"<text>:5:8: spec\.node: "):
        lab_file(TEXT.replace("nodes", "node"))
    with pytest.raises(InvalidInput, match="there is no such file"):
        lab_file("no-such-file.yaml")
    with pytest.raises(InvalidInput, match="is no proxy mode"):
        in_mode(lab_file(TEXT), "iptable")
    with pytest.raises(InvalidInput, match="is no lab's name"):
        named(lab_file(TEXT), "A Lab")


def test_objects_without_a_namespace_come_into_the_one_that_is_named() -> None:
    (service,) = manifest(SERVICE, namespace="shop")
    assert service.metadata.namespace == "shop"


def test_a_lab_without_a_name_gets_one_that_no_other_has() -> None:
    names = {named(lab_file(TEXT), None).topology.metadata.name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("small-") for name in names)
    assert named(lab_file(TEXT), "mine").topology.metadata.name == "mine"


def test_a_mode_is_every_nodes() -> None:
    spec = in_mode(lab_file(TEXT), "nftables").topology.spec
    assert spec.proxy_modes == {ProxyMode.NFTABLES}
    assert in_mode(lab_file(TEXT), None).topology.spec.proxy_modes == {ProxyMode.USERSPACE}


# --- what comes back


def test_a_probe_is_true_where_all_packets_reached_and_says_how_the_others_fared() -> None:
    good = probe({PacketVerdict.REACHED: 3}, {"web-1": 2, "web-2": 1})
    mixed = probe({PacketVerdict.REACHED: 1, PacketVerdict.DROPPED: 1}, {"web-1": 1})
    refused = probe({PacketVerdict.REFUSED: 1}, {})
    assert (bool(good), good.reached, good.dropped) == (True, True, False)
    assert (bool(mixed), mixed.reached, mixed.dropped, mixed.verdicts) == (
        False, False, False, {"reached": 1, "dropped": 1},
    )  # fmt: skip
    assert (refused.refused, refused.unreachable, refused.pods) == (True, False, {})
    assert repr(mixed) == "<pod/shell -> service/web:80: 1 reached, 1 dropped (web-1 1)>"


def test_what_was_expected_and_is_not_so_is_told_with_the_journey() -> None:
    good = probe({PacketVerdict.REACHED: 2}, {"web-1": 2})
    assert good.expect(pods={"web-1"}) is good
    with pytest.raises(AssertionError, match=r"expected pod/shell -> service/web:80: dropped\n(.|\n)*its journey"):
        good.expect("dropped")
    with pytest.raises(AssertionError, match="reached by web-1, web-2"):
        good.expect(pods={"web-1", "web-2"})


def test_the_probe_that_was_asked_last_explains_itself_once() -> None:
    told: list[int] = []
    one = Probe(probe({PacketVerdict.DROPPED: 1}, {}).result, lambda: told.append(1) or f"journey {len(told)}")
    forget_doubts()
    assert last_doubted() is None
    assert not one
    assert last_doubted() is one
    explain_now()
    assert one.explain() == one.explain()
    assert told == [1]
    forget_doubts()


def test_a_probes_packets_are_listed_with_what_they_became() -> None:
    became = Translation(from_="10.96.0.80:80", to="10.244.0.3:8080")
    flow = Flow(verdict=PacketVerdict.REACHED, pod="web-1", source_seen="10.244.0.2", translated=became)
    summary = ProbeSummary(verdicts={PacketVerdict.REACHED: 7}, pods={"web-1": 7})
    result = ProbeResult(from_="pod/shell", to="service/web:80", flows=(flow,) * 7, summary=summary)
    lines = Probe(result).explain().splitlines()
    assert lines[1] == "  reached by web-1, which saw 10.244.0.2; 10.96.0.80:80 became 10.244.0.3:8080"
    assert lines[-1] == "  and 2 more"


def test_an_http_answer_is_true_for_success_and_says_why_there_is_none() -> None:
    good = HttpAnswer.read(
        '{"url": "http://web/", "status": 200, "headers": {}, "body": "eyJhIjogMX0=", "seconds": 0.1}'
    )
    failed = HttpAnswer.read('{"url": "http://web/", "error": "timed out", "body": "", "seconds": 3.0}')
    assert (bool(good), good.text, good.json()) == (True, '{"a": 1}', {"a": 1})
    assert (bool(failed), failed.status, repr(failed)) == (False, 0, "<http://web/: timed out>")
    assert not HttpAnswer("http://web/", status=404)


def test_a_command_is_true_where_its_exit_status_is_0() -> None:
    good, bad = Executed(("ip", "a"), "pod/x", 0, "lo\n", ""), Executed(("ip", "b"), "pod/x", 1, "", "no such\nobject")
    assert (bool(good), str(good), bool(bad)) == (True, "lo", False)
    assert repr(bad) == "<pod/x: ip b: exit 1: no such object>"


# --- a failed test


def frame(last: int) -> bytes:
    """An ARP request of 10.0.0.`last`."""
    arp = bytes.fromhex("0001080006040001") + bytes(6) + bytes((10, 0, 0, last)) + bytes(6) + bytes((10, 0, 0, 9))
    return bytes(12) + bytes.fromhex("0806") + arp


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Three interfaces of two places, a packet at each."""
    names = ("pod/web-1 eth0", "node/n1 veth1", "node/n1 lo")
    blocks = [section(comment="lab")]
    blocks += [interface_block(Interface(name), snap_length=100) for name in names]
    blocks += [
        packet_block(Packet(number, 5_000_000 * (number + 1), frame(number), len(frame(number)), 1 + number % 2))
        for number in range(3)
    ]
    file = tmp_path / "all.pcapng"
    file.write_bytes(b"".join(blocks))
    return file


def test_a_capture_is_told_by_place_and_time_without_loopbacks(capture: Path) -> None:
    sights = list(read(capture).sights())
    assert [(each.milliseconds, each.place, each.incoming) for each in sights] == [
        (0.0, "pod/web-1", True),
        (5.0, "node/n1", False),
    ]
    assert sights[0].text == "ARP, Request who-has 10.0.0.9 tell 10.0.0.0"


def test_the_packets_of_one_place_are_a_file_of_their_own(capture: Path, tmp_path: Path) -> None:
    write_of_place(read(capture), "node/n1", tmp_path / "n1.pcapng")
    found = read(tmp_path / "n1.pcapng")
    assert [each.name for each in found.interfaces] == ["node/n1 veth1", "node/n1 lo"]
    assert [packet.interface for packet in found.packets] == [0, 1]


def test_a_capture_that_is_cut_off_is_read_as_far_as_it_goes(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-10])
    assert len(read(capture).packets) == 2


def shown(captured: Captured | None) -> str:
    return page(
        Page(
            title="test_a <b>",
            lab="small",
            failure="assert x & y",
            story="its <journey>",
            drawing="<svg></svg>",
            captured=captured,
            nodes={"n1": {"rules.txt": "-A <x>"}},
            pods={"web-1": "log"},
        )
    )


def test_the_page_of_a_failed_test_needs_no_other_file_and_hides_nothing_as_markup(capture: Path) -> None:
    text = shown(read(capture))
    for part in ("assert x &amp; y", "its &lt;journey&gt;", "<svg></svg>", "-A &lt;x&gt;", "test_a &lt;b&gt;"):
        assert part in text
    assert text.count("<circle") == 2
    assert "src=" not in text
    assert "href=" not in text


def test_the_page_says_where_no_packets_were_recorded() -> None:
    assert "None were recorded." in shown(None)


def test_a_tests_folder_is_called_like_the_test() -> None:
    assert folder_name("tests/a/test_x.py::test_y[ip-1]") == "tests.a.test_x.test_y_ip-1"
