"""Every training lab: unsolved at first, solved by each of its solutions, not by what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from netlab_command import Caller
from training_desk import LIBRARY, NAMES, learner

from netlab.model.modes import ProxyMode
from netlab.model.training import LabSpec
from netlab.training.desk import drawn_faults
from netlab.training.loading import LabFolder, load_folder

SPECS = {name: load_folder(LIBRARY / name).spec for name in NAMES}
NEEDS_IP_VS = pytest.mark.ipvs
GUEST_SECONDS = 400
"""A lab is started several times here, and in user-mode-linux a fork takes ten times as long."""


def cases() -> list[object]:
    """Each lab in each of its modes; in its own with as many seeds as it takes to draw each of its faults."""
    return [
        case(name, mode, seed)
        for name, spec in SPECS.items()
        for mode in spec.modes
        for seed in (seeds(spec) if mode is spec.modes[0] else seeds(spec)[:1])
    ]


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


def solutions(folder: LabFolder, mode: ProxyMode) -> tuple[Path, ...]:
    """The solutions that are tried in that mode: each one in some mode, and in each mode one at least.

    Mode ipvs, which few machines have, is beside that: where it is not the lab's own, the first solution is tried.
    """
    modes = [each for each in folder.spec.modes if each is not ProxyMode.IPVS]
    if mode in modes:
        return folder.solutions[modes.index(mode) :: len(modes)]
    return folder.solutions[:1] if modes else folder.solutions


@pytest.mark.root
@pytest.mark.timeout(GUEST_SECONDS)
@pytest.mark.parametrize(("name", "mode", "seed"), cases())
def test_a_lab_is_unsolved_at_first_and_solved_by_what_is_right_alone(
    root: Caller, name: str, mode: ProxyMode, seed: int
) -> None:
    own, first = mode is SPECS[name].modes[0], seed == seeds(SPECS[name])[0]
    with learner(root, name, "--mode", mode, "--seed", str(seed)) as somebody:
        assert somebody.unmet() != [], "a lab that nobody worked on is solved"
        for mistake in somebody.folder.mistakes if own and first else ():
            somebody.run(mistake)
            assert somebody.unmet() != [], f"{mistake.name} passes"
            somebody.reset()
        for number, solution in enumerate(solutions(somebody.folder, mode)):
            if number:
                somebody.reset()
            somebody.run(solution)
            assert somebody.unmet() == [], solution.name
