"""How the lab's owner reaches its API server by TLS: from this machine, or from the lab's own wires."""

from __future__ import annotations

import base64
from pathlib import Path

from netlab.api.encoding import Json
from netlab.errors import NotFound
from netlab.kernel import namespaces
from netlab.lab import control
from netlab.lab.entrances import bound
from netlab.model.access import ServerAccess
from netlab.model.paths import LabPaths

ADMIN = "admin"
LOOPBACK = "127.0.0.1"
KEY = "-----BEGIN PRIVATE KEY-----"


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


def kubeconfig(lab: str, access: ServerAccess) -> dict[str, Json]:
    """A kubeconfig with that one access, which every client of Kubernetes takes; all in it is called after the lab.

    Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
    """
    name = context_name(lab)
    cluster: dict[str, Json] = {"certificate-authority-data": _encoded(access.authority), "server": access.url}
    user: dict[str, Json] = {
        "client-certificate-data": _encoded(access.certificate),
        "client-key-data": _encoded(access.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def context_name(lab: str) -> str:
    """What the lab is called in kubeconfigs."""
    return f"netlab-{lab}"


def _administrator(paths: LabPaths, url: str) -> ServerAccess:
    certificate, separator, key = _text(paths, paths.certificate(ADMIN)).partition(KEY)
    return ServerAccess(url=url, authority=_text(paths, paths.authority), certificate=certificate, key=separator + key)


def _text(paths: LabPaths, file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        raise NotFound(f"lab {paths.lab} has no certificates yet: its first nodes have not come") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
