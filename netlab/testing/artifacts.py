"""What is kept of a lab in which a test has failed: a folder a node, the packets, and a page that shows it all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from netlab.api.encoding import as_json
from netlab.errors import NetlabError, NotFound
from netlab.model.objects import Deployment, EndpointSlice, Event, Node, Pod, Service
from netlab.python import Lab, Spot
from netlab.testing.packets import Captured, read, write_of_place
from netlab.testing.report import Page, page

KINDS = (Node, Pod, Service, EndpointSlice, Deployment, Event)
COMMANDS = {
    "rules.txt": "iptables-save -c; ip6tables-save -c; nft list ruleset",
    "routes.txt": "ip address; echo; ip route show table all; echo; ip -6 route show table all; echo; ip rule; echo; "
    "ip neighbour",
}
"""By file, what a shell of a node runs; what is not installed says so in the file."""
SECONDS = 20.0
"""For one of them."""


def write_artifacts(lab: Lab, folder: Path, *, title: str, failure: str, story: str, capture: Path | None) -> None:
    """Write everything into `folder`, which is made anew. NetlabError, OSError: not all of it could be had."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    captured = _packets(folder, capture)
    texts = {node.name: _of_node(lab, node, folder / node.name, captured) for node in lab.nodes()}
    logs = _pod_logs(lab, folder / "pods")
    (folder / "objects.json").write_text(_objects(lab))
    (folder / "report.html").write_text(
        page(
            Page(
                title=title,
                lab=lab.name,
                failure=failure,
                story=story,
                drawing=lab.drawing(),
                captured=captured,
                nodes=texts,
                pods=logs,
            )
        )
    )


def _packets(folder: Path, capture: Path | None) -> Captured | None:
    if capture is None:
        return None
    shutil.copyfile(capture, folder / "packets.pcapng")
    return read(capture)


def _of_node(lab: Lab, node: Spot, folder: Path, captured: Captured | None) -> dict[str, str]:
    """Written as files of that folder too: by file, its text."""
    folder.mkdir()
    texts = {file: _output(node, command) for file, command in COMMANDS.items()}
    texts["conntrack.txt"] = _conntrack(lab, node)
    texts["kube-proxy.log"] = _log(node, "kube-proxy")
    texts["kubelet.log"] = _log(node, "kubelet")
    for file, text in texts.items():
        (folder / file).write_text(text)
    if captured:
        write_of_place(captured, str(node), folder / "packets.pcapng")
    return texts


def _output(spot: Spot, command: str) -> str:
    try:
        done = spot.exec(f"PATH=$PATH:/usr/sbin:/sbin; {command}", timeout=SECONDS)
    except NetlabError as error:
        return f"{error}\n"
    return f"{done.out}{done.err}"


def _conntrack(lab: Lab, node: Spot) -> str:
    try:
        flows = lab.conntrack(node.name).flows
    except NetlabError as error:
        return f"{error}\n"
    return "".join(
        f"{flow.family} {flow.protocol} {flow.state} {flow.timeout_seconds}s "
        f"{_end(flow.original.source)} > {_end(flow.original.destination)}, answered "
        f"{_end(flow.reply.source)} > {_end(flow.reply.destination)}\n"
        for flow in flows
    )


def _end(end: object) -> str:
    address, port, name = (getattr(end, part) for part in ("address", "port", "name"))
    return f"{address}:{port}{f' ({name})' if name else ''}"


def _log(spot: Spot, container: str | None = None) -> str:
    try:
        return spot.logs(container)
    except NotFound as error:
        return f"{error}\n"


def _pod_logs(lab: Lab, folder: Path) -> dict[str, str]:
    """By Pod; written as files of that folder too."""
    folder.mkdir()
    texts = {str(spot.place).removeprefix("pod/"): _log(spot) for spot in lab.pods(namespace=None)}
    for pod, text in texts.items():
        (folder / f"{pod.replace('/', '_')}.log").write_text(text)
    return texts


def _objects(lab: Lab) -> str:
    items = [as_json(value) for kind in KINDS for value in lab.list(kind, namespace=None)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)
