"""Has the nodes' connection tracking forget what is over, so that what a fault did to old flows meets no new one.

A flow that was sent while no rule was for it stays untranslated, for two minutes (nf_conntrack_tcp_timeout_syn_sent),
and so does every new one that happens to come from the same port.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from netlab.api.sync_client import SyncClient
from netlab.kernel import conntrack
from netlab.kernel.conntrack import Flow, Status
from netlab.kernel.namespaces import inside
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Node
from netlab.model.paths import LabPaths
from netlab.model.rules import Family

CLOSED = frozenset({"CLOSE", "TIME_WAIT", "LAST_ACK"})


def forget_finished_flows(paths: LabPaths, _arguments: Mapping[str, str | int | float | None]) -> str:
    """Of every node: flows that nobody answered, and TCP connections that are closed; `{"forgotten": how many}`."""
    with SyncClient(paths.api_socket) as client:
        nodes = [node.metadata.name for node in client.list(Node)[0]]
    forgotten = 0
    for name in nodes:
        with inside(network_namespace(paths.lab, Place(PlaceKind.NODE, name))):
            for family in Family:
                forgotten += conntrack.delete([flow for flow in conntrack.flows(family) if _is_over(flow)])
    return json.dumps({"forgotten": forgotten})


def _is_over(flow: Flow) -> bool:
    return Status.SEEN_REPLY not in flow.status or flow.state in CLOSED
