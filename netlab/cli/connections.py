"""conntrack: what a node remembers of the flows that it has seen, with the names of Services and Pods."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netlab.cli.options import Format, Lab, Output
from netlab.cli.output import emit

Node = Annotated[str, typer.Argument(metavar="NODE", help="A node, as NAME or node/NAME.")]


class Proto(StrEnum):
    """What `--proto` takes."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"
    ICMPV6 = "icmpv6"


def conntrack(
    node: Node,
    *,
    service: Annotated[
        str | None, typer.Option("--service", "-s", metavar="NAME", help="Only what was sent to that Service.")
    ] = None,
    proto: Annotated[Proto | None, typer.Option("--proto", "-p", help="Only flows of that protocol.")] = None,
    lab: Lab = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the connections that a node tracks.

    Who asked whom, who answers whom in the node's translation, and for how many seconds the node will remember it.
    """
    from netlab.cli.flow_table import flow_rows
    from netlab.lab import questions
    from netlab.lab.find import find

    table = questions.conntrack(find(lab), node.removeprefix("node/"))
    wanted = None if service is None else f"service/{service.removeprefix('service/').removeprefix('default/')}"
    flows = tuple(
        flow
        for flow in table.flows
        if wanted in (None, flow.service) and proto in (None, *(each for each in Proto if each == flow.protocol))
    )
    shown = table.model_copy(update={"flows": flows})
    emit(shown.model_dump(mode="json", by_alias=True), output, lambda: flow_rows(shown))
