"""The pytest plugin as a run sees it that has no lab yet: what it costs, what it says, which tests it makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = Path(__file__).parents[1] / "outside_project"
LISTS_MODULES = """
import json, sys
def test_what_is_there():
    names = sorted(name for name in sys.modules if name.split(".")[0] in {"netlab", "pydantic", "aiohttp", "scapy"})
    print("MODULES", json.dumps(names))
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real pytest, in a process of its own, with nothing of this run's configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def project(folder: Path, text: str) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (folder / "test_it.py").write_text(text)
    return folder


def test_a_run_without_labs_imports_nothing_but_the_plugins_door(tmp_path: Path) -> None:
    done = run(project(tmp_path, LISTS_MODULES), "-s")
    (line,) = (line for line in done.stdout.splitlines() if "MODULES" in line)
    assert json.loads(line.partition("MODULES ")[2]) == ["netlab", "netlab.pytest_plugin"]


def test_its_options_and_its_marker_are_told(tmp_path: Path) -> None:
    project(tmp_path, "")
    options = run(tmp_path, "--help").stdout
    for option in ("--netlab-mode", "--netlab-keep", "--netlab-artifacts", "--netlab-strict"):
        assert option in options
    assert "@pytest.mark.netlab(source" in run(tmp_path, "--markers").stdout


def collected(*arguments: str) -> list[str]:
    done = run(OUTSIDE, "--collect-only", "-q", *arguments, "tests/test_front.py")
    return [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]


def test_a_marker_with_several_modes_makes_a_test_of_each() -> None:
    names = collected()
    assert {name.partition("[")[2] for name in names} == {"iptables]", "nftables]"}
    assert len(names) == 2 * len({name.partition("[")[0] for name in names})


def test_the_option_chooses_among_the_modes_of_a_marker() -> None:
    assert {name.partition("[")[2] for name in collected("--netlab-mode", "nftables,userspace")} == {"nftables]"}


WRONG = """
import pytest
@pytest.mark.netlab({arguments})
def test_it(lab): pass
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'nowhere.yaml'", "there is no topology file nowhere.yaml: looked for"),
        ("'test_it.py', mode='iptable'", "'iptable' is no proxy mode: there are iptables, nftables, ipvs, userspace"),
        ("'test_it.py', scope='clas'", "scope='clas' of marker netlab: there are function, module, session"),
        ("'test_it.py', requires='command:no-such-program'", "lacks command:no-such-program: install no-such-program"),
    ],
)
def test_a_marker_that_cannot_be_followed_is_told_in_a_sentence(tmp_path: Path, arguments: str, said: str) -> None:
    done = run(project(tmp_path, WRONG.format(arguments=arguments)), "-rs")
    assert said in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout


def test_a_fixture_without_a_marker_says_what_it_needs(tmp_path: Path) -> None:
    done = run(project(tmp_path, "def test_it(lab): pass\n"))
    assert "the fixture lab needs a marker: @pytest.mark.netlab('topology.yaml')" in done.stdout


def test_a_capability_that_is_missing_skips_and_with_strict_fails(tmp_path: Path) -> None:
    project(tmp_path, WRONG.format(arguments="'test_it.py', requires='command:no-such-program'"))
    skipped = run(tmp_path, "-rs").stdout
    assert "SKIPPED [1] test_it.py:3: this machine lacks command:no-such-program: install no-such-program" in skipped
    failed = run(tmp_path, "--netlab-strict").stdout
    assert "1 error" in failed
    assert "this machine lacks command:no-such-program" in failed
