"""`netlab trace --predict` as a person types it: no lab, no root; a page, a document or a diagram."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from netlab.cli.main import run
from netlab.model.journey import Journey

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
NETLAB = Path(sys.executable).with_name("netlab")
CROSS_NODE = ("pod/shell", "service/web:80", "two-nodes", "--by", "web-2")
LINES = {
    "participant": re.compile(r"    participant p\d+ as \S.*"),
    "message": re.compile(r"    (p\d+)(->>|-->>|-x)(p\d+): \S.*"),
    "note": re.compile(r"    Note over (p\d+): \S.*"),
    "title": re.compile(r"    title \S.*"),
}
"""What the diagram may be made of (mermaid.js.org, sequence diagrams)."""
ESCAPED = re.compile(r"#\d+;")


def typed(capsys: pytest.CaptureFixture[str], from_: str, to: str, file: str, *options: str) -> tuple[int, str]:
    status = run(["trace", from_, to, "--predict", "-f", str(TOPOLOGIES / f"{file}.yaml"), *options])
    return status, capsys.readouterr().out


def test_a_page_has_every_place_in_the_order_of_the_packet_and_marks_what_changed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out = typed(capsys, *CROSS_NODE)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "pod/shell -> service/web:80: reached, Pod web-2, one of 2 endpoints (foretold)"
    request = out[out.index("request") : out.index("reply")]
    places = [line.strip() for line in request.splitlines() if re.fullmatch(r"  \S+", line)]
    assert places == ["pod/shell", "node/node1", "fabric", "node/node2", "pod/web-2"]
    assert "    nat/PREROUTING              10.244.0.3 > 10.244.1.2:8080  * dst, dport" in lines
    assert "      KUBE-SEP-PXJ2U7QYT2QW5545 default/web: DNAT --to-destination 10.244.1.2:8080" in lines
    assert lines[-2:] == ["or, by another endpoint", "  reached  web-1  10.244.0.2:8080"]


@pytest.mark.parametrize(
    ("from_", "to", "file"),
    [
        ("pod/shell", "service/web:80", "two-nodes"),
        ("external/client", "node/node1:30080", "nodeport"),
        ("pod/web-1", "service/web:80", "nftables"),
        ("pod/client", "service/empty:80", "no-endpoints"),
        ("pod/client", "service/echo:7/udp", "three-nodes-vxlan"),
        ("pod/shell", "service/web:80/udp", "userspace"),
        ("pod/client", "[fd00:10:96::80]:80", "dual-stack"),
        ("external/client", "node/node2:30082", "ipvs"),
    ],
)
def test_a_page_fits_100_columns_and_has_no_colour_in_a_pipe(
    capsys: pytest.CaptureFixture[str], from_: str, to: str, file: str
) -> None:
    _, out = typed(capsys, from_, to, file)
    assert [line for line in out.splitlines() if len(line) > 100 or line != line.rstrip()] == []
    assert "\x1b" not in out


def test_a_rule_that_is_too_long_loses_what_is_in_its_middle_and_keeps_what_it_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out = typed(capsys, "pod/web-1", "service/web:80", "nftables", "--by", "web-1")
    assert "masquerading              ct status dnat ip ... @hairpin-connections masquerade fully-random" in out
    assert "endpoints                 dnat to 10.244.0.2:8080 by map @endpoints-2  (chance 0.50)" in out
    _, out = typed(capsys, "pod/client", "service/empty:80", "no-endpoints")
    assert "      KUBE-SERVICES             default/empty:http has no endpoints: REJECT" in out.splitlines()


def test_what_leads_on_says_where_to_and_its_chain_once(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, "external/client", "node/node1:30080", "two-nodes", "--by", "web-1")
    assert "      KUBE-EXT-OZOUHPCFKJBAIRSG -j KUBE-SVC-OZOUHPCFKJBAIRSG" in out.splitlines()


def test_of_one_endpoint_alone_no_chance_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, "pod/shell", "service/kubernetes:443", "nftables")
    assert "by map @endpoints-1" in out
    assert "chance" not in out


def test_verbose_has_whole_rules_and_what_conntrack_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, *CROSS_NODE, "-v")
    assert '-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "default/web cluster IP"' in out
    assert "tcp src=10.244.0.3 dst=10.96.0.80 dport=80 src=10.244.1.2 dst=10.244.0.3 sport=8080" in out


def test_a_refusal_ends_with_its_meaning_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = typed(capsys, "pod/client", "service/empty:80", "no-endpoints")
    assert status == 1
    assert out.endswith("\n\nService default/empty has no ready endpoint; selector app=nobody matches no Pod.\n")
    assert "default/empty:http has no endpoints: REJECT" in out
    assert typed(capsys, "pod/client", "service/empty:80", "no-endpoints", "--expect", "refused")[0] == 0


def test_json_and_yaml_are_one_journey(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, *CROSS_NODE, "-o", "json")
    document = json.loads(out)
    journey = Journey.model_validate(document)
    assert (document["kind"], document["from"], document["firstDifference"]) == ("Journey", "pod/shell", None)
    assert (journey.pod, journey.agrees, journey.hops) == ("web-2", None, ())
    assert journey.endpoints == ("10.244.0.2:8080", "10.244.1.2:8080")
    assert journey.prediction[-1].packet.src == "10.96.0.80"
    assert yaml.safe_load(typed(capsys, *CROSS_NODE, "-o", "yaml")[1]) == document


@pytest.mark.parametrize(
    ("from_", "to", "file"),
    [
        ("pod/shell", "service/web:80", "two-nodes"),
        ("external/client", "node/node2:30081", "nodeport"),
        ("pod/client", "[fd00:10:96::80]:80", "dual-stack"),
        ("pod/client", "service/empty:80", "no-endpoints"),
    ],
)
def test_the_sequence_diagram_is_one_that_mermaid_takes(
    capsys: pytest.CaptureFixture[str], from_: str, to: str, file: str
) -> None:
    _, out = typed(capsys, from_, to, file, "-o", "mermaid")
    first, *lines = out.splitlines()
    assert first == "sequenceDiagram"
    assert [line for line in lines if not any(form.fullmatch(line) for form in LINES.values())] == []
    assert [line for line in lines if re.search(r"[#;]", ESCAPED.sub("", line))] == []
    declared = {line.split()[1] for line in lines if LINES["participant"].fullmatch(line)}
    used = {word for line in lines if ":" in line for word in re.findall(r"\bp\d+\b", line.split(":")[0])}
    assert used == declared
    places = [line.split(" as ")[1] for line in lines if " as " in line]
    assert places[0] == from_
    assert len(set(places)) == len(places)


def test_the_diagram_s_arrows_follow_the_packet_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, *CROSS_NODE, "-o", "mermaid")
    arrows = [found.groups() for line in out.splitlines() if (found := LINES["message"].fullmatch(line))]
    there, back = ([arrow for arrow in arrows if arrow[1] == kind] for kind in ("->>", "-->>"))
    assert [start for start, _, _ in there] == ["p1", "p2", "p3", "p4"]
    assert [(end, start) for start, _, end in reversed(back)] == [(start, end) for start, _, end in there]


def test_on_a_terminal_there_is_colour_unless_the_person_wants_none() -> None:
    assert "\x1b[" in on_terminal()
    assert "\x1b[" not in on_terminal(NO_COLOR="1")


def on_terminal(**environment: str) -> str:
    """What the command prints with a terminal as its standard output."""
    ours, theirs = pty.openpty()
    command = [NETLAB, "trace", "pod/shell", "service/web:80", "--predict", "-f", TOPOLOGIES / "two-nodes.yaml"]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm", **environment}) as process:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 65536):
                text += piece
        except OSError:  # a terminal ends so when its last writer is gone
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--predict", "-f", str(TOPOLOGIES / "two-nodes.yaml"), "--by", "pod/shell"), "it can to 10.244.0.2:8080"),
        (("-f", str(TOPOLOGIES / "two-nodes.yaml")), "--filename is for --predict"),
        (("--by", "web-1"), "--by is for --predict"),
        (("--predict", "-f", "/nowhere.yaml"), "/nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_refused_with_status_2(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert run(["trace", "pod/shell", "service/web:80", *options]) in (1, 2)
    assert said in capsys.readouterr().err


def test_the_protocol_may_be_said_apart(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = typed(capsys, "pod/shell", "service/web:80", "two-nodes", "--proto", "tcp")
    assert out.startswith("pod/shell -> service/web:80: reached")
    _, out = typed(capsys, "pod/client", "pod/echo-1:7", "three-nodes-vxlan", "--proto", "udp")
    assert "request  udp" in out
