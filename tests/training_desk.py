"""A learner in a test: labs that are started, worked on by scripts, graded, and gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from netlab_command import NETLAB, SYSTEM_PATH, Caller, Done

from netlab.training.desk import Desk
from netlab.training.loading import LabFolder, load_folder
from netlab.training.progress import ProgressFile

LIBRARY = Path(__file__).parents[1] / "topologies" / "labs"
NAMES = sorted(path.name for path in LIBRARY.iterdir())
SCRIPT_SECONDS = 280


class Learner:
    """Who works on one lab, which is up."""

    def __init__(self, caller: Caller, folder: LabFolder) -> None:
        self.caller, self.folder = caller, folder

    def lab(self, command: str, *arguments: str) -> Done:
        """`netlab lab COMMAND NAME`."""
        return self.caller.run("lab", command, self.folder.name, *arguments)

    def unmet(self) -> list[str]:
        """The requirements that are not met, with what was seen; asked without a command, which takes longer."""
        progress = ProgressFile(self.caller.home / ".local/state/netlab/training.json")
        graded = Desk(progress, time.time).check(self.folder.name)
        assert graded.passed == all(each.met for each in graded.requirements), "in time"
        return [f"{each.name}: {each.observed}" for each in graded.requirements if not each.met]

    def reset(self) -> None:
        done = self.lab("reset")
        assert done.status == 0, done.err

    def run(self, script: Path) -> None:
        """Run a script, which must not fail; `netlab` in it goes to this lab."""
        told = {"PATH": f"{Path(NETLAB).parent}:{SYSTEM_PATH}", "NETLAB_LAB": self.folder.name}
        done = replace(self.caller, environment=told).run(
            "-eu", str(script), program="/bin/bash", seconds=SCRIPT_SECONDS
        )
        assert done.status == 0, f"{script.name}: {done.status}\n{done.out}{done.err}"


@contextmanager
def learner(caller: Caller, name: str, *options: str, labs: Path = LIBRARY) -> Iterator[Learner]:
    """Somebody for whom the lab is started inside the block, and gone after it."""
    folder = load_folder(labs / name)
    try:
        caller.ok("lab", "start", name, "--labs", str(labs), *options)
        yield Learner(caller, folder)
    finally:
        caller.run("down", name)
