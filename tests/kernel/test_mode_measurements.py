"""What `netlab modes` tries and measures on this kernel, and where: in namespaces that end with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.lab.comparison import compare, compare_measured
from netlab.lab.measuring import Effort
from netlab.lab.throwaway import in_throwaway_namespaces
from netlab.model.comparison import Measurement, ModeComparison, ModeRow
from netlab.model.modes import ProxyMode

LITTLE = Effort(connections=60, rounds=3, transfers=3, transfer_bytes=1_000_000)
COUNTS = (2, 40)
CERTAIN = sorted({*ProxyMode} - {ProxyMode.IPVS})
"""Modes for which every machine that runs these tests has what they take."""
pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is told meanwhile is written."""
    return tmp_path_factory.mktemp("modes") / "steps"


@pytest.fixture(scope="module")
def measured(steps: Path) -> ModeComparison:
    """All modes, measured with little effort."""

    def note(step: str) -> None:
        with steps.open("a") as file:
            print(step, file=file)

    return compare_measured(COUNTS, effort=LITTLE, progress=note)


def row(found: ModeComparison, mode: ProxyMode) -> ModeRow:
    return next(each for each in found.modes if each.mode is mode)


def among_many(found: ModeComparison, mode: ProxyMode) -> Measurement:
    return row(found, mode).measurements[-1]


@pytest.mark.parametrize("mode", CERTAIN)
def test_a_mode_whose_labs_run_here_is_said_to_work_here(mode: ProxyMode) -> None:
    found = row(compare(), mode)
    assert (found.usable, found.missing, found.measurements) == (True, "", ())


def test_a_mode_that_does_not_work_here_is_told_with_what_is_missing_and_not_measured(measured: ModeComparison) -> None:
    others = [each for each in measured.modes if not each.usable]
    assert all(each.missing and each.remedy and not each.measurements for each in others)
    assert all(each.measurements and not each.missing for each in measured.modes if each.usable)


@pytest.mark.parametrize("mode", CERTAIN)
def test_every_number_of_services_is_measured_whole(measured: ModeComparison, mode: ProxyMode) -> None:
    found = row(measured, mode).measurements
    assert [(each.services, each.problem) for each in found] == [(count, "") for count in COUNTS]
    for each in found:
        assert each.first_sync_milliseconds
        assert each.connection
        assert each.transfer
        assert min(each.connection.service, each.connection.direct, each.connection.ratio) > 0
        assert min(each.transfer.service, each.transfer.direct, each.transfer.ratio) > 0


@pytest.mark.parametrize("mode", CERTAIN)
def test_the_kernel_holds_as_many_rules_more_as_a_service_is_said_to_cost(
    measured: ModeComparison, mode: ProxyMode
) -> None:
    few, many = (each.rules for each in row(measured, mode).measurements)
    cost = row(measured, mode).cost
    assert few
    assert many
    assert cost
    assert (many - few) / (COUNTS[1] - COUNTS[0]) == cost.rules


def test_a_process_between_client_and_pod_is_seen_in_the_time_that_a_connection_takes(measured: ModeComparison) -> None:
    ratios = {mode: (among_many(measured, mode).connection) for mode in CERTAIN}
    slow = ratios[ProxyMode.USERSPACE]
    assert slow
    assert all(each and each.ratio < slow.ratio for mode, each in ratios.items() if mode != ProxyMode.USERSPACE)


def test_each_step_is_told_before_it_is_taken(measured: ModeComparison, steps: Path) -> None:
    usable = [each.mode for each in measured.modes if each.usable]
    told = [line.rpartition(": ")[2] for line in steps.read_text().splitlines()]
    assert told == [f"mode {mode} among {count} Services" for count in COUNTS for mode in usable]


def test_what_is_tried_has_a_network_processes_and_a_run_of_its_own() -> None:
    def look() -> bytes:
        return f"{os.getpid()} {os.readlink('/proc/thread-self/ns/net')} {os.listdir('/run')}".encode()

    pid, network, run = in_throwaway_namespaces(look).decode().split(" ", 2)
    assert (pid, run) == ("1", "[]")
    assert network != os.readlink("/proc/thread-self/ns/net")


def test_what_ends_early_is_an_error_and_not_an_empty_answer() -> None:
    with pytest.raises(NetlabError, match="ended early"):
        in_throwaway_namespaces(lambda: os._exit(1))


def test_what_says_nothing_has_an_empty_answer() -> None:
    assert in_throwaway_namespaces(lambda: b"") == b""
