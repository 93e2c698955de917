"""A table that is made piece by piece: wherever the pieces are cut, each holds, and no packet comes to half of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from nft_kernel import Kernel
from proxy_objects import CASES, MACHINE_ADDRESSES, documents, tracker
from proxy_reference import cases, flags_of

from netlab.model.modes import ProxyMode
from netlab.model.nft_tables import AddChain, AddTable, Change, DeleteTable
from netlab.model.rules import Family
from netlab.proxy.decide import decide_all
from netlab.proxy.nftables import Spelling
from netlab.proxy.nftables.changes import growing, hooking, replacing

SERVICE_CIDRS = (ip_network("10.96.0.0/16"), ip_network("fd00:10:96::/112"))


def spelling_of(case: Path, family: Family) -> Spelling:
    known = tracker(*documents(CASES / "node1.yaml"), *documents(case / "manifest.yaml"))
    config = replace(flags_of(case).config, mode=ProxyMode.NFTABLES, service_cidrs=SERVICE_CIDRS)
    addresses = tuple(map(ip_address, MACHINE_ADDRESSES))
    found = Spelling(config=config, node=known.node, family=family, local_addresses=addresses)
    found.start(decide_all(known, config))
    return found


def grown(spelling: Spelling) -> tuple[list[Change], list[Change]]:
    return list(growing(spelling)), hooking(spelling.base())


def told(change: Change) -> str:
    """What it says to the kernel: of a chain not what will be in it."""
    return repr(AddChain(change.chain._replace(rules=())) if isinstance(change, AddChain) else change)


everywhere = pytest.mark.parametrize("family", Family)
each_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


@everywhere
@each_case
def test_every_change_finds_what_it_needs_and_only_the_last_are_met_by_packets(case: Path, family: Family) -> None:
    inner, last = grown(spelling_of(case, family))
    kernel, whole = Kernel(), Kernel()
    for change in (*inner, *last):
        kernel.make(change)
    whole.load(spelling_of(case, family).table())
    assert kernel == whole
    assert [change for change in inner if isinstance(change, AddChain) and change.chain.hook] == []
    assert [change for change in last if isinstance(change, AddChain) and not change.chain.hook] == []


@everywhere
@each_case
def test_it_becomes_what_one_transaction_would_make(case: Path, family: Family) -> None:
    inner, last = grown(spelling_of(case, family))
    whole = replacing(spelling_of(case, family).table(), {})
    tables = (AddTable, DeleteTable)
    made, wanted = ([each for each in some if not isinstance(each, tables)] for some in ([*inner, *last], whole))
    assert sorted(map(told, made)) == sorted(map(told, wanted))


def test_a_change_after_it_has_grown_is_told_as_after_a_whole_table() -> None:
    first, second = (spelling_of(CASES / "nodeport", Family.IPV4) for _ in range(2))
    grown(first)
    table = second.table()
    gone = dict.fromkeys(
        decide_all(tracker(*documents(CASES / "nodeport" / "manifest.yaml")), flags_of(CASES / "nodeport").config)
    )
    assert first.rule_count == table.rule_count
    assert first.update(gone) == second.update(gone)
    assert first.rule_count == second.rule_count < table.rule_count
