"""Is there room for all the nodes and Pods of a file?"""

from __future__ import annotations

from netlab.load.documents import Documents
from netlab.load.ranges import Ranges, Written, read_range
from netlab.load.tree import Cursor
from netlab.model.topology import Cidr, PodLink, TopologySpec
from netlab.plan.addresses import NODE_SHARE_LENGTH

BRIDGE_PORTS = 1023
"""What a Linux bridge holds (BR_MAX_PORTS 1024 in net/bridge/br_private.h, less port 0)."""


def check_capacity(topology: Cursor, documents: Documents, ranges: Ranges) -> None:
    """Report more machines than the node range has addresses, more nodes than shares, more Pods than fit."""
    nodes, externals = topology.get("spec", "nodes"), topology.get("spec", "externals")
    machines = (len(nodes.items()) if nodes.present else len(TopologySpec().nodes)) + len(externals.items())
    place = nodes if nodes.present else topology.get("metadata", "name")
    if machines > BRIDGE_PORTS:
        place.error(f"{machines} machines on one wire: a Linux bridge has {BRIDGE_PORTS} ports")
    for written in ranges.of("nodeCIDRs"):
        _check_machines(written, machines, place)
    for written in ranges.of("podCIDRs"):
        _check_shares(written, nodes, place)
    _check_pods(documents, _rooms(topology, ranges))


def host_count(range_: Cidr) -> int:
    """Addresses for machines in a range, its router's taken off (and in IPv4 the first and the last)."""
    return max(0, range_.num_addresses - (3 if range_.version == 4 else 2))


def _check_machines(written: Written, machines: int, place: Cursor) -> None:
    room = host_count(written.range)
    if machines > room:
        cursor = written.cursor if written.cursor.present else place
        length = written.range.max_prefixlen - (machines + 2).bit_length()
        message = f"{machines} nodes and externals do not fit into {written.title}: it has room for {room}"
        cursor.error(message, f"a range of length /{length} would do")


def _check_shares(written: Written, nodes: Cursor, place: Cursor) -> None:
    share = max(NODE_SHARE_LENGTH[written.range.version], written.range.prefixlen)
    shares = 2 ** (share - written.range.prefixlen)
    own = [cidr for node in nodes.items() for cidr in _own_shares(node) if cidr.version == written.range.version]
    count = len(nodes.items()) if nodes.present else len(TopologySpec().nodes)
    left = shares - sum(max(1, 2 ** (share - cidr.prefixlen)) if cidr.prefixlen < share else 1 for cidr in own)
    if count - len(own) > max(0, left):
        cursor = written.cursor if written.cursor.present else place
        message = f"{count} nodes take a /{share} each of {written.title}: it has {shares}"
        cursor.error(message, f"a range of length /{share - (count - 1).bit_length()} or shorter would do")


def _own_shares(node: Cursor) -> list[Cidr]:
    return [cidr for item in node.get("podCIDRs").items() if (cidr := read_range(item))]


def _share_room(range_: Cidr) -> int:
    """How many Pods a node's part of a Pod range has addresses for."""
    length = max(NODE_SHARE_LENGTH[range_.version], range_.prefixlen)
    return max(0, (1 << (range_.max_prefixlen - length)) - (3 if range_.version == 4 else 2))


def _rooms(topology: Cursor, ranges: Ranges) -> dict[str, int]:
    """How many Pods each node can hold: addresses of its shares, and ports of its bridge."""
    bridged = topology.get("spec", "network", "podLink").text != PodLink.PTP
    most = BRIDGE_PORTS if bridged else 2**32
    default = min([most, *(_share_room(written.range) for written in ranges.of("podCIDRs"))])
    nodes = topology.get("spec", "nodes")
    if not nodes.present:
        return {node.name: default for node in TopologySpec().nodes}
    return {
        node.get("name").text: min([most, *map(host_count, _own_shares(node))]) if _own_shares(node) else default
        for node in nodes.items()
    }


def _check_pods(documents: Documents, rooms: dict[str, int]) -> None:
    """Pods that name their node are counted against it, and all of them against all of the nodes."""
    counts, total, room = dict.fromkeys(rooms, 0), 0, sum(rooms.values())
    for document in documents.of("Pod", "Deployment"):
        spec = document.cursor.get("spec")
        replicas = spec.get("replicas").number if document.kind == "Deployment" else None
        pods = 1 if replicas is None else max(0, replicas)
        node = spec.get("nodeName") if document.kind == "Pod" else spec.get("template", "spec", "nodeName")
        total += pods
        if node.text in counts:
            before, counts[node.text] = counts[node.text], counts[node.text] + pods
            if before <= rooms[node.text] < counts[node.text]:
                node.error(f"{counts[node.text]} Pods on {node.text}, which has room for {rooms[node.text]}")
        elif rooms and total - pods <= room < total:
            name = document.cursor.get("metadata", "name")
            name.error(f"{total} Pods so far, and the nodes have room for {room}", "add nodes")
