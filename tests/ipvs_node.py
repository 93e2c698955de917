"""A node of mode ipvs on the stage of the packet tables, and what ipvsadm(8), ipset(8) and iptables say of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from proxy_kernel import KernelNode
from proxy_objects import CONFIG, endpoint_slice, node, service
from proxy_stage import NODE, Stage
from proxy_tables import Scene

from netlab.agents.kube_proxy.modes.iptables import IptablesMode
from netlab.agents.kube_proxy.modes.ipvs import IpvsMode
from netlab.kernel.namespaces import inside
from netlab.model.modes import ProxyMode
from netlab.model.rules import Family
from netlab.proxy.config import ProxyConfig

IPVS = replace(CONFIG, mode=ProxyMode.IPVS)


@contextmanager
def ipvs_node(places: Stage) -> Iterator[KernelNode]:
    """The node, with the test in its namespace; at the end there is nothing of any mode in it."""
    with inside(NODE):
        yield KernelNode(places)
        for mode in (IpvsMode(), IptablesMode()):
            mode.remove(tuple(Family))


def scene(
    *endpoints: dict[str, object],
    spec: dict[str, object] | None = None,
    status: dict[str, object] | None = None,
    config: ProxyConfig = IPVS,
) -> Scene:
    """The Service `web` with these endpoints."""
    objects = (node(), service(spec=spec, status=status), endpoint_slice(*endpoints))
    return Scene("", objects, config, ())


def said(command: str) -> str:
    """What a command that must succeed prints."""
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


def servers() -> set[str]:
    """`ipvsadm --save`, which is what `ipvsadm --restore` reads."""
    return {line.rstrip() for line in said("ipvsadm -Sn").splitlines()}


def members(name: str) -> set[str]:
    """The entries of an address set."""
    return set(said(f"ipset list {name}").partition("Members:\n")[2].split())


def rules(table: str) -> list[str]:
    """The rules of an IPv4 table."""
    return lines(said(f"iptables-legacy-save -t {table}"))


def lines(text: str) -> list[str]:
    """The rules in what iptables-save printed."""
    return [line for line in text.splitlines() if line.startswith("-A")]
