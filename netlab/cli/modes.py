"""set-mode: the proxy mode of a lab that is up."""

from __future__ import annotations

from typing import Annotated

import typer

from netlab.cli.options import Lab
from netlab.cli.output import Progress, say
from netlab.model.modes import ProxyMode

ModeName = Annotated[ProxyMode, typer.Argument(metavar="MODE", help="iptables, nftables, ipvs or userspace.")]
Node = Annotated[str | None, typer.Option("--on", metavar="NODE", help="This node alone.")]


def set_mode(mode: ModeName, node: Node = None, lab: Lab = None) -> None:
    """Change the proxy mode of a running lab.

    Of every node, or of one. Connections that are established go on; the rules of the other mode go.
    """
    from netlab.lab.find import find
    from netlab.lab.modes import set_mode as change

    progress = Progress()
    name = node.removeprefix("node/") if node else None
    try:
        change(find(lab), mode, node=name, progress=progress)
    finally:
        progress.done()
    say(f"{name or 'every node'} is in mode {mode}")
