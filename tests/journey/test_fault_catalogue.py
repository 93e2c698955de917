"""Every fault of the catalogue: before it all works; then it shows as documented and in no other way, and `netlab why`
names it as the cause; healed, all works.

What is broken is told by packets on thirteen ways through a lab (`fault_lab`): those that its story (`fault_stories`)
lists fare as listed, all others as ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import fault_lab
import pytest
from fault_lab import fares
from fault_stories import STORIES, TRIED_IN_IPVS, Story, story
from netlab_command import PREFIX, Caller, Lab, comes_true

from netlab.faults.names import FaultName

MODES = ("iptables", "nftables", "userspace")
RESTARTS = {FaultName.KUBE_PROXY_STOPPED, FaultName.API_UNREACHABLE, FaultName.RULES_FLUSHED}
"""Faults with which processes of the lab do not stay the same: each has a lab of its own."""
CASES = [*((mode, fault) for mode in MODES for fault in FaultName), *(("ipvs", fault) for fault in TRIED_IN_IPVS)]


def cases(kind: Callable[[str, FaultName], bool]) -> list[object]:
    """The modes and faults of that kind; a kernel with IPVS is asked for those of its mode alone."""
    marks = {"ipvs": [pytest.mark.ipvs]}
    return [pytest.param(*case, marks=marks.get(case[0], [])) for case in CASES if kind(*case)]


def is_shown(mode: str, fault: FaultName) -> bool:
    return story(fault, mode) is not None and fault not in RESTARTS


def is_shown_by_processes(mode: str, fault: FaultName) -> bool:
    return story(fault, mode) is not None and fault in RESTARTS


def is_refused(mode: str, fault: FaultName) -> bool:
    return story(fault, mode) is None


@pytest.fixture(scope="module")
def faulty(root: Caller, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab for all faults of a mode, one after the other; all is well at first, and after each test that passes."""
    mode: str = request.param
    name = f"{PREFIX}-{mode}"
    with root.lab(name, fault_lab.text(name, mode)) as up:
        assert settled(up, {}) == {}
        yield up


@pytest.fixture
def shared(faulty: Lab) -> Iterator[Lab]:
    """That lab, without any fault before and after."""
    yield faulty
    faulty.run("heal")


def test_every_fault_has_a_story() -> None:
    assert list(STORIES) == list(FaultName)


@pytest.mark.root
@pytest.mark.parametrize(("faulty", "fault"), cases(is_shown), indirect=["faulty"], scope="module")
def test_a_fault_shows_as_documented_is_named_and_is_gone_when_healed(shared: Lab, fault: FaultName) -> None:
    prove(shared, mode_of(shared), fault)


@pytest.mark.root
@pytest.mark.parametrize(("mode", "fault"), cases(is_shown_by_processes))
def test_a_fault_of_a_kube_proxy_shows_as_documented_is_named_and_is_gone_when_healed(
    root: Caller, mode: str, fault: FaultName
) -> None:
    name = f"{PREFIX}-{fault.value[:5]}-{mode}"
    with root.lab(name, fault_lab.text(name, mode)) as lab:
        prove(lab, mode, fault)


@pytest.mark.root
@pytest.mark.parametrize(("faulty", "fault"), cases(is_refused), indirect=["faulty"], scope="module")
def test_a_fault_without_meaning_in_a_mode_is_refused_by_its_name(shared: Lab, fault: FaultName) -> None:
    refused = shared.run("break", fault, *STORIES[fault].victim)
    assert (refused.status, refused.out) == (2, "")
    assert f"{fault} cannot be put into " in refused.err
    assert f"in mode {mode_of(shared)} " in refused.err


def mode_of(lab: Lab) -> str:
    return lab.name.rpartition("-")[2]


def prove(lab: Lab, mode: str, fault: FaultName) -> None:
    """All is well; with the fault packets fare as its story says and in no other way; healed, all is well again."""
    told = story(fault, mode)
    assert told
    assert looks_well(lab, told)
    lab.ok("break", fault, *told.victim)
    assert settled(lab, told.ways) == told.ways
    if told.sight:
        ill = told.sight.ill
        assert told.sight.look(lab) == (ill if isinstance(ill, str) else ill[mode])
    assert cause(lab, told.question, mode) == fault
    lab.ok("heal", fault, *told.victim)
    assert settled(lab, {}) == {}
    assert looks_well(lab, told)


def cause(lab: Lab, way: str, mode: str) -> str | None:
    """What `netlab why` says is the cause; with it comes a remedy."""
    from_, _, to = way.partition(" -> ")
    done = lab.run("why", from_, fault_lab.target(to, mode), "--timeout", "0.5", "-o", "json", seconds=240)
    found = json.loads(done.out)
    assert bool(found["cause"]) == bool(found["remedy"]) == bool(done.status)
    named: str | None = found["cause"]
    return named


def looks_well(lab: Lab, told: Story) -> bool:
    """Whether what else shows is as it is without the fault, or soon is."""
    sight = told.sight
    return sight is None or comes_true(lambda: sight.look(lab) == sight.well, within=30)


def settled(lab: Lab, expected: Mapping[str, str]) -> Mapping[str, str]:
    """How packets fare once it is as expected, or after some seconds.

    A readiness probe needs its time, and a kube-proxy that was cut off asks the API server every five seconds. The
    kernel with IPVS that the tests have takes several times as long for all of it.
    """
    seen: list[Mapping[str, str]] = []

    def as_expected() -> bool:
        seen.append(fares(lab))
        return seen[-1] == expected

    comes_true(as_expected, within=60 if mode_of(lab) == "ipvs" else 20)
    return seen[-1]
