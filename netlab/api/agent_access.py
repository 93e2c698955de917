"""How a node's agents reach their lab's API server."""

from __future__ import annotations

from netlab.model.access import ServerAccess
from netlab.model.paths import LabPaths


def agent_access(paths: LabPaths, agent: str) -> ServerAccess:
    """The access of `kubelet-NODE` or `kube-proxy-NODE`: over the lab's wires, with the agent's own certificate.

    Where it was given none, as by a test that serves objects alone, it asks at the lab's unix socket.
    """
    try:
        certificate = paths.certificate(agent).read_text()
        url, authority = paths.server_url.read_text(), paths.authority.read_text()
    except FileNotFoundError:
        return ServerAccess(url="http://api", socket=paths.api_socket)
    return ServerAccess(url=url, authority=authority, certificate=certificate, in_lab=True)
