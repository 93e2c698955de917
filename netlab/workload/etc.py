"""The files of /etc that a place sees as its own: hosts, hostname, resolv.conf, as a kubelet writes them.

A Pod resolves names by the cluster's DNS at the tenth address of the Service range, with the search path and `ndots:5`
that make `web`, `web.default` and `web.default.svc` all names of one Service. A node or an external machine knows no
resolver: none of the host's can be reached from a lab.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from netlab.dns.addon import CLUSTER_DOMAIN, dns_addresses
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Pod
from netlab.model.topology import Cidr

_LOOPBACK = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


@dataclass(frozen=True, slots=True)
class EtcFiles:
    """The text of each file."""

    hosts: str
    hostname: str
    resolv_conf: str


def pod_hostname(pod: Pod) -> str:
    """What `hostname` says in the Pod: at most 63 characters, ending in a letter or digit, as Kubernetes cuts it."""
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def pod_network_namespace(lab: str, pod: Pod, node: str) -> str:
    """The network namespace that the Pod's containers are in: its own, or with hostNetwork the node's."""
    if pod.spec.host_network:
        return network_namespace(lab, Place(PlaceKind.NODE, node))
    namespace = pod.metadata.namespace or "default"
    return network_namespace(lab, Place(PlaceKind.POD, pod.metadata.name, namespace))


def pod_files(pod: Pod, service_cidrs: Iterable[Cidr]) -> EtcFiles:
    """What a Pod with a network namespace of its own sees."""
    name, namespace = pod_hostname(pod), pod.metadata.namespace or "default"
    names = name
    if pod.spec.subdomain:
        names = f"{name}.{pod.spec.subdomain}.{namespace}.svc.{CLUSTER_DOMAIN} {name}"
    own = tuple(f"{address.ip}\t{names}" for address in pod.status.pod_ips)
    search = " ".join(f"{part}{CLUSTER_DOMAIN}" for part in (f"{namespace}.svc.", "svc.", ""))
    servers = tuple(f"nameserver {address}" for address in dns_addresses(service_cidrs))
    return EtcFiles(
        hosts=_lines("# as the kubelet of a cluster writes it", *_LOOPBACK, *own),
        hostname=_lines(name),
        resolv_conf=_lines(*servers, f"search {search}", "options ndots:5"),
    )


def machine_files(name: str, machines: Mapping[str, Iterable[str]]) -> EtcFiles:
    """What a node or an external machine sees; `machines` are all of these by name, with their addresses."""
    known = tuple(f"{address}\t{other}" for other, addresses in machines.items() for address in addresses)
    return EtcFiles(
        hosts=_lines(*_LOOPBACK, *known),
        hostname=_lines(name),
        resolv_conf=_lines("# no resolver: Pods alone ask the cluster's DNS"),
    )


def write_files(etc: Path, namespace: str, files: EtcFiles) -> Path:
    """Write them as the files of that network namespace, below the lab's `etc` folder, which is made; their folder.

    A file that is there already is rewritten in place: commands that run have it mounted.
    """
    folder = etc / namespace
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"hosts": files.hosts, "hostname": files.hostname, "resolv.conf": files.resolv_conf}
    switch = name_service_switch()
    for name, text in (texts | ({"nsswitch.conf": switch} if switch else {})).items():
        path = folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)
            file.write(text)
    return folder


def remove_files(etc: Path, namespace: str) -> None:
    """Take them away again, whether or not they are there."""
    shutil.rmtree(etc / namespace, ignore_errors=True)


def name_service_switch(machine: Path = Path("/etc/nsswitch.conf")) -> str:
    """The machine's nsswitch.conf(5) with names looked up in hosts and by DNS alone; empty where it has none.

    Without it `resolve` or `mdns` would ask daemons of the host over unix sockets, which no network namespace hides.
    """
    try:
        lines = machine.read_text().splitlines()
    except OSError:
        return ""
    return _lines(*("hosts: files dns" if line.startswith("hosts:") else line for line in lines))


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
