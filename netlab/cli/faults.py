"""break, heal: faults on purpose."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netlab.cli.options import Lab
from netlab.cli.output import say


class Fault(StrEnum):
    """What can be broken."""

    KUBE_PROXY_STOPPED = "kube-proxy-stopped"


FaultName = Annotated[
    Fault, typer.Argument(metavar="FAULT", help="kube-proxy-stopped: a node's rules stay as they are.")
]
Node = Annotated[str, typer.Option("--on", metavar="NODE", help="The node to break.")]


def break_(fault: FaultName, node: Node, lab: Lab = None) -> None:
    """Put a fault into a lab; `heal` takes it out again."""
    _set_proxy(lab, node, running=False)
    say(f"{fault} on {node}: its rules stay as they are, and no change reaches them")


def heal(fault: FaultName, node: Node, lab: Lab = None) -> None:
    """Take a fault out of a lab."""
    _set_proxy(lab, node, running=True)
    say(f"{fault} on {node} is healed: its kube-proxy runs and catches up")


def _set_proxy(lab: str | None, node: str, *, running: bool) -> None:
    from netlab.api.sync_client import SyncClient
    from netlab.lab import control
    from netlab.lab.find import find
    from netlab.lab.messages import AgentKind
    from netlab.model.objects import Node as NodeObject

    paths = find(lab)
    with SyncClient(paths.api_socket) as client:
        name = client.get(NodeObject, node.removeprefix("node/")).metadata.name
    control.set_agent(paths, AgentKind.KUBE_PROXY, name, running=running)
