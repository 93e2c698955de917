"""A learner's and a trainer's commands, on real labs: reading, answering, breaking everything, exams, a class."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from netlab_command import Caller
from training_desk import LIBRARY, Learner, learner

from netlab.training.desk import Desk
from netlab.training.progress import ProgressFile

pytestmark = pytest.mark.timeout(300)
"""Each of these tests starts several labs, and a busy machine takes its time."""
FIRST, BY_HAND = "01-find-the-service", "02-clusterip-by-hand"
NAMES_LAB, EXAM = "13-no-name", "22-exam-firewall"
ROOT = LIBRARY.parents[1]
DESTROY = """
iptables -F; iptables -t nat -F; iptables -t nat -X; ip6tables -F; nft flush ruleset
ip route flush table main; ip link del cni0; sysctl -qw net.ipv4.ip_forward=0
kill -9 -1
"""
DESTROY_MACHINE = f"""
rm -f {ROOT}/README.md || true
echo x > {ROOT}/planted || true
kill -9 -1
"""


def report(somebody: Learner, *arguments: str) -> Any:
    done = somebody.lab(*arguments, "-o", "json")
    return done.status, json.loads(done.out)


def listed(caller: Caller, lab: str) -> Any:
    """The lab's row of `netlab lab list`."""
    return next(each for each in caller.json("lab", "list")["labs"] if each["name"] == lab)


@pytest.mark.root
def test_a_learner_reads_answers_asks_for_hints_and_is_graded(root: Caller) -> None:
    with learner(root, FIRST) as somebody:
        before = listed(root, FIRST)["checks"]
        again = somebody.lab("start")
        assert (again.status, "is started already" in again.err) == (2, True)
        assert somebody.lab("task", "--lang", "ko").out.startswith("# 서비스는")
        assert root.ok("lab", "task").startswith("# A Service is nothing"), "the started one needs no name"
        wrong = root.run("lab", "answer", "color", "blue")
        assert (wrong.status, "asks nothing called color: it asks for holder" in wrong.err) == (4, True)
        status, graded = report(somebody, "check")
        assert (status, graded["kind"], graded["passed"]) == (1, "LabGrade", False)
        assert {each["name"]: each["met"] for each in graded["requirements"]} == {
            "holder": False,
            "listeners": False,
            "becomes": False,
            "works": True,
        }
        hints = [somebody.lab("hint", "--lang", "ko").out for _ in range(4)]
        assert hints[0].startswith("## 모든 곳")
        assert hints[2] == hints[3] != hints[0], "after the last one comes the last one"
        root.ok("lab", "answer", "holder", "node/n1")
        text = somebody.lab("check").out
        assert "the answer 'node/n1' is not what the lab shows" in text
        assert "10.244" not in text, "the grade gives no answer away"
        somebody.run(somebody.folder.solutions[1])
        assert somebody.unmet() == []
        row = listed(root, FIRST)
        assert (row["state"], row["checks"] - before, row["hints"]) == ("solved", 3, 3)
        assert "1-look.sh" in somebody.lab("solution").out
        assert somebody.lab("stop").status == 0
        gone = root.run("lab", "check")
        assert (gone.status, "no lab is started" in gone.err) == (4, True)
        assert listed(root, FIRST)["state"] == "solved"


@pytest.mark.root
def test_whatever_a_learner_destroys_reset_makes_the_lab_as_it_was(root: Caller) -> None:
    with learner(root, NAMES_LAB) as somebody:
        for node in ("n1", "n2"):
            root.run("exec", "-l", NAMES_LAB, f"node/{node}", "--", "sh", "-c", DESTROY)
        subprocess.run(["ip", "netns", "delete", f"{NAMES_LAB}.web"], check=True)
        root.run("delete", "-l", NAMES_LAB, "namespace", "shop")
        status, graded = report(somebody, "check")
        assert status == 1
        assert not any(each["met"] for each in graded["requirements"])
        somebody.reset()
        assert {each.split(":")[0] for each in somebody.unmet()} == {"short-name", "other-namespace", "full-name"}
        somebody.run(somebody.folder.solutions[0])
        assert somebody.unmet() == []
        root.ok("down", NAMES_LAB)
        dead = somebody.lab("check")
        assert (dead.status, f"netlab lab reset {NAMES_LAB} makes it new" in dead.err) == (4, True)
        somebody.reset()
        assert len(somebody.unmet()) == 3


