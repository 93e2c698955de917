"""`netlab modes`: every mode, what it is said to do, and how that is printed."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from netlab.cli.main import run
from netlab.cli.mode_reports import mode_comparison
from netlab.model.comparison import Measurement, ModeComparison, ModeRow, Paired
from netlab.model.modes import BY_PROCESS, ProxyMode
from netlab.proxy.behaviours import BEHAVIOURS
from netlab.proxy.costs import cost_of

WIDEST = 120
TELLING = ("mode", "usable", "missing", "remedy", "cost", "behaviour", "measurements")
MEASURED = Measurement(
    services=1000,
    first_sync_milliseconds=68.4,
    rules=8023,
    connection=Paired(service=75.2, direct=50.1, ratio=1.5),
    transfer=Paired(service=900.0, direct=1000.0, ratio=0.9),
)


def row(mode: ProxyMode, **others: object) -> ModeRow:
    return ModeRow(mode=mode, usable=True, cost=cost_of(mode), behaviour=BEHAVIOURS[mode]).model_copy(update=others)


def comparison(**others: object) -> ModeComparison:
    return ModeComparison(kernel="Linux 6.1", rootless=True, modes=tuple(row(mode, **others) for mode in ProxyMode))


def cells(found: ModeComparison, line: str) -> list[str]:
    """What a line of the table says, mode by mode."""
    (text,) = (each for each in mode_comparison(found).splitlines() if each.startswith(line))
    return re.split(r" {2,}", text[len(line) :].strip())


def test_every_mode_has_its_behaviour() -> None:
    assert set(BEHAVIOURS) == set(ProxyMode)


@pytest.mark.parametrize("mode", sorted({*ProxyMode} - {ProxyMode.IPVS}))
def test_what_a_service_costs_is_counted_in_every_mode_that_spells_rules(mode: ProxyMode) -> None:
    cost = cost_of(mode)
    assert cost is not None
    assert cost.rules >= 1


def test_a_service_of_two_endpoints_is_eight_rules_in_mode_iptables_as_kube_proxy_has_it() -> None:
    cost = cost_of(ProxyMode.IPTABLES)
    assert cost is not None
    assert (cost.rules, cost.entries) == (8, 0)


def test_in_mode_nftables_a_service_is_found_by_an_entry_and_not_by_a_rule() -> None:
    iptables, nftables = cost_of(ProxyMode.IPTABLES), cost_of(ProxyMode.NFTABLES)
    assert iptables is not None
    assert nftables is not None
    assert nftables.rules < iptables.rules
    assert nftables.entries > iptables.entries


def test_only_a_mode_whose_process_answers_is_dead_without_it() -> None:
    dead = {mode for mode, each in BEHAVIOURS.items() if each.without_process == "nobody answers"}
    assert dead == BY_PROCESS


def test_the_table_has_a_column_for_each_mode_and_fits_a_terminal() -> None:
    lines = mode_comparison(comparison(measurements=(MEASURED,))).splitlines()
    assert lines[2].split() == [mode.upper() for mode in ProxyMode]
    assert max(map(len, lines)) <= WIDEST


def test_every_behaviour_stands_in_the_table() -> None:
    found = mode_comparison(comparison())
    said = {value for each in BEHAVIOURS.values() for value in each.model_dump().values()}
    assert {value for value in said if value not in found} == set()


def test_a_mode_that_does_not_work_here_is_followed_by_what_is_missing_and_what_to_do() -> None:
    found = comparison(usable=False, missing="this kernel has no tables", remedy="use another kernel")
    assert cells(found, "works here") == ["no (see below)"] * len(ProxyMode)
    assert "iptables does not work here: this kernel has no tables: use another kernel\n" in mode_comparison(found)


def test_measurements_come_by_the_number_of_services_and_then_by_mode() -> None:
    few = MEASURED.model_copy(update={"services": 10})
    lines = mode_comparison(comparison(measurements=(MEASURED, few))).splitlines()
    rows = [line.split()[:2] for line in lines if line.endswith("0.90")]
    assert rows == [[mode.value, count] for count in ("10", "1000") for mode in ProxyMode]


def test_what_could_not_be_measured_is_told_with_its_reason() -> None:
    failed = Measurement(services=10, problem="no rules within 180 seconds")
    assert "ipvs, 10 Services: no rules within 180 seconds\n" in mode_comparison(comparison(measurements=(failed,)))


def test_the_document_names_its_kind_and_has_every_field_of_every_mode() -> None:
    document = comparison(measurements=(MEASURED,)).model_dump(mode="json", by_alias=True)
    assert (document["apiVersion"], document["kind"]) == ("netlab/v1", "ModeComparison")
    assert [each["mode"] for each in document["modes"]] == ["iptables", "nftables", "ipvs", "userspace"]
    assert all(tuple(each) == TELLING for each in document["modes"])
    assert document["modes"][0]["measurements"][0]["firstSyncMilliseconds"] == 68.4
    assert document["modes"][0]["behaviour"]["nodePortOnLoopback"] == "answers (IPv4)"


@pytest.mark.parametrize("counts", ["", "ten", "1", "10,", "10,-5", "1000000"])
def test_numbers_of_services_that_cannot_be_are_wrong_usage(counts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["modes", "--measure", "--services", counts]) == 2
    assert "--services" in capsys.readouterr().err


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_command_lists_every_mode_whatever_the_machine_can_do(
    form: str, read: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["modes", "-o", form]) == 0
    assert callable(read)
    assert [each["mode"] for each in read(capsys.readouterr().out)["modes"]] == [mode.value for mode in ProxyMode]
