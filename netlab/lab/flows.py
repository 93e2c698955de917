"""What the nodes' connection tracking is made to know and to forget, for faults.

A flow that was sent while no rule was for it stays untranslated, for two minutes (nf_conntrack_tcp_timeout_syn_sent),
and so does every new one that happens to come from the same port: what is over is forgotten once something was broken
or healed, so that new flows meet what is true now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from netlab.api.sync_client import SyncClient
from netlab.faults.steps import Remember
from netlab.kernel import conntrack
from netlab.kernel.conntrack import Flow, Status
from netlab.kernel.namespaces import inside
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Node
from netlab.model.paths import LabPaths
from netlab.model.rules import Family

Arguments = Mapping[str, str | int | float | None]
UDP = "udp"
CLOSED = frozenset({"CLOSE", "TIME_WAIT", "LAST_ACK"})


def forget_finished_flows(paths: LabPaths, _arguments: Arguments) -> str:
    """Of every node: flows that nobody answered, and TCP connections that are closed; `{"forgotten": how many}`."""
    with SyncClient(paths.api_socket) as client:
        nodes = [node.metadata.name for node in client.list(Node)[0]]
    forgotten = 0
    for name in nodes:
        with inside(_namespace(paths, name)):
            for family in Family:
                forgotten += conntrack.delete([flow for flow in conntrack.flows(family) if _is_over(flow)])
    return json.dumps({"forgotten": forgotten})


def remember_flow(paths: LabPaths, arguments: Arguments) -> str:
    """Add the flow of a step (`step`: a Remember as JSON) in its node, in the place of what is known of such a flow."""
    forget_flow(paths, arguments)
    step = Remember.model_validate_json(str(arguments["step"]))
    with inside(_namespace(paths, step.node)):
        conntrack.insert(
            UDP,
            (step.source, step.source_port),
            (step.destination, step.port),
            (step.became, step.became_port),
            seconds=step.seconds,
        )
    return json.dumps({})


def forget_flow(paths: LabPaths, arguments: Arguments) -> str:
    """Delete the flow of a step again; `{"forgotten": how many}`, 0 where it is no longer known."""
    step = Remember.model_validate_json(str(arguments["step"]))
    with inside(_namespace(paths, step.node)):
        flow = conntrack.find(UDP, (step.source, step.source_port), (step.destination, step.port))
        return json.dumps({"forgotten": conntrack.delete([flow]) if flow else 0})


def _namespace(paths: LabPaths, node: str) -> str:
    return network_namespace(paths.lab, Place(PlaceKind.NODE, node))


def _is_over(flow: Flow) -> bool:
    return Status.SEEN_REPLY not in flow.status or flow.state in CLOSED
