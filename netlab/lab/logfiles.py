"""Which file a log of a lab is."""

from __future__ import annotations

from pathlib import Path

from netlab.api.sync_client import SyncClient
from netlab.errors import InvalidInput, NotFound, Problem
from netlab.model.container_log import printed
from netlab.model.names import Place, PlaceKind
from netlab.model.objects import Pod
from netlab.model.paths import LabPaths

AGENTS = ("kube-proxy", "kubelet")


def with_logs(where: Place) -> Place:
    """The place, which must be one where something runs that logs."""
    if where.kind is PlaceKind.EXTERNAL:
        raise _wrong(f"{where} runs nothing that logs", "write pod/NAME or node/NAME")
    return where


def log_file(paths: LabPaths, where: Place, container: str | None = None) -> Path:
    """The log of a Pod's container (the first where none is named), or of a node's agent (kube-proxy where none is).

    NotFound: nothing was logged yet. InvalidInput: there is no such container or agent.
    """
    if where.kind is PlaceKind.POD:
        file = _of_pod(paths, where, container)
    else:
        agent = container or AGENTS[0]
        if agent not in AGENTS:
            raise _wrong(f"a node has no {agent!r}", f"it has {' and '.join(AGENTS)}")
        file = paths.log(f"{agent}-{where.name}")
    if not file.exists():
        raise NotFound(f"{where} has logged nothing yet in lab {paths.lab}")
    return file


def log_text(paths: LabPaths, where: Place, container: str | None = None) -> str:
    """What is in it: of a container what that printed, without its times. As `log_file`."""
    data = log_file(paths, where, container).read_bytes()
    return (printed(data) if where.kind is PlaceKind.POD else data).decode(errors="replace")


def _of_pod(paths: LabPaths, where: Place, container: str | None) -> Path:
    with SyncClient(paths.api_socket) as client:
        pod = client.get(Pod, where.name, namespace=where.namespace)
    names = [each.name for each in pod.spec.containers]
    if container is not None and container not in names:
        raise _wrong(f"{where} has no container {container!r}", f"it has {', '.join(names)}")
    return paths.container_log(where.namespace, where.name, container or names[0])


def _wrong(message: str, suggestion: str) -> InvalidInput:
    return InvalidInput([Problem("", 0, 0, "", message, suggestion)])
