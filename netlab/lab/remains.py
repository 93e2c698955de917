"""What is still there of a lab that should be gone."""

from __future__ import annotations

from netlab.lab.find import leftover_namespaces
from netlab.lab.lock import holders
from netlab.model.paths import LabPaths

SHOWN = 3


def remains(paths: LabPaths) -> tuple[str, ...]:
    """Its processes, named namespaces and folder, in words; none where nothing is left."""
    pids = holders(paths.lock)
    processes = [f"processes {', '.join(map(str, pids[:SHOWN]))}{' ...' * (len(pids) > SHOWN)}"] if pids else []
    names = leftover_namespaces(paths.lab)
    namespaces = [f"network namespaces {', '.join(names[:SHOWN])}{' ...' * (len(names) > SHOWN)}"] if names else []
    folder = [f"folder {paths.directory}"] if paths.directory.exists() else []
    return (*processes, *namespaces, *folder)
