"""Every file of topologies/ comes up, is what it says, and goes without a trace; for root and for anybody else."""

from __future__ import annotations

import pytest
from netlab_command import PREFIX, TOPOLOGIES, Caller, topology

FILES = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))


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
