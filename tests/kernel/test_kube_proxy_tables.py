"""What the kernel refuses breaks nothing else: the rule is left out, all others are in force."""

from __future__ import annotations

import logging
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from proxy_objects import CONFIG, node, service

from netlab.agents.kube_proxy.core import Proxier
from netlab.agents.kube_proxy.modes.iptables_tables import KernelTables
from netlab.errors import NetlabError
from netlab.kernel.namespaces import Namespaces
from netlab.model.modes import ProxyMode
from netlab.model.rules import Chain, ChainEdit, Family, Masquerade, Rule, SetMark, Table, TablePatch

pytestmark = pytest.mark.root
TOO_BIG = Rule(comment="default/broken", target=SetMark(1 << 32, 0))
MISPLACED = Rule(comment="default/misplaced", target=Masquerade())


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    with Namespaces() as namespaces:
        namespaces.create("nlipt.tables")
        try:
            yield
        finally:
            namespaces.delete("nlipt.tables")


def table(*rules: Rule) -> Table:
    return Table(Family.IPV4, "filter", chains=(Chain("KUBE-SERVICES", rules),))


def comments() -> list[str]:
    text = subprocess.run(["iptables-legacy-save", "-t", "filter"], check=True, capture_output=True, text=True).stdout
    return [line.split()[5] for line in text.splitlines() if line.startswith("-A KUBE-SERVICES")]


def test_a_refused_rule_is_said_once_and_the_others_are_written(caplog: pytest.LogCaptureFixture) -> None:
    tables = KernelTables(Family.IPV4)
    wanted = table(Rule(comment="one"), TOO_BIG, Rule(comment="two"), MISPLACED, Rule(comment="three"))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            tables.write([wanted])

    assert comments() == ["one", "two", "three"]
    assert len([record for record in caplog.records if "left out" in record.message]) == 2


def test_a_refused_rule_that_is_not_wanted_any_more_is_told_no_more_and_patches_will_do_again() -> None:
    tables = KernelTables(Family.IPV4)
    tables.write([table(Rule(comment="one"), TOO_BIG)])
    assert [complaint.path for complaint in tables.left_out] == ["default/broken"]

    tables.write([table(Rule(comment="one"))])

    assert tables.left_out == ()
    edit = ChainEdit("KUBE-SERVICES", added=(Rule(comment="two"),))
    assert tables.patch([TablePatch(Family.IPV4, "filter", edits=(edit,))])
    assert comments() == ["two", "one"]


def test_a_patch_that_cannot_be_done_leaves_the_tables_to_be_written_whole() -> None:
    tables = KernelTables(Family.IPV4)
    tables.write([table(Rule(comment="one"))])

    assert not tables.patch([TablePatch(Family.IPV4, "filter", removed=("NOT-THERE",))])

    assert tables.stale
    tables.write([table(Rule(comment="two"))])
    assert comments() == ["two"]


def test_what_is_wrong_with_an_object_is_told_by_the_first_sync_that_succeeds() -> None:
    """One that fails tells nobody: its caller hears of the failure alone."""
    with closing(Proxier(replace(CONFIG, mode=ProxyMode.NFTABLES))) as proxy:
        proxy.put(node())
        proxy.put(service(spec={"externalIPs": ["127.0.0.1"]}))
        with without_descriptors(), pytest.raises(NetlabError):
            proxy.sync()
        assert [complaint.path for complaint in proxy.sync().complaints] == ["spec.externalIPs[0]"]
        assert proxy.sync().complaints == ()


@contextmanager
def without_descriptors() -> Iterator[None]:
    """As a process that may open nothing more: no socket to the kernel either."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
