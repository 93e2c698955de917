"""Tables in the kernel: what is written is what iptables-legacy-restore makes of the same rules, no more goes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest
from proxy_objects import CASES, documents, tables

from netlab.errors import KernelError
from netlab.kernel import iptables
from netlab.kernel.iptables_compile import _answer_of
from netlab.kernel.iptables_handle import OpenTable
from netlab.kernel.iptables_read import read
from netlab.kernel.namespaces import Namespaces
from netlab.model.rules import (
    Backend,
    Chain,
    ChainEdit,
    Conntrack,
    ConntrackState,
    Dnat,
    Family,
    Hook,
    Jump,
    Mark,
    Masquerade,
    Protocol,
    Recent,
    Redirect,
    Reject,
    Rule,
    SetMark,
    Table,
    TablePatch,
    Verdict,
    held_probability,
)
from netlab.proxy.save_text import save_text

pytestmark = pytest.mark.root
PREFIX = "nlipt"


class Kernel:
    """The tables of one backend, written by netlab and looked at with iptables' own programs."""

    def __init__(self, backend: Backend, namespaces: Namespaces) -> None:
        self.backend = backend
        self.made: list[str] = []
        self._namespaces = namespaces

    def enter(self, name: str) -> None:
        """Go into an empty namespace of that name, made where it is missing."""
        if f"{PREFIX}.{name}" not in self.made:
            self.made.append(f"{PREFIX}.{name}")
            self._namespaces.create(self.made[-1])
        self._namespaces.enter(f"{PREFIX}.{name}")

    def command(self, family: Family = Family.IPV4) -> str:
        return f"{'iptables' if family is Family.IPV4 else 'ip6tables'}-{self.backend}"

    def run(self, *arguments: str) -> None:
        """`iptables ...` of this backend."""
        run(self.command(), *arguments)

    def apply(self, table: Table) -> iptables.Applied:
        return iptables.apply(table, backend=self.backend)

    def saved(self, family: Family = Family.IPV4, *, table: str = "") -> list[str]:
        """What iptables-save prints in this namespace, without dates and counters."""
        text = run(f"{self.command(family)}-save", *(["-t", table] if table else []))
        return [re.sub(r"\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#")]

    def rules_of(self, chain: str, *, table: str = "nat") -> list[str]:
        return [line for line in self.saved(table=table) if line.startswith(f"-A {chain} ")]


@pytest.fixture(params=list(Backend))
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with Namespaces() as namespaces:
        found = Kernel(request.param, namespaces)
        try:
            yield found
        finally:
            for name in found.made:
                namespaces.delete(name)


def run(*command: str, text: str | None = None) -> str:
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def every_option(family: Family) -> tuple[Rule, ...]:
    """A rule for each thing that a rule can say."""
    four = family is Family.IPV4
    network = IPv4Network("10.244.0.0/16") if four else IPv6Network("fd00:10:244::/56")
    host = IPv4Network("10.96.0.10/32") if four else IPv6Network("fd00:10:96::a/128")
    address = IPv4Address("10.244.1.7") if four else IPv6Address("fd00:10:244:1::7")
    known = frozenset({ConntrackState.RELATED, ConntrackState.ESTABLISHED, ConntrackState.DNAT})
    return (
        Rule(),
        Rule(source=network, target=Verdict.RETURN),
        Rule(source=network, source_inverted=True, destination=host, destination_inverted=True),
        Rule(in_interface="veth1", target=Verdict.ACCEPT),
        Rule(in_interface="cni+", in_interface_inverted=True, out_interface="eth0"),
        *(Rule(protocol=protocol, destination_port=53, target=Jump("EMPTY")) for protocol in Protocol),
        Rule(protocol=Protocol.TCP),
        Rule(comment='say "web\'s" \\ ok -j DROP'),
        Rule(comment="x" * 255, conntrack=Conntrack(known)),
        Rule(conntrack=Conntrack(known, inverted=True)),
        Rule(conntrack=Conntrack(frozenset({ConntrackState.NEW, ConntrackState.INVALID}))),
        Rule(mark=Mark(0x4000, 0x4000, inverted=True)),
        Rule(mark=Mark(0, 0xFFFFFFFF), target=SetMark(0x4000, 0)),
        Rule(destination_local=True, source_local=False),
        Rule(destination_local=False),
        *(Rule(statistic=held_probability(1 / share), target=Jump("EMPTY")) for share in (2, 3, 7, 999)),
        Rule(comment="web", recent=Recent("KUBE-SEP-A"), protocol=Protocol.UDP, target=Dnat(address, 65535)),
        Rule(recent=Recent("KUBE-SEP-B", check_seconds=86400), target=Jump("EMPTY")),
        Rule(protocol=Protocol.SCTP, target=Dnat(address, 1)),
        *(Rule(protocol=Protocol.TCP, destination_port=80, target=Redirect(port)) for port in (1, 39381, 65535)),
        Rule(destination=host, comment="dns", protocol=Protocol.UDP, target=Redirect(53)),
    )


