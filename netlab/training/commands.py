"""Commands in a lab that the grader waits for, never longer than it has to."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.lab import control
from netlab.lab.control import Output
from netlab.model.names import Place
from netlab.model.paths import LabPaths

PATIENCE_SECONDS = 10
TIMED_OUT = 124
"""What timeout(1) ends with then."""


def output(paths: LabPaths, where: Place, command: Sequence[str]) -> Output:
    """Run a command in a place to its end, or until PATIENCE_SECONDS are over. NetlabError: there is no such place."""
    return control.output(paths, where, ("env", "LC_ALL=C", "timeout", str(PATIENCE_SECONDS), *command))
