"""How far a learner has come: a file of theirs, which outlives their labs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from netlab.errors import InvalidInput, Problem
from netlab.lab.lock import one_at_a_time
from netlab.model.modes import ProxyMode
from netlab.model.status import Row
from netlab.model.training import FaultEntry


class Session(Row):
    """A lab that was started: `seed` drew its faults, `started` is in seconds since 1970."""

    folder: str
    mode: ProxyMode
    seed: int
    started: float
    faults: tuple[FaultEntry, ...] = ()
    answers: dict[str, str] = Field(default_factory=dict)


class Attempt(Row):
    """One `check`: when, whether all was met, and what was not."""

    at: float
    passed: bool
    unmet: tuple[str, ...] = ()


class LabProgress(Row):
    """What a learner did with one lab. `session` is set while it is started."""

    session: Session | None = None
    attempts: tuple[Attempt, ...] = ()
    hints: int = 0
    solution_shown: bool = False
    solved_in_seconds: float | None = None

    @property
    def state(self) -> str:
        """new, started, tried or solved."""
        if self.solved_in_seconds is not None:
            return "solved"
        return "tried" if self.attempts else "started" if self.session else "new"


class Progress(Row):
    """The whole file."""

    api_version: Literal["netlab/v1"] = "netlab/v1"
    kind: Literal["TrainingProgress"] = "TrainingProgress"
    labs: dict[str, LabProgress] = Field(default_factory=dict)


def state_file() -> Path:
    """$XDG_STATE_HOME/netlab/training.json; without that variable under ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path("~/.local/state").expanduser()) / "netlab" / "training.json"


class ProgressFile:
    """Reads and writes it; a reader, and a writer that was killed, leave the old text or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Progress:
        """What is in it. InvalidInput: it was not netlab that wrote it."""
        try:
            return Progress.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Progress()
        except ValidationError as error:
            said = f"cannot be understood: {error.errors()[0]['msg']}"
            problem = Problem(str(self._path), 0, 0, "", said, "move it away: labs then count as new")
            raise InvalidInput([problem]) from error

    def of(self, lab: str) -> LabProgress:
        """What was done with that lab."""
        return self.read().labs.get(lab, LabProgress())

    def change(self, lab: str, change: Callable[[LabProgress], LabProgress]) -> LabProgress:
        """Change what is known of one lab; what it is then."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with one_at_a_time(self._path.with_suffix(".lock")):
            progress = self.read()
            changed = change(progress.labs.get(lab, LabProgress()))
            fresh = self._path.with_suffix(".new")
            whole = progress.model_copy(update={"labs": {**progress.labs, lab: changed}})
            fresh.write_text(whole.model_dump_json(by_alias=True, indent=2))
            os.replace(fresh, self._path)
        return changed
