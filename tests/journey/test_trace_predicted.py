"""The model against the kernel: every packet fares as foretold, in each proxy mode."""

from __future__ import annotations

import pytest
from netlab_command import PREFIX, TOPOLOGIES, Caller, topology
from trace_lab import all_pairs, differences, disagreements, expected_pairs

from netlab.lab.view import running_view
from netlab.model.modes import ProxyMode
from netlab.model.paths import LabPaths

FILES = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml") if path.stem != "ipvs")
MODES = (ProxyMode.IPTABLES, ProxyMode.NFTABLES, ProxyMode.USERSPACE)
THIRD = 3
"""Of the pairs of places only every third is tried, so that a busy machine has done in time."""


@pytest.mark.root
@pytest.mark.parametrize("file", FILES)
def test_what_a_topology_expects_is_traced_hop_by_hop_as_foretold_in_every_mode(root: Caller, file: str) -> None:
    name = f"{PREFIX}-t-{file}"
    with root.lab(name, topology(file, name=name)) as lab:
        paths = LabPaths(name, lab.directory)
        pairs = expected_pairs(running_view(paths))
        assert pairs
        for mode in MODES:
            lab.ok("set-mode", mode.value)
            assert (mode, differences(paths, pairs)) == (mode, [])


@pytest.mark.root
@pytest.mark.ipvs
@pytest.mark.parametrize("file", [*FILES, "ipvs"])
def test_in_mode_ipvs_too(root: Caller, file: str) -> None:
    name = f"{PREFIX}-t-{file}"
    with root.lab(name, topology(file, name=name).replace("mode: nftables", "mode: iptables")) as lab:
        paths = LabPaths(name, lab.directory)
        lab.ok("set-mode", ProxyMode.IPVS.value)
        assert differences(paths, expected_pairs(running_view(paths))) == []


@pytest.mark.root
def test_from_everywhere_to_everything_the_model_is_right(root: Caller) -> None:
    name = f"{PREFIX}-t-all"
    with root.lab(name, topology("nodeport", name=name)) as lab:
        paths = LabPaths(name, lab.directory)
        pairs = all_pairs(running_view(paths))[::THIRD]
        assert len({from_ for from_, _ in pairs}) > 4
        assert disagreements(paths, pairs, count=2) == []


@pytest.mark.root
def test_a_running_lab_is_foretold_without_a_file_and_knows_who_is_not_ready(root: Caller) -> None:
    name = f"{PREFIX}-t-ready"
    with root.lab(name, topology("no-endpoints", name=name)) as lab:
        done = lab.run("trace", "pod/client", "service/sleepy:80", "--predict", "--expect", "refused")
        assert done.status == 0, done.err
        assert "Service default/sleepy has no ready endpoint: its Pod sleepy is not ready." in done.out


def test_a_file_is_enough_for_anybody(user: Caller) -> None:
    file = str(user.file("two.yaml", topology("two-nodes", name="nljny-file")))
    out = user.ok("trace", "pod/shell", "service/web:80", "--predict", "-f", file)
    assert out.startswith("pod/shell -> service/web:80: reached")
