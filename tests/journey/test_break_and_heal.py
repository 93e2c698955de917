"""The commands `break`, `heal` and `faults`: what they say, what they refuse, and that nothing stays broken."""

from __future__ import annotations

import re
from collections.abc import Iterator

import fault_lab
import pytest
from netlab_command import PREFIX, Caller, Lab, comes_true

from netlab.faults.catalogue import CATALOGUE
from netlab.faults.names import FaultName
from netlab.faults.steps import Command
from netlab.lab import fault_records
from netlab.lab.fault_records import Record
from netlab.lab.view import running_view
from netlab.model.paths import LabPaths

NAME = f"{PREFIX}-heal"
ACROSS = ("pod/shell", "pod/lone:8080")


@pytest.fixture(scope="module")
def shared(root: Caller) -> Iterator[Lab]:
    with root.lab(NAME, fault_lab.FILE.format(name=NAME, mode="iptables")) as up:
        yield up


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The same lab without any fault, before and after."""
    yield shared
    shared.run("heal")


def paths(lab: Lab) -> LabPaths:
    return LabPaths(lab.name, lab.directory)


def in_force(lab: Lab) -> dict[str, list[str]]:
    return {row["name"]: row["inForce"] for row in lab.json("faults")["faults"] if row["inForce"]}


@pytest.mark.root
def test_what_is_broken_already_is_said_to_be_so_and_what_is_whole_too(lab: Lab) -> None:
    first = lab.run("break", "ip-forward-off", "--on", "n1")
    assert (first.status, first.err.startswith("ip-forward-off in node/n1: The node's kernel does not forward")) == (
        0,
        True,
    )
    again = lab.run("break", "ip-forward-off", "--on", "node/n1")
    assert (again.status, again.err) == (
        0,
        "ip-forward-off is in node/n1 already; netlab heal ip-forward-off takes it out\n",
    )
    assert in_force(lab) == {"ip-forward-off": ["node/n1"]}
    remedy = "netlab heal ip-forward-off --on n1"
    assert lab.json("status")["faults"] == [{"name": "ip-forward-off", "victim": "node/n1", "remedy": remedy}]
    assert re.search(rf"ip-forward-off +node/n1 +{remedy}\n", lab.ok("status"))
    assert lab.run("heal", "ip-forward-off", "--on", "n2").err == "no such fault is in the lab\n"
    assert lab.run("heal", "ip-forward-off", "--on", "n1").err == "ip-forward-off is out of node/n1\n"
    assert (lab.run("heal").status, lab.run("heal").err) == (0, "no fault is in the lab\n")
    assert lab.json("status")["faults"] == []
    assert lab.verdicts(*ACROSS) == {"reached": 1}


@pytest.mark.root
def test_heal_takes_all_faults_out_the_last_first(lab: Lab) -> None:
    lab.ok("break", "forward-drop", "--on", "n1")
    lab.ok("break", "ip-forward-off", "--on", "n1")
    lab.ok("break", "wrong-target-port", "--service", "lone")
    assert lab.run("heal").err.splitlines() == [
        "wrong-target-port is out of service/lone",
        "ip-forward-off is out of node/n1",
        "forward-drop is out of node/n1",
    ]
    assert fault_lab.fares(lab) == {}


@pytest.mark.root
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("ip-forward-off",), 2, "could be put into node/n1, node/n2: say which with --on NODE"),
        (("ip-forward-off", "--on", "n9"), 4, "there is no node/n9: did you mean node/n"),
        (("wrong-target-port", "--service", "lonely"), 4, "there is no service/lonely: did you mean service/lone?"),
        (("readiness-failing", "--service", "lone"), 2, "not all of its Pods have a readiness probe"),
        (("external-policy-local", "--service", "web"), 2, "it is neither a NodePort nor a LoadBalancer"),
        (("ip-forward-off", "--on", "n1", "--service", "web"), 2, "a fault has one victim"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_broken_is_refused_and_nothing_changes(
    lab: Lab, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = lab.run("break", *arguments)
    assert (done.status, done.out, len(done.err.splitlines())) == (status, "", 1)
    assert said in done.err
    assert in_force(lab) == {}


@pytest.mark.root
def test_the_steps_are_shown_as_they_would_be_made_and_were(lab: Lab) -> None:
    shown = lab.json("faults", "forward-drop", "--on", "n2")
    assert (shown["victim"], shown["steps"]) == (
        "node/n2",
        [
            {
                "does": "netlab exec node/n2 -- iptables -P FORWARD DROP",
                "undo": "netlab exec node/n2 -- iptables -P FORWARD ACCEPT",
            }
        ],
    )
    lab.ok("break", "wrong-dns", "--on", "pod/shell")
    text = lab.ok("faults", "wrong-dns")
    assert "It is in force in pod/shell." in text
    assert "/etc/resolv.conf of pod/shell says" in text
    assert "nameserver 10.96.0.10" in text, "what it said before"


@pytest.mark.root
def test_what_somebody_took_back_by_hand_is_told_and_forgotten(lab: Lab) -> None:
    lab.ok("break", "nodeport-shadowed", "--on", "n1")
    lab.ok("exec", "node/n1", "--", "iptables", "-t", "mangle", "-F", "PREROUTING")
    healed = lab.run("heal")
    assert healed.status == 1
    assert "nodeport-shadowed in node/n1: could not take back: node/n1: iptables -t mangle -D PREROUTING" in healed.err
    assert lab.run("heal").status == 0
    assert fault_lab.fares(lab) == {}


@pytest.mark.root
def test_what_went_with_its_object_is_told_and_is_no_failure(lab: Lab) -> None:
    later = "{clusterIP: 10.96.0.77, selector: {app: lone}, ports: [{port: 80, targetPort: 8080}]}"
    lab.ok("apply", "-f", "-", text=f"apiVersion: v1\nkind: Service\nmetadata: {{name: later}}\nspec: {later}\n")
    lab.ok("break", "selector-matches-nothing", "--service", "later")
    lab.ok("delete", "service", "later")
    healed = lab.run("heal")
    assert (healed.status, "nothing to take back there" in healed.err) == (0, True)
    assert in_force(lab) == {}


@pytest.mark.root
@pytest.mark.parametrize("made", ["made", "not made"])
def test_a_break_that_was_killed_before_its_end_is_healed(lab: Lab, made: str) -> None:
    """What is written down before a step is made says that it may have been: here a rule that is there, or is not."""
    steps = dict(CATALOGUE[FaultName.NODEPORT_SHADOWED].victims(running_view(paths(lab))))["node/n1"]()
    if made == "made":
        assert isinstance(steps[0], Command)
        lab.ok("exec", "node/n1", "--", *steps[0].argv)
        assert lab.verdicts("external/client", "node/n1:30080") == {"dropped": 1}
    record = Record(fault=FaultName.NODEPORT_SHADOWED, victim="node/n1", steps=steps, begun=1)
    fault_records.put(paths(lab), record)
    assert in_force(lab) == {"nodeport-shadowed": ["node/n1"]}
    assert lab.run("heal").status == 0
    assert lab.verdicts("external/client", "node/n1:30080") == {"reached": 1}


@pytest.mark.root
def test_a_lab_of_an_ordinary_user_has_faults_too(user: Caller) -> None:
    name = f"{PREFIX}-own"
    with user.lab(name, fault_lab.FILE.format(name=name, mode="iptables")) as lab:
        for fault, victim in (("ip-forward-off", "n1"), ("rp-filter-strict", "n2"), ("wrong-dns", "pod/shell")):
            lab.ok("break", fault, "--on", victim)
        assert lab.verdicts(*ACROSS) == {"dropped": 1}
        lab.ok("heal")
        assert comes_true(lambda: fault_lab.fares(lab) == {})
