"""`netlab modes` as it is typed, by root and by an ordinary user."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from netlab_command import NETLAB, Caller, Done, comes_true, pid_namespaces

from netlab.model.modes import ProxyMode

CERTAIN = {*ProxyMode} - {ProxyMode.IPVS}
pytestmark = pytest.mark.root


@pytest.fixture(params=["root", "user"])
def somebody(request: pytest.FixtureRequest) -> Caller:
    """Who types."""
    caller: Caller = request.getfixturevalue(request.param)
    return caller


def test_every_mode_that_a_lab_can_have_here_works_here(somebody: Caller) -> None:
    found = somebody.json("modes")
    works = {each["mode"] for each in found["modes"] if each["usable"]}
    assert (found["kind"], found["rootless"]) == ("ModeComparison", not somebody.is_root)
    assert works >= CERTAIN


def test_measuring_prints_figures_alone_and_tells_the_steps_on_standard_error(somebody: Caller) -> None:
    done = somebody.run("modes", "--measure", "--services", "3", "-o", "json")
    figures = {each["mode"]: each["measurements"] for each in json.loads(done.out)["modes"]}
    assert all(each["problem"] == "" and each["connection"] for mode in CERTAIN for each in figures[mode])
    assert {mode for mode in CERTAIN if f"mode {mode} among 3 Services" in done.err} == CERTAIN


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_a_measurement_that_is_broken_off_leaves_no_process(somebody: Caller, number: signal.Signals) -> None:
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with somebody.start("modes", "--measure", **pipes) as process:
        assert process.stderr
        assert "mode iptables" in process.stderr.readline()
        assert pid_namespaces()
        process.send_signal(number)
        process.wait(10)
    assert comes_true(lambda: not pid_namespaces())


def without_network_namespaces(somebody: Caller, *arguments: str) -> Done:
    """The command where the kernel gives no more of them."""
    script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    words = ("--user", "--map-root-user", "sh", "-c", script, "sh", NETLAB, *arguments)
    return somebody.run(*words, program="unshare")


def test_who_gets_no_namespaces_is_told_so_of_every_mode(somebody: Caller) -> None:
    done = without_network_namespaces(somebody, "modes", "-o", "json")
    modes = json.loads(done.out)["modes"]
    assert [each["mode"] for each in modes] == [mode.value for mode in ProxyMode]
    assert all(not each["usable"] and "namespaces" in each["missing"] and each["remedy"] for each in modes)


def test_who_gets_no_namespaces_cannot_measure(somebody: Caller) -> None:
    done = without_network_namespaces(somebody, "modes", "--measure")
    assert (done.status, done.out) == (3, "")
    assert "namespaces" in done.err
