"""How the lab's owner reaches its API server by TLS: from this machine, or from the lab's own wires."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import NotFound
from netlab.kernel import namespaces
from netlab.lab import control
from netlab.lab.entrances import bound
from netlab.model.access import ServerAccess
from netlab.model.paths import LabPaths

ADMIN = "admin"
LOOPBACK = "127.0.0.1"


def local_access(paths: LabPaths) -> ServerAccess:
    """The administrator's access on the loopback of this process's network; the lab listens there from now on.

    One port for each network that asks: a second call gets the same. It is closed when the lab ends.
    """
    where = namespaces.current()
    with bound(LOOPBACK, 0) as entrance:
        address = control.open_entrance(paths, f"loopback {where}", entrance, where=where)
    return _administrator(paths, f"https://{address}")


def wire_access(paths: LabPaths) -> ServerAccess:
    """The administrator's access from Pods, nodes and machines outside."""
    return _administrator(paths, _text(paths, paths.server_url))


def _administrator(paths: LabPaths, url: str) -> ServerAccess:
    certificate = _text(paths, paths.certificate(ADMIN))
    return ServerAccess(url=url, authority=_text(paths, paths.authority), certificate=certificate)


def _text(paths: LabPaths, file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        raise NotFound(f"lab {paths.lab} has no certificates yet: its first nodes have not come") from None