def table_of(*rules: Rule, family: Family = Family.IPV4, name: str = "nat") -> Table:
    return Table(family, name, chains=(Chain("EMPTY"), Chain("ALL", rules)))


@pytest.mark.parametrize("family", list(Family))
def test_every_option_is_written_as_iptables_restore_writes_it(family: Family, kernel: Kernel) -> None:
    table = table_of(*every_option(family), family=family)
    kernel.enter("ours")
    kernel.apply(table)
    ours = kernel.saved(family)

    kernel.enter("theirs")
    run(f"{kernel.command(family)}-restore", text=save_text([table]))

    assert ours == kernel.saved(family)


@pytest.mark.parametrize("family", list(Family))
def test_what_was_written_is_read_back_as_the_same_values(family: Family, kernel: Kernel) -> None:
    rules = every_option(family)
    kernel.enter("ours")

    kernel.apply(table_of(*rules, family=family))

    seen = next(chain for chain in read(family, "nat", backend=kernel.backend).chains if chain.name == "ALL")
    assert [found.rule for found in seen.rules] == list(rules)


@pytest.mark.parametrize("family", list(Family))
def test_rules_for_postrouting_and_filter_are_written_too(family: Family, kernel: Kernel) -> None:
    masquerading = (Rule(target=Masquerade(random_fully=True)), Rule(target=Masquerade(random_fully=False)))
    nat = Table(family, "nat", (Chain("MASQ", masquerading),), (Hook("POSTROUTING", Rule(target=Jump("MASQ"))),))
    refusing = (Rule(target=Reject()), Rule(comment="silence", target=Verdict.DROP))
    filter_ = Table(family, "filter", (Chain("NO", refusing),), (Hook("FORWARD", Rule(target=Jump("NO"))),))
    kernel.enter("ours")
    for table in (nat, filter_):
        kernel.apply(table)
    ours = kernel.saved(family)

    kernel.enter("theirs")
    run(f"{kernel.command(family)}-restore", text=save_text([nat, filter_]))

    assert sorted(ours) == sorted(kernel.saved(family))


@pytest.mark.parametrize("case", sorted(path for path in CASES.iterdir() if path.is_dir()), ids=lambda path: path.name)
def test_the_tables_of_a_reference_case_are_written_as_iptables_restore_writes_them(case: Path, kernel: Kernel) -> None:
    wanted = tables(*documents(CASES / "node1.yaml"), *documents(case / "manifest.yaml"))
    kernel.enter("ours")
    for table in wanted:
        kernel.apply(table)
    ours = kernel.saved()

    kernel.enter("theirs")
    run(f"{kernel.command()}-restore", text=save_text(wanted))

    assert sorted(ours) == sorted(kernel.saved())


def test_a_table_that_is_there_already_is_not_written_again_and_keeps_its_counters(kernel: Kernel) -> None:
    kernel.enter("ours")
    run("ip", "link", "set", "lo", "up")
    table = Table(Family.IPV4, "filter", (Chain("PASS", (Rule(),)),), (Hook("OUTPUT", Rule(target=Jump("PASS"))),))
    assert kernel.apply(table).changed
    with socket(AF_INET, SOCK_DGRAM) as sender:
        sender.sendto(b"counted", ("127.0.0.1", 9))

    assert not kernel.apply(table).changed

    assert [
        chain.rules[0].packets
        for chain in read(Family.IPV4, "filter", backend=kernel.backend).chains
        if chain.name == "PASS"
    ] != [0]


