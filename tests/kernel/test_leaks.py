"""The check for what tests leave behind, proved by tests that do leave something."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

TESTS = Path(__file__).parents[1]
DETACHED = """
import os, subprocess

def test_it():
    child = subprocess.Popen(["setsid", "--fork", "sh", "-c", "echo $$ >pid; exec sleep 60"])
    child.wait()
    while not os.path.exists("pid") or not os.path.getsize("pid"):
        pass
"""
NAMESPACE = """
import subprocess

def test_it():
    subprocess.run(["ip", "netns", "add", "nlcli.left"], check=True)
"""
SHARED_LAB = """
import subprocess
import pytest

@pytest.fixture(scope="module", autouse=True)
def lab():
    subprocess.run(["ip", "netns", "add", "nlcli.node1"], check=True)
    yield
    subprocess.run(["ip", "netns", "del", "nlcli.node1"], check=True)

def test_a_pod_comes():
    subprocess.run(["ip", "netns", "add", "nlcli.pod"], check=True)

def test_a_pod_goes():
    subprocess.run(["ip", "netns", "del", "nlcli.pod"], check=True)
"""
SYSCTL = """
from pathlib import Path

def test_it():
    Path("/proc/sys/net/ipv4/conf/lo/log_martians").write_text("1")
"""
CLEAN = """
import subprocess

def test_it():
    subprocess.run(["ip", "netns", "add", "nlcli.clean"], check=True)
    subprocess.Popen(["sleep", "0"]).wait()
    subprocess.run(["ip", "netns", "del", "nlcli.clean"], check=True)
"""


def run_suite(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run a test module as one of tests/kernel, in a network and with a list of namespaces of its own."""
    (folder / "kernel").mkdir(parents=True)
    for name in ("conftest.py", "leaks.py"):
        shutil.copy(TESTS / name, folder)
    (folder / "kernel" / "test_it.py").write_text(source)
    script = 'mount -t tmpfs tmpfs /run && exec "$@"'
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command = ["unshare", "--net", "--mount", "--", "sh", "-c", script, "sh", *pytest_]
    env = {name: value for name, value in os.environ.items() if name != "NETLAB_SHARED_MACHINE"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)


def test_a_process_that_detached_itself_fails_its_test(tmp_path: Path) -> None:
    done = run_suite(tmp_path, DETACHED)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert done.returncode == 1
    assert "processes left behind: ['sleep 60']" in done.stdout


def test_a_network_namespace_that_stays_fails_its_test(tmp_path: Path) -> None:
    done = run_suite(tmp_path, NAMESPACE)
    assert done.returncode == 1
    assert "nlcli.left" in done.stdout


def test_a_lab_that_tests_share_may_change_but_must_be_gone_at_the_end(tmp_path: Path) -> None:
    done = run_suite(tmp_path / "gone", SHARED_LAB)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout
    done = run_suite(tmp_path / "left", SHARED_LAB.partition("def test_a_pod_goes")[0])
    assert done.returncode == 1
    assert "namespaces left behind: ['nlcli.pod']" in done.stdout


def test_a_changed_sysctl_of_the_host_fails_the_run(tmp_path: Path) -> None:
    done = run_suite(tmp_path, SYSCTL)
    assert done.returncode == 1
    assert "+ /proc/sys/net/ipv4/conf/lo/log_martians = 1" in done.stdout


def test_what_cleans_up_after_itself_passes(tmp_path: Path) -> None:
    done = run_suite(tmp_path, CLEAN)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
