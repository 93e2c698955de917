"""What kube-proxy does on a node in mode ipvs beside rules, sets and virtual servers, as commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.model.ipvs import DEVICE
from netlab.model.rules import IPAddress
from netlab.proxy.ipvs.settings import SYSCTLS


def preparation(namespace: str) -> Iterator[str]:
    """The settings and the interface, before everything else."""
    for sysctl in SYSCTLS:
        yield f"ip netns exec {namespace} sysctl -w {sysctl.key.replace('/', '.')}={sysctl.value}"
    yield f"ip -n {namespace} link add {DEVICE} type dummy"


def addresses(namespace: str, services: Iterable[IPAddress]) -> Iterator[str]:
    """The Services' addresses, which lead packets to the virtual servers that are there by then."""
    for address in sorted(services, key=str):
        yield f"ip -n {namespace} address add {address}/{address.max_prefixlen} dev {DEVICE}"
