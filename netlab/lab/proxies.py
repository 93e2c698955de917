"""Asking the kube-proxies how far they are: each answers on 127.0.0.1:10249 of its node, where its metrics are."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from netlab.api.sync_client import SyncClient
from netlab.errors import NotFound
from netlab.kernel.namespaces import inside
from netlab.lab.messages import AgentKind
from netlab.model.names import Place, PlaceKind, network_namespace
from netlab.model.objects import Node
from netlab.model.paths import LabPaths
from netlab.model.topology import Topology

METRICS_PORT = 10249
ASK_AGAIN_SECONDS = 0.02
"""Until a kube-proxy listens; nothing announces that it does."""
CONNECTED_WITHIN = 0.5
"""Seconds. What the node's rules did to a connection's first packet they do to all of it: a new one may fare better."""
Arguments = Mapping[str, str | int | float | None]


def report(paths: LabPaths, arguments: Arguments) -> str:
    """What each node's kube-proxy says of itself, by node, as JSON; null for one that does not answer.

    A program that the topology has put in its place is not asked: it may have nothing to say.

    With `services` and `endpointslices`, resourceVersions, each is asked to answer once it has followed the objects up
    to there (and is in its mode of `modes`, NODE=MODE with commas); `within` is the seconds that all of them have for
    it together. A node that has only just come may not even have its kube-proxy by then: it is asked again, unless its
    agent is among the `stopped` ones (names with commas). With `compare` each compares all of its rules first.
    """
    with SyncClient(paths.api_socket) as client:
        spec = client.get(Topology, paths.lab).spec
        names = [node.metadata.name for node in client.list(Node)[0]]
    nodes = [name for name in names if not spec.proxy_command(name)]
    within = float(arguments.get("within") or 0.0)
    deadline = time.monotonic() + within
    compare = {"compare": "yes"} if arguments.get("compare") else {}
    wanted = compare | (
        {key: str(arguments[key]) for key in ("services", "endpointslices") if arguments.get(key)} if within else {}
    )
    stopped = str(arguments.get("stopped") or "").split(",")
    until = {node: 0.0 if f"{AgentKind.KUBE_PROXY}-{node}" in stopped else deadline for node in nodes}
    modes = dict(pair.split("=") for pair in str(arguments.get("modes") or "").split(",") if pair)
    return json.dumps(
        {node: _answer(paths, node, wanted, mode=modes.get(node), deadline=until[node]) for node in nodes}
    )


def _answer(
    paths: LabPaths, node: str, wanted: Mapping[str, str], *, mode: str | None, deadline: float
) -> dict[str, object] | None:
    """What a kube-proxy answers, asked until it answers in that mode or the deadline is over, at least once."""
    while (answer := _ask(paths, node, wanted, deadline=deadline)) is None or mode not in (None, answer["mode"]):
        if time.monotonic() + ASK_AGAIN_SECONDS > deadline:
            return answer
        time.sleep(ASK_AGAIN_SECONDS)
    return answer


def _ask(paths: LabPaths, node: str, wanted: Mapping[str, str], *, deadline: float) -> dict[str, object] | None:
    seconds = max(0.1, deadline - time.monotonic())
    query = urlencode({**wanted, "within": f"{seconds:.3f}"})
    try:
        with inside(network_namespace(paths.lab, Place(PlaceKind.NODE, node))):
            connection = http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=CONNECTED_WITHIN)
            connection.connect()
    except (OSError, NotFound):
        return None
    try:
        connection.sock.settimeout(seconds + 1.0)
        connection.request("GET", f"/proxy-status?{query}")
        answer: dict[str, object] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer
