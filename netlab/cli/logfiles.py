"""Which file a log is, and showing it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from netlab.api.sync_client import SyncClient
from netlab.cli.mistakes import wrong
from netlab.errors import NotFound
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Pod
from netlab.model.paths import LabPaths

AGENTS = ("kube-proxy", "kubelet")


def with_logs(where: Place) -> Place:
    """The place, which must be one where something runs that logs."""
    if where.kind is PlaceKind.EXTERNAL:
        raise wrong(f"{where} runs nothing that logs", "write pod/NAME or node/NAME")
    return where


def log_file(paths: LabPaths, where: Place, container: str | None) -> Path:
    """The log of a Pod's container (the first where none is named), or of a node's agent (kube-proxy where none is)."""
    if where.kind is PlaceKind.POD:
        file = _of_pod(paths, where, container)
    else:
        agent = container or AGENTS[0]
        if agent not in AGENTS:
            raise wrong(f"a node has no {agent!r}", f"it has {' and '.join(AGENTS)}")
        file = paths.log(f"{agent}-{where.name}")
    if not file.exists():
        raise NotFound(f"{where} has logged nothing yet in lab {paths.lab}")
    return file


def _of_pod(paths: LabPaths, where: Place, container: str | None) -> Path:
    pod = SyncClient(paths.api_socket).get(Pod, where.name, namespace=where.namespace)
    names = [each.name for each in pod.spec.containers]
    if container is not None and container not in names:
        raise wrong(f"{where} has no container {container!r}", f"it has {', '.join(names)}")
    return paths.container_log(where.namespace, where.name, container or names[0])


def show(file: Path, *, tail: int | None, follow: bool) -> NoReturn:
    """Become tail(1), which waits for more by inotify and ends quietly with its reader."""
    lines = "+1" if tail is None else str(tail)
    arguments = ["tail", "-n", lines, *(["--follow=name"] if follow else []), "--", str(file)]
    os.execvp(arguments[0], arguments)