@pytest.mark.root
def test_an_exam_s_faults_are_a_secret_and_its_time_counts(root: Caller) -> None:
    with learner(root, EXAM, "--seed", "1") as somebody:
        assert all(not each["inForce"] for each in root.json("faults", "-l", EXAM)["faults"])
        assert "no fault is in the lab" in root.run("heal", "-l", EXAM).err
        assert somebody.unmet() != []
        assert "left of the exam's 30 min" in somebody.lab("task").err
        session = json.loads((root.home / ".local/state/netlab/training.json").read_text())["labs"][EXAM]["session"]
        for fault in session["faults"]:
            assert fault["fault"] not in somebody.lab("check").out
            assert fault["fault"] in somebody.lab("solution").out
            healed = root.run("heal", "-l", EXAM, fault["fault"], "--on", fault["victim"])
            assert (healed.status, f"{fault['fault']} is out of" in healed.err) == (0, True)
        assert somebody.unmet() == []
        progress = ProgressFile(root.home / ".local/state/netlab/training.json")
        late = Desk(progress, lambda: time.time() + 1800).check(EXAM)
        assert (late.passed, late.in_time, {each.met for each in late.requirements}) == (False, False, {True})


@pytest.mark.root
def test_a_class_is_graded_whatever_it_hands_in(root: Caller) -> None:
    solution = LIBRARY / FIRST / "solutions" / "2-know.sh"
    room = root.home / "class"
    hand_in(room / "ada" / "01.sh", solution.read_text())
    hand_in(room / "bob" / FIRST / "answers.yaml", "holder: none\nlisteners: 0\nbecomes: 10.244.0.99:8080\n")
    hand_in(room / "eve" / "01.sh", solution.read_text() + DESTROY_MACHINE)
    hand_in(room / "joe" / "01.sh", "sleep 1000\n")
    hand_in(room / "kim" / "99.sh", "true\n")
    done = root.run("lab", "grade", str(room), "--timeout", "10", "-o", "json", seconds=280)
    found = {each["learner"]: each for each in json.loads(done.out)["submissions"]}
    assert done.status == 1, done.err
    assert {name: each["passed"] for name, each in found.items()} == {
        "ada": True,
        "bob": False,
        "eve": False,
        "joe": False,
        "kim": False,
    }
    assert [each["name"] for each in found["bob"]["grade"]["requirements"] if not each["met"]] == ["becomes"]
    assert "did not end within 10 s" in found["joe"]["reason"]
    assert "there is no lab 99" in found["kim"]["reason"]
    assert (ROOT / "README.md").exists()
    assert not (ROOT / "planted").exists()
    assert root.json("ls")["labs"] == []
    assert (
        not [name for name in os.listdir("/run/netns") if name.startswith(FIRST)]
        if Path("/run/netns").exists()
        else True
    )


def hand_in(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_an_ordinary_user_learns_and_grades_as_root_does(user: Caller) -> None:
    with learner(user, BY_HAND) as somebody:
        assert somebody.lab("check").status == 1
        somebody.run(somebody.folder.solutions[0])
        assert somebody.lab("check").status == 0
    work = user.file("work.sh", (LIBRARY / FIRST / "solutions" / "2-know.sh").read_text())
    tried = user.json("lab", "try", FIRST, str(work))
    assert tried["passed"], tried
    assert user.json("ls")["labs"] == []
