"""Where a lab keeps its files: /run/netlab/<lab>/ for root, $XDG_RUNTIME_DIR/netlab/<lab>/ for anybody else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def runtime_directory() -> Path:
    """The folder that holds one folder a lab, for the user who asks.

    Without XDG_RUNTIME_DIR (cron, su) an ordinary user's labs live in /tmp/netlab-<uid>; who creates it makes it 0700.
    """
    if os.geteuid() == 0:
        return Path("/run/netlab")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "netlab" if runtime else Path(f"/tmp/netlab-{os.geteuid()}")


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The files of one lab. All of them lie in `directory`, which only its owner may enter."""

    lab: str
    directory: Path

    @classmethod
    def of(cls, lab: str) -> LabPaths:
        """The paths of the caller's lab of that name, whether or not it exists."""
        return cls(lab, runtime_directory() / lab)

    @property
    def lock(self) -> Path:
        """Held by flock(2) through one open file that every process of the lab inherits."""
        return self.directory / "lock"

    @property
    def command_lock(self) -> Path:
        """Held by the one `up` or `down` that is at work on the lab."""
        return self.directory / "command.lock"

    @property
    def control_socket(self) -> Path:
        """The lab process: run a command somewhere, start and stop agents, stop the lab."""
        return self.directory / "control.sock"

    @property
    def api_socket(self) -> Path:
        """The API server, HTTP."""
        return self.directory / "api.sock"

    def cut_off(self, node: str) -> Path:
        """A file that is there where a fault cuts the node's kube-proxy off: nobody listens on it."""
        return self.directory / "cut" / node

    @property
    def access(self) -> Path:
        """A folder of the authority's and everybody's certificates, with their keys."""
        return self.directory / "access"

    @property
    def authority(self) -> Path:
        """The certificate of the lab's authority, PEM."""
        return self.access / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """The same with its key."""
        return self.access / "authority.key"

    @property
    def server_certificate(self) -> Path:
        """The API server's certificate and key, PEM."""
        return self.access / "server.pem"

    @property
    def server_url(self) -> Path:
        """The URL of the API server on the lab's wires."""
        return self.access / "server.url"

    def certificate(self, client: str) -> Path:
        """A client's certificate and key, PEM: of `admin`, `kubelet-node1`, `kube-proxy-node1`."""
        return self.access / "clients" / f"{client}.pem"

    def substitute_kubeconfig(self, node: str) -> Path:
        """What a program in the place of a node's kube-proxy is given as KUBECONFIG."""
        return self.access / f"{node}.kubeconfig"

    @property
    def kubeconfig(self) -> Path:
        """What `netlab kubectl` gives to kubectl."""
        return self.directory / "kubeconfig"

    @property
    def kubectl_cache(self) -> Path:
        """Where kubectl keeps what it has learnt of the server."""
        return self.directory / "kubectl-cache"

    @property
    def database(self) -> Path:
        """The API server's objects."""
        return self.directory / "objects.db"

    @property
    def faults(self) -> Path:
        """The faults that are in force, and what takes each of them back."""
        return self.directory / "faults.json"

    @property
    def baseline(self) -> Path:
        """What `reset` brings the lab back to."""
        return self.directory / "baseline.json"

    @property
    def etc(self) -> Path:
        """A folder a namespace (hosts, hostname, resolv.conf), as /etc/netns is to `ip netns exec`."""
        return self.directory / "etc"

    @property
    def logs(self) -> Path:
        """A file a process of the lab and a file a container."""
        return self.directory / "logs"

    def log(self, process: str) -> Path:
        """The log of one process of the lab: `api`, `fabric`, `kubelet-node1`, `kube-proxy-node1`."""
        return self.logs / f"{process}.log"

    def container_log(self, namespace: str, pod: str, container: str) -> Path:
        """What one container of a Pod printed, both streams."""
        return self.logs / "pods" / f"{namespace}_{pod}_{container}.log"

    def kubelet_socket(self, node: str) -> Path:
        """Where a node's kubelet lets the API server attach to its containers."""
        return self.directory / f"kubelet-{node}.sock"


def previous_log(log: Path) -> Path:
    """Where a container's log goes when the container starts again."""
    return log.with_name(f"{log.name}.previous")
