"""Legacy tables taken apart and put together again: whatever others wrote, to the last counter, is there as it was."""

from __future__ import annotations

import errno
import re
import subprocess
from collections.abc import Iterator

import pytest
from own_namespace import own_namespace

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_held import HeldChain, read_table
from netlab.kernel.iptables_replace import replace_table
from netlab.model.rules import Chain, Family

pytestmark = pytest.mark.root
PLACE = "nlipt.held"
THEIRS = """\
*filter
:INPUT DROP [3:180]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [5:420]
:ALPHA - [0:0]
:EMPTY - [0:0]
:ZULU - [0:0]
[7:588] -A INPUT -i lo -m comment --comment "say \\"it\\"" -j ZULU
[1:84] -A INPUT -p tcp -m tcp --dport 22 -g ALPHA
[2:168] -A INPUT -m limit --limit 3/min
[0:0] -A OUTPUT -j EMPTY
[9:756] -A ALPHA -m mark --mark 0x1/0x1 -j RETURN
[4:336] -A ALPHA -j REJECT
[6:504] -A ZULU -p udp -m udp --sport 53 -j ACCEPT
[8:672] -A ZULU -j LOG --log-prefix "zulu "
[8:672] -A ZULU -j DROP
COMMIT
"""
PROGRAMS = {Family.IPV4: "iptables-legacy", Family.IPV6: "ip6tables-legacy"}


@pytest.fixture(params=list(Family))
def family(request: pytest.FixtureRequest) -> Iterator[Family]:
    """The thread is in a namespace that has THEIRS."""
    with own_namespace(PLACE):
        command = [f"{PROGRAMS[request.param]}-restore", "--counters"]
        subprocess.run(command, input=THEIRS, check=True, text=True)
        yield request.param


def never(chain: Chain) -> HeldChain:
    raise AssertionError(f"{chain.name} is bytes already")


def saved(family: Family) -> list[str]:
    command = [f"{PROGRAMS[family]}-save", "--counters", "-t", "filter"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_table_that_is_written_as_it_was_read_is_the_same_with_its_counters(family: Family) -> None:
    before, held = saved(family), read_table(family, "filter")

    replace_table(held, held.chains, stamp=never)

    assert saved(family) == before


def test_what_is_read_says_where_rules_lead(family: Family) -> None:
    chains = read_table(family, "filter").chains

    assert chains["INPUT"].leads_to == ["ZULU", "ALPHA", ""]
    assert chains["ALPHA"].leads_to == ["RETURN", None]
    assert chains["ZULU"].leads_to == ["ACCEPT", None, "DROP"]
    assert chains["EMPTY"] == HeldChain([], [], [])
    assert list(chains) == ["INPUT", "FORWARD", "OUTPUT", "ALPHA", "EMPTY", "ZULU"]


def test_rules_move_with_their_counters_when_others_come_and_go(family: Family) -> None:
    held = read_table(family, "filter")
    chains, first = dict(held.chains), held.chains["ZULU"].rules[2]
    chains["BRAVO"] = HeldChain([first], ["EMPTY"])
    chains["INPUT"] = chains["INPUT"].with_rule(first, "BRAVO")
    chains["ZULU"] = chains["ZULU"].without_rule(1)

    replace_table(held, chains, stamp=never)

    after = saved(family)
    assert [re.sub(r" -m comment .*-j| -m comment .*-g", " -j", line) for line in after if "-A INPUT" in line] == [
        "[0:0] -A INPUT -j BRAVO",
        "[7:588] -A INPUT -i lo -j ZULU",
        "[1:84] -A INPUT -p tcp -m tcp --dport 22 -g ALPHA",
        "[2:168] -A INPUT -m limit --limit 3/min",
    ]
    assert [line for line in after if "-A ZULU" in line] == [
        "[6:504] -A ZULU -p udp -m udp --sport 53 -j ACCEPT",
        "[8:672] -A ZULU -j DROP",
    ]
    assert "[0:0] -A BRAVO -j EMPTY" in after
    assert ":INPUT DROP [3:180]" in after


def test_nothing_changes_where_a_rule_leads_nowhere_or_somebody_else_was_faster(family: Family) -> None:
    held, jump = read_table(family, "filter"), read_table(family, "filter").chains["ZULU"].rules[2]
    with pytest.raises(KernelError) as nowhere:
        replace_table(held, {**held.chains, "NEW": HeldChain([jump], ["MISSING"])}, stamp=never)
    assert nowhere.value.number == errno.ENOENT
    subprocess.run([PROGRAMS[family], "-A", "FORWARD", "-j", "EMPTY"], check=True)
    before = saved(family)

    with pytest.raises(KernelError) as late:
        replace_table(held, held.chains, stamp=never)

    assert late.value.number == errno.EAGAIN
    assert saved(family) == before


def test_a_table_that_no_kernel_has_is_a_missing_capability(family: Family) -> None:
    with pytest.raises(MissingCapability, match="no legacy"):
        read_table(family, "nonsense")
