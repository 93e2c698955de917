"""A project that knows nothing of netlab's own tests uses the plugin: the real pytest, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from netlab_command import Caller, Done

from netlab.testing.packets import read

PYTEST = str(Path(sys.executable).with_name("pytest"))
OUTSIDE = Path(__file__).parents[1] / "outside_project"
FAILING = """
import pytest
from netlab import Lab

pytestmark = pytest.mark.netlab("shop.yaml", scope="session")


def test_asks_for_a_port_that_the_service_has_not(lab: Lab):
    assert lab.pod("shell").probe("service/stock:5433", timeout=0.3).reached


def test_what_was_so_while_a_fault_was_in_force_is_told(lab: Lab):
    with lab.broken("ip-forward-off", on="node/node2"):
        assert lab.pod("shell").probe("service/stock:5432", timeout=0.3)


def test_leaves_a_lab_behind(lab: Lab):
    Lab.up(SHOP, name="left-behind")


def test_the_lab_of_the_session_is_as_it_was(lab: Lab):
    lab.pod("shell").probe("service/stock:5432").expect("reached", pods={"stock"})


@pytest.mark.netlab("shop.yaml", mode="ipvs")
def test_in_a_mode_that_this_machine_may_lack(lab: Lab):
    assert lab.status().nodes[0].proxy_mode == "ipvs"
"""


def run_pytest(caller: Caller, folder: Path, *arguments: str) -> Done:
    """In the project's folder, as that caller."""
    options = ("-p", "no:cacheprovider", "-q", "-rs", "--color=no")
    return caller.run(*options, *arguments, program=PYTEST, cwd=str(folder), seconds=110)


def project_of(caller: Caller) -> Path:
    """A copy that the caller may write in, in which nothing is netlab's but what it installs."""
    folder = caller.home / "shop"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(OUTSIDE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if caller.uid is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, caller.uid, caller.uid)
    return folder


def labs_of(caller: Caller) -> list[str]:
    return [lab["name"] for lab in caller.json("ls")["labs"]]


@pytest.mark.root
def test_its_tests_pass_side_by_side(root: Caller) -> None:
    done = run_pytest(root, project_of(root), "-n", "2")
    assert (done.status, re.findall(r"\d+ passed", done.out)) == (0, ["15 passed"]), done.out + done.err
    assert labs_of(root) == []


def test_its_tests_pass_for_an_ordinary_user_one_after_the_other(user: Caller) -> None:
    folder = project_of(user)
    done = run_pytest(user, folder, "--netlab-mode", "iptables")
    assert (done.status, re.findall(r"\d+ passed", done.out)) == (0, ["10 passed"]), done.out + done.err
    assert labs_of(user) == []


@pytest.mark.root
def test_a_failed_test_is_told_with_its_journey_its_cause_and_what_is_kept(root: Caller) -> None:
    folder = project_of(root)
    (folder / "tests" / "test_failing.py").write_text(FAILING.replace("SHOP", repr(str(folder / "shop.yaml"))))
    done = run_pytest(root, folder, "--netlab-artifacts", "kept", "tests/test_failing.py")
    assert done.status == 1
    said = " ".join(done.out.split())
    for part in (
        "2 failed, 2 passed, 1 skipped, 1 error" if "skipped" in done.out else "2 failed, 3 passed, 1 error",
        "cause: port-not-served: Service default/stock has no port 5433/tcp; it has 5432/tcp.",
        "cause: ip-forward-off: node/node2",
        "test_leaves_a_lab_behind has left behind: lab left-behind (processes ",
    ):
        assert part in said, done.out
    assert labs_of(root) == []
    (report,) = (folder / "kept").glob("tests.test_failing.test_asks_*/*/report.html")
    files = {str(path.relative_to(report.parent)) for path in report.parent.rglob("*") if path.is_file()}
    of_a_node = {"rules.txt", "routes.txt", "conntrack.txt", "kube-proxy.log", "kubelet.log", "packets.pcapng"}
    assert files >= {"report.html", "packets.pcapng", "objects.json", "pods/stock.log"}
    assert files >= {f"{node}/{name}" for node in ("node1", "node2") for name in of_a_node}
    assert "KUBE-SERVICES" in (report.parent / "node1" / "rules.txt").read_text()
    whole, own = read(report.parent / "packets.pcapng"), read(report.parent / "node1" / "packets.pcapng")
    assert any(".5433: Flags [S]" in sight.text and sight.place == "pod/shell" for sight in whole.sights())
    assert {sight.place for sight in own.sights()} == {"node/node1"}
    text = report.read_text()
    assert "port-not-served" in text
    assert text.count("<svg") == 2
    assert ".5433: Flags [S]" in text


@pytest.mark.root
def test_a_kept_lab_is_left_as_the_failed_test_had_it_and_others_go_on(root: Caller) -> None:
    folder = project_of(root)
    (folder / "tests" / "test_failing.py").write_text(FAILING.replace("SHOP", repr(str(folder / "shop.yaml"))))
    chosen = "asks_for_a_port or as_it_was"
    done = run_pytest(root, folder, "--netlab-keep", "-k", chosen, "tests/test_failing.py")
    kept = labs_of(root)
    try:
        assert re.findall(r"\d+ (?:passed|failed)", done.out) == ["1 failed", "1 passed"], done.out
        assert len(kept) == 1
        assert f"netlab status -l {kept[0]}" in done.out
        assert root.run("probe", "-l", kept[0], "pod/shell", "service/stock:5432").status == 0
    finally:
        root.ok("down", "--all")
    assert labs_of(root) == []
