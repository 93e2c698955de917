"""What puts a flow under trace comes and goes, with what an earlier trace left; others' rules stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from probe_lab import tool

from netlab.kernel.last_will import undone_in_any_case
from netlab.kernel.namespaces import inside
from netlab.kernel.tracing import legacy_rules, nft_rules
from netlab.kernel.tracing.flow_match import FlowMatch
from netlab.model.rules import Family
from netlab.model.targets import TargetProtocol

WHERE = "nltrace.node1"
THEIRS = "-A PREROUTING -p udp -m comment --comment theirs -j ACCEPT"
PROGRAMS = {Family.IPV4: "iptables-legacy", Family.IPV6: "ip6tables-legacy"}
each_kind = pytest.mark.parametrize(
    ("family", "protocol"), [(family, protocol) for family in Family for protocol in ("tcp", "udp", "icmp")]
)


@pytest.fixture
def node() -> Iterator[str]:
    """An empty network namespace; the test is inside it."""
    tool("ip", "netns", "add", WHERE)
    try:
        with inside(WHERE):
            yield WHERE
    finally:
        tool("ip", "netns", "del", WHERE)


def match(family: Family, protocol: str, token: int) -> FlowMatch:
    return FlowMatch(family, TargetProtocol(protocol), token, (53, 8080, 9090))


@pytest.mark.root
@each_kind
def test_legacy_rules_replace_those_of_a_killed_trace_and_go(node: str, family: Family, protocol: str) -> None:
    program = PROGRAMS[family]
    tool(program, "-t", "raw", *THEIRS.split())
    legacy_rules.put(match(family, protocol, 1))
    killed = tool(program, "-t", "raw", "-S")
    legacy_rules.put(match(family, protocol, 2))
    assert len(tool(program, "-t", "raw", "-S").splitlines()) == len(killed.splitlines()) == 5
    assert killed != tool(program, "-t", "raw", "-S")
    legacy_rules.take_out(match(family, protocol, 2))
    legacy_rules.take_out(match(family, protocol, 2))
    left = [line for line in tool(program, "-t", "raw", "-S").splitlines() if not line.startswith("-P")]
    assert left == [THEIRS]
    assert node


@pytest.mark.root
@each_kind
def test_the_table_of_nftables_replaces_that_of_a_killed_trace_and_goes(
    node: str, family: Family, protocol: str
) -> None:
    if not nft_rules.is_possible():
        pytest.skip("needs nft and a kernel with nftables")
    tool("nft", "add", "table", "inet", "theirs")
    nft_rules.put(match(family, protocol, 1))
    nft_rules.put(match(family, protocol, 2))
    assert tool("nft", "list", "tables").count(nft_rules.TABLE) == 1
    nft_rules.take_out()
    nft_rules.take_out()
    assert tool("nft", "list", "tables") == "table inet theirs\n"
    assert node


@pytest.mark.parametrize("killed", [False, True])
def test_what_must_be_undone_is_undone_once_also_for_a_process_that_is_killed(tmp_path: Path, *, killed: bool) -> None:
    done = tmp_path / "undone"
    child = os.fork()
    if child == 0:
        with undone_in_any_case(lambda: done.write_text(done.read_text() + "x" if done.exists() else "x")):
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    os.waitpid(child, 0)
    assert _comes(done)
    assert done.read_text() == "x"


def _comes(file: Path) -> bool:
    """Whether the file is written in time: the heir of a killed process is nobody's child any more."""
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
        os.sched_yield()
    return file.exists()
