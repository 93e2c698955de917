"""Labs that exist, told from what is there: folders with a lab's lock, and network namespaces with a lab's name."""

from __future__ import annotations

import os

from netlab.errors import NotFound
from netlab.kernel import namespaces
from netlab.lab import folder
from netlab.lab.lock import is_running
from netlab.model.paths import LabPaths, runtime_directory
from netlab.model.status import LabSummary, Phase


def labs() -> tuple[LabSummary, ...]:
    """The caller's labs: running ones, and dead ones of which something is left."""
    directory = runtime_directory()
    folder.check_owner(directory)
    names = sorted(entry.name for entry in directory.iterdir() if entry.is_dir()) if directory.is_dir() else []
    return tuple(_summary(LabPaths(name, directory / name)) for name in names)


def _summary(paths: LabPaths) -> LabSummary:
    phase = Phase.RUNNING if is_running(paths) else Phase.DEAD
    return LabSummary(name=paths.lab, phase=phase, directory=str(paths.directory))


def find(lab: str | None) -> LabPaths:
    """The running lab of that name; with None the only one that runs. NotFound says which there are."""
    found = labs()
    running = [summary.name for summary in found if summary.phase is not Phase.DEAD]
    if lab is None and len(running) == 1:
        return LabPaths.of(running[0])
    if lab in running:
        return LabPaths.of(lab)
    if any(summary.name == lab for summary in found):
        raise NotFound(f"lab {lab} is dead: netlab up FILE starts it anew, netlab down {lab} clears away what is left")
    there = f"running labs: {', '.join(running)}" if running else "no lab is running: start one with netlab up FILE"
    if lab is None and running:
        raise NotFound(f"several labs are running, say which with --lab NAME ({there})")
    raise NotFound(f"there is no running lab {lab} ({there})" if lab else there)


def leftover_namespaces(lab: str) -> tuple[str, ...]:
    """The named network namespaces of a lab. Only root's labs have names that outlive their processes."""
    return namespaces.names_of(lab) if os.geteuid() == 0 else ()
