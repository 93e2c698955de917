"""Every file of topologies/ comes up, is what it says, and goes without a trace; for root and for anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from netlab_command import PREFIX, TOPOLOGIES, Caller, topology

IPVS = "ipvs"
FILES = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml") if path.stem != IPVS)


def holds_and_goes(caller: Caller, file: str) -> None:
    name = f"{PREFIX}-{file}"
    with caller.lab(name, topology(file, name=name)) as lab:
        assert lab.failures() == []
        assert lab.json("status")["phase"] == "Running"


@pytest.mark.root
@pytest.mark.parametrize("file", FILES)
def test_a_topology_holds_what_it_says_and_leaves_nothing_for_root(root: Caller, file: str) -> None:
    holds_and_goes(root, file)


@pytest.mark.parametrize("file", FILES)
def test_a_topology_holds_what_it_says_and_leaves_nothing_for_an_ordinary_user(user: Caller, file: str) -> None:
    holds_and_goes(user, file)


@pytest.mark.root
@pytest.mark.ipvs
def test_the_lab_of_mode_ipvs_holds_what_it_says_and_leaves_nothing(root: Caller) -> None:
    holds_and_goes(root, IPVS)


@pytest.mark.root
def test_a_kernel_without_ipvs_refuses_the_lab_by_name_and_nothing_of_it_stays(root: Caller) -> None:
    if Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has ip_vs")
    is_refused(root, "ip_vs")


def test_an_ordinary_user_cannot_have_mode_ipvs_and_is_told_why(user: Caller) -> None:
    is_refused(user, "modprobe ip_vs" if not Path("/proc/net/ip_vs").exists() else "as root")


def is_refused(caller: Caller, said: str) -> None:
    name = f"{PREFIX}-{IPVS}"
    done = caller.run("up", str(caller.file(f"{name}.yaml", topology(IPVS, name=name))))
    assert (done.status, done.out) == (3, "")
    assert "proxy mode ipvs" in done.err
    assert said in done.err
    assert name not in caller.ok("ls")