def test_hooks_go_to_the_top_in_order_once_and_other_rules_stay(kernel: Kernel) -> None:
    kernel.enter("ours")
    kernel.run("-t", "nat", "-A", "PREROUTING", "-m", "limit", "-j", "ACCEPT")
    kernel.run("-t", "nat", "-N", "FOREIGN")
    kernel.run("-t", "nat", "-A", "FOREIGN", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "8080")
    hooks = tuple(Hook("PREROUTING", Rule(comment=text, target=Jump("EMPTY"))) for text in ("first", "second"))
    table = Table(Family.IPV4, "nat", (Chain("EMPTY"),), hooks)

    kernel.apply(table)
    kernel.apply(replace(table, chains=(Chain("EMPTY", (Rule(comment="new"),)),)))

    texts = [re.sub(r".*(first|second|limit).*", r"\1", line) for line in kernel.rules_of("PREROUTING")]
    assert texts == ["second", "first", "limit"]
    assert kernel.rules_of("FOREIGN") == ["-A FOREIGN -p tcp -j REDIRECT --to-ports 8080"]


def test_a_chain_that_is_no_longer_wanted_goes_unless_somebody_else_jumps_to_it(kernel: Kernel) -> None:
    kernel.enter("ours")
    chains = tuple(Chain(f"KUBE-SVC-{name}", (Rule(target=Jump("EMPTY")),)) for name in "ABC")
    table = Table(Family.IPV4, "nat", (Chain("EMPTY"), *chains), owned=("KUBE-SVC-",))
    kernel.apply(table)
    kernel.run("-t", "nat", "-N", "KUBE-OTHER")
    kernel.run("-t", "nat", "-A", "OUTPUT", "-j", "KUBE-SVC-B")

    done = kernel.apply(replace(table, chains=(Chain("EMPTY"), chains[2])))

    assert done.kept == ("KUBE-SVC-B",)
    names = [line.split()[0] for line in kernel.saved(table="nat") if line.startswith(":KUBE")]
    assert names == [":KUBE-OTHER", ":KUBE-SVC-B", ":KUBE-SVC-C"]
    assert not kernel.rules_of("KUBE-SVC-B")


