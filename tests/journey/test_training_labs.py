"""Every training lab: unsolved at first, solved by each of its solutions, not by what only looks like one."""

from __future__ import annotations

import pytest
from netlab_command import Caller
from training_desk import LIBRARY, NAMES, learner

from netlab.model.modes import ProxyMode
from netlab.model.training import LabSpec
from netlab.training.desk import drawn_faults
from netlab.training.loading import load_folder

SPECS = {name: load_folder(LIBRARY / name).spec for name in NAMES}
NEEDS_IP_VS = pytest.mark.ipvs


def cases() -> list[object]:
    """Each lab in its own mode, with as many seeds as it takes to draw each of its faults."""
    return [case(name, spec.modes[0], seed) for name, spec in SPECS.items() for seed in seeds(spec)]


def others() -> list[object]:
    """Each lab in its other modes."""
    return [case(name, mode, 0) for name, spec in SPECS.items() for mode in spec.modes[1:]]


def case(name: str, mode: ProxyMode, seed: int) -> object:
    marks = [NEEDS_IP_VS] if mode is ProxyMode.IPVS else []
    return pytest.param(name, mode, seed, id=f"{name} in mode {mode}" + (f", seed {seed}" if seed else ""), marks=marks)


def seeds(spec: LabSpec) -> list[int]:
    """Few seeds that draw, together, each fault that can be drawn."""
    if spec.draw is None:
        return [0]
    missing = {
        (fault.fault, fault.victim) for fault in spec.draw.from_ if not fault.modes or spec.modes[0] in fault.modes
    }
    found = []
    while missing:
        drawn = {
            seed: {(f.fault, f.victim) for f in drawn_faults(spec, mode=spec.modes[0], seed=seed)} for seed in range(60)
        }
        best = max(drawn, key=lambda seed: len(drawn[seed] & missing))
        found.append(best)
        missing -= drawn[best]
    return found


@pytest.mark.root
@pytest.mark.parametrize(("name", "mode", "seed"), cases())
def test_a_lab_is_unsolved_at_first_and_solved_by_what_is_right_alone(
    root: Caller, name: str, mode: ProxyMode, seed: int
) -> None:
    with learner(root, name, "--mode", mode, "--seed", str(seed)) as somebody:
        assert somebody.unmet() != [], "a lab that nobody worked on is solved"
        first = seed == seeds(SPECS[name])[0]
        for mistake in somebody.folder.mistakes if first else ():
            somebody.run(mistake)
            assert somebody.unmet() != [], f"{mistake.name} passes"
            somebody.reset()
        for number, solution in enumerate(somebody.folder.solutions if first else somebody.folder.solutions[:1]):
            if number:
                somebody.reset()
            somebody.run(solution)
            assert somebody.unmet() == [], solution.name


@pytest.mark.root
@pytest.mark.parametrize(("name", "mode", "seed"), others())
def test_a_lab_is_unsolved_and_then_solved_in_its_other_modes(
    root: Caller, name: str, mode: ProxyMode, seed: int
) -> None:
    with learner(root, name, "--mode", mode, "--seed", str(seed)) as somebody:
        assert somebody.unmet() != [], "a lab that nobody worked on is solved"
        somebody.run(somebody.folder.solutions[0])
        assert somebody.unmet() == []