def test_remove_takes_away_what_apply_wrote_and_nothing_else(kernel: Kernel) -> None:
    kernel.enter("ours")
    kernel.run("-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "ACCEPT")
    before = kernel.saved(table="nat")
    for table in (tables := (table_with_hooks(), replace(table_with_hooks(), chains=(Chain("KUBE-SERVICES"),)))):
        kernel.apply(table)

    iptables.remove(tables[1], backend=kernel.backend)

    assert kernel.saved(table="nat") == before


def table_with_hooks() -> Table:
    services = Chain("KUBE-SERVICES", (Rule(target=Jump("KUBE-SVC-A")),))
    hooks = tuple(
        Hook(chain, Rule(comment="portals", target=Jump("KUBE-SERVICES"))) for chain in ("OUTPUT", "PREROUTING")
    )
    return Table(Family.IPV4, "nat", (services, Chain("KUBE-SVC-A")), hooks, ("KUBE-SVC-",))


def test_a_patch_changes_what_it_names_and_leaves_the_rest(kernel: Kernel) -> None:
    kernel.enter("ours")
    kernel.apply(table_with_hooks())
    kernel.run("-t", "nat", "-A", "KUBE-SERVICES", "-m", "limit", "-j", "RETURN")
    to = {name: Rule(comment=name, target=Jump(f"KUBE-SVC-{name}")) for name in "BC"}
    patch = TablePatch(
        Family.IPV4,
        "nat",
        chains=(Chain("KUBE-SVC-B", (to["C"],)), Chain("KUBE-SVC-C", (Rule(comment="end"),))),
        edits=(ChainEdit("KUBE-SERVICES", removed=(Rule(target=Jump("KUBE-SVC-A")),), added=(to["B"], to["C"])),),
        removed=("KUBE-SVC-A",),
    )

    iptables.apply_patch(patch, backend=kernel.backend)

    assert kernel.rules_of("KUBE-SERVICES") == [
        "-A KUBE-SERVICES -m comment --comment B -j KUBE-SVC-B",
        "-A KUBE-SERVICES -m comment --comment C -j KUBE-SVC-C",
        "-A KUBE-SERVICES -m limit --limit 3/hour -j RETURN",
    ]
    assert kernel.rules_of("KUBE-SVC-B") == ["-A KUBE-SVC-B -m comment --comment C -j KUBE-SVC-C"]
    assert not any("KUBE-SVC-A" in line for line in kernel.saved(table="nat"))


def test_after_a_patch_the_whole_table_is_known_to_be_there(kernel: Kernel) -> None:
    """It is not said that somebody had changed it, and what was counted stays."""
    kernel.enter("ours")
    one, two, three, four = (Rule(comment=text) for text in ("one", "two", "three", "four"))
    table = Table(Family.IPV4, "nat", chains=(Chain("KUBE-SERVICES", (one, two, two)), Chain("KUBE-SVC-A", (one,))))
    kernel.apply(replace(table, owned=("KUBE-SVC-",)))
    edit = ChainEdit("KUBE-SERVICES", removed=(two, one), added=(three, four))
    iptables.apply_patch(TablePatch(Family.IPV4, "nat", edits=(edit,)), backend=kernel.backend)

    chains = (Chain("KUBE-SERVICES", (three, four, two)), Chain("KUBE-SVC-A", (one,)))
    assert not kernel.apply(replace(table, chains=chains, owned=("KUBE-SVC-",))).changed
    chains = (Chain("KUBE-SERVICES", (four, three, two)), Chain("KUBE-SVC-A", (one,)))
    assert kernel.apply(replace(table, chains=chains, owned=("KUBE-SVC-",))).changed


def test_a_patch_for_a_table_that_was_flushed_says_so_and_changes_nothing(kernel: Kernel) -> None:
    kernel.enter("ours")
    kernel.apply(table_with_hooks())
    kernel.run("-t", "nat", "-F")
    before = kernel.saved(table="nat")
    gone = ChainEdit("KUBE-SERVICES", removed=(Rule(target=Jump("KUBE-SVC-A")),))

    with pytest.raises(iptables.OutOfStep):
        iptables.apply_patch(
            TablePatch(Family.IPV4, "nat", chains=(Chain("KUBE-SVC-Z"),), edits=(gone,)), backend=kernel.backend
        )

    assert kernel.saved(table="nat") == before


TCP = Protocol.TCP
REFUSED = {
    "a comment longer than the kernel holds": Rule(comment="x" * 256),
    "a comment with a line break": Rule(comment="web\n-A OUTPUT -j DROP"),
    "a port beyond the last": Rule(protocol=TCP, destination_port=65536),
    "an address of the other family": Rule(destination=IPv6Network("fd00::1/128")),
    "a translation to the other family": Rule(protocol=TCP, target=Dnat(IPv6Address("fd00::1"), 80)),
    "a redirection beyond the last port": Rule(protocol=TCP, target=Redirect(65536)),
    "a chain name longer than the kernel holds": Rule(target=Jump("K" * 29)),
    "a jump to a chain that is not there": Rule(target=Jump("NOWHERE")),
    "a translation with a port but no protocol": Rule(target=Dnat(IPv4Address("10.244.1.7"), 80)),
    "masquerading where packets come in": Rule(target=Masquerade()),
    "a mark of more than 32 bits": Rule(target=SetMark(1 << 32, 0)),
    "an option that is only read": Rule(extra=("-m", "limit")),
}


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_rule_is_named_and_nothing_changes(bad: Rule, kernel: Kernel) -> None:
    kernel.enter("ours")
    good = table_with_hooks()
    kernel.apply(good)
    before = kernel.saved()
    wrong = Chain("KUBE-SERVICES", (Rule(comment="one"), bad, Rule(comment="three")))

    with pytest.raises(iptables.RuleRefused) as caught:
        kernel.apply(replace(good, chains=(wrong, Chain("KUBE-SVC-A"))))

    assert (caught.value.chain, caught.value.rule) == ("KUBE-SERVICES", bad)
    assert kernel.saved() == before


@pytest.mark.parametrize("kernel", [Backend.LEGACY], indirect=True)
def test_a_table_that_somebody_changed_after_it_was_opened_is_not_overwritten(kernel: Kernel) -> None:
    kernel.enter("ours")
    with OpenTable(Family.IPV4, "nat") as late:
        kernel.run("-t", "nat", "-A", "OUTPUT", "-j", "ACCEPT")
        late.create_chain("LATE")

        with pytest.raises(KernelError) as caught:
            late.commit()

    assert "Resource temporarily unavailable" in str(caught.value)
    assert kernel.rules_of("OUTPUT") == ["-A OUTPUT -j ACCEPT"]


def test_what_is_applied_between_the_changes_of_somebody_else_loses_none_of_them(kernel: Kernel) -> None:
    kernel.enter("ours")
    table = table_with_hooks()
    for number in range(20):
        other = subprocess.Popen(
            [kernel.command(), "-w", "-t", "nat", "-A", "OUTPUT", "-p", "udp", "--dport", str(1 + number)]
        )
        kernel.apply(replace(table, chains=(*table.chains, Chain("EXTRA", (Rule(comment=str(number)),)))))
        assert other.wait(timeout=10) == 0

        assert kernel.rules_of("EXTRA") == [f"-A EXTRA -m comment --comment {number}"]

    assert len([line for line in kernel.rules_of("OUTPUT") if "--dport" in line]) == 20


def test_a_pipe_that_somebody_else_keeps_open_delays_no_rule() -> None:
    """A process that forks while rules are compiled takes the pipe along: its end says nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"answer")
        os._exit(0)
    try:
        assert _answer_of(child, reading) == b"answer"  # although `writing` is open here
    finally:
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def test_rules_that_somebody_flushed_come_back(kernel: Kernel) -> None:
    kernel.enter("ours")
    table = table_with_hooks()
    kernel.apply(table)
    before = kernel.saved(table="nat")
    kernel.run("-t", "nat", "-F", "KUBE-SERVICES")
    kernel.run("-t", "nat", "-F", "OUTPUT")

    assert kernel.apply(table).changed

    assert kernel.saved(table="nat") == before
    assert not kernel.apply(table).changed


def test_thousands_of_chains_come_and_go_and_other_peoples_rules_stay(kernel: Kernel) -> None:
    kernel.enter("ours")
    kernel.run("-P", "FORWARD", "DROP")
    kernel.run("-N", "FOREIGN")
    kernel.run("-A", "FOREIGN", "-p", "tcp", "-m", "comment", "--comment", "a -j b", "-j", "RETURN")
    kernel.run("-A", "OUTPUT", "-p", "udp", "-j", "FOREIGN")
    before = kernel.saved(table="filter")
    chains = tuple(Chain(f"KUBE-SVC-{number:04}", (Rule(comment=f"n{number}"),)) for number in range(2100))
    hook = Hook("FORWARD", Rule(target=Jump("KUBE-SERVICES")))
    few = Table(Family.IPV4, "filter", (Chain("KUBE-SERVICES", (Rule(),)),), (hook,), ("KUBE-SVC-",))
    many = replace(few, chains=(*few.chains, *chains))

    assert kernel.apply(many).changed
    assert len(kernel.saved(table="filter")) == len(before) + 3 + 2 * len(chains)
    assert not kernel.apply(many).changed
    assert kernel.apply(few).changed
    assert len(kernel.saved(table="filter")) == len(before) + 3
    kernel.apply(many)
    iptables.remove(many, backend=kernel.backend)

    assert kernel.saved(table="filter") == before
