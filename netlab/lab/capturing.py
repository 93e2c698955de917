"""`netlab capture` inside the lab: it opens a packet ring at each interface that was asked for, and writes the file.

It runs in a process of its own, in the lab's namespaces; the file is the caller's, handed over open.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import FrameType
from typing import NamedTuple

from netlab.capture.pcapng import Interface
from netlab.capture.recorder import Recorded, Recorder, Tap
from netlab.capture.spots import EVERYWHERE, Spot
from netlab.errors import NotFound
from netlab.kernel.namespaces import inside
from netlab.kernel.packet_ring import PacketRing
from netlab.model.cluster import ClusterView, pod_place
from netlab.model.names import FABRIC, Place, PlaceKind, fabric_namespace
from netlab.plan.bridges import POD_BRIDGE
from netlab.plan.fabric import WIRE_BRIDGE
from netlab.plan.stations import WIRE, external_stations, node_station, placed_pod

BRIDGES = frozenset({POD_BRIDGE, WIRE_BRIDGE})
LOOPBACK = "lo"
MOST_BLOCKS, FEWEST_BLOCKS, ALL_BLOCKS = 512, 8, 1024
"""Memory in blocks of 128 KiB, of one interface and of all: a second of 40,000 packets of full size a second."""
URGENCY = -15
"""Added to the niceness: who generates the packets shall not keep the recorder from taking them."""
AT_A_TIME = 32
"""Rings that are opened or closed side by side: the kernel waits 10 ms and more for each, which they share."""

Arguments = Mapping[str, str | int | float | None]


class Hop(NamedTuple):
    """An interface to listen to: its network namespace, its name there, and what the file calls it."""

    namespace: str
    interface: str
    shown: Interface


def capture(view: ClusterView, arguments: Arguments, files: Sequence[int]) -> str:
    """Record until SIGINT, or as many packets or seconds as asked for, into the first of `files`.

    The second one learns, as JSON, the interfaces, once everything that passes them is recorded. Then the counts.
    """
    output, ready = files
    spots = [Spot.parse(word) for word in _words(view, str(arguments["where"]))]
    end = _End()
    with suppress(PermissionError):
        os.nice(URGENCY)
    with ExitStack() as stack:
        taps = _open(hops(view, spots), bytes.fromhex(str(arguments["program"])), stack)
        recorder = Recorder(taps, lambda data: _write_all(output, data))
        try:
            recorder.begin(comment=str(arguments["comment"]), expression=str(arguments["expression"]))
            _write_all(ready, json.dumps([tap.interface.name for tap in taps]).encode())
            os.close(ready)
            return _report(
                recorder.run(ended=end, count=_int(arguments["count"]), seconds=_float(arguments["seconds"]))
            )
        except BrokenPipeError:
            return _report(None)


class _End:
    """True once SIGINT or SIGTERM has come."""

    def __init__(self) -> None:
        self._come = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._come = True

    def __call__(self) -> bool:
        return self._come


def hops(view: ClusterView, spots: Iterable[Spot]) -> tuple[Hop, ...]:
    """The interfaces of those places, each once, in their order, but bridges last.

    A packet that comes in by a bridge's port has one time at both, and of one time the order is that of the interfaces.
    NotFound: there is no such place or interface.
    """
    described = _descriptions(view)
    found: dict[tuple[str, str], Hop] = {}
    for spot in spots:
        namespace = view.network_namespace(spot.place) if spot.place else fabric_namespace(view.lab)
        for interface in _interfaces(namespace, spot):
            where = (namespace, interface)
            name = f"{spot.place or FABRIC} {interface}"
            found.setdefault(where, Hop(*where, Interface(name, described.get(where, ""))))
    return tuple(sorted(found.values(), key=lambda hop: hop.interface in BRIDGES))


def _words(view: ClusterView, where: str) -> Iterator[str]:
    for word in where.split():
        if word == EVERYWHERE:
            yield from map(str, _all_places(view))
            yield FABRIC
        else:
            yield word


def _all_places(view: ClusterView) -> Iterator[Place]:
    """In the order of a packet's way out."""
    yield from (pod_place(pod) for pod in view.pods if pod.status.pod_ips and not pod.spec.host_network)
    yield from (Place(PlaceKind.NODE, node.metadata.name) for node in view.nodes)
    yield from (Place(PlaceKind.EXTERNAL, external.name) for external in view.topology.spec.externals)


def _interfaces(namespace: str, spot: Spot) -> tuple[str, ...]:
    with inside(namespace):
        there = tuple(name for _, name in socket.if_nameindex())
    if spot.interface is None:
        return (*(name for name in there if name != LOOPBACK), LOOPBACK)
    if spot.interface not in there:
        place = spot.place or FABRIC
        raise NotFound(f"{place} has no interface {spot.interface}: it has {', '.join(there)}")
    return (spot.interface,)


def _descriptions(view: ClusterView) -> dict[tuple[str, str], str]:
    """What each interface is for, by network namespace and name."""
    fabric, wire = fabric_namespace(view.lab), view.topology.spec.network.node_cidrs
    found = {(fabric, WIRE_BRIDGE): "the switch of the wire between the nodes"}
    nodes = {node.metadata.name: node_station(node, lab=view.lab, wire=wire) for node in view.nodes}
    machines = {f"{PlaceKind.NODE}/{name}": station for name, station in nodes.items()}
    machines |= {
        f"{PlaceKind.EXTERNAL}/{station.name}": station for station in external_stations(view.topology, lab=view.lab)
    }
    for place, station in machines.items():
        found[station.namespace, WIRE] = f"cable to the {FABRIC}"
        found[station.namespace, POD_BRIDGE] = "the bridge of this node's Pods"
        found[fabric, station.port] = f"cable to {place}"
    for pod in view.pods:
        spot = placed_pod(pod, lab=view.lab)
        if spot and spot.node in nodes:
            found[spot.namespace, WIRE] = f"cable to {PlaceKind.NODE}/{spot.node}"
            found[nodes[spot.node].namespace, spot.port] = f"cable to {pod_place(pod)}"
    return found


def _open(found: Sequence[Hop], program: bytes, stack: ExitStack) -> tuple[Tap, ...]:
    blocks = max(FEWEST_BLOCKS, min(MOST_BLOCKS, ALL_BLOCKS // len(found)))

    def opened(hop: Hop) -> Tap:
        with inside(hop.namespace):
            ring = PacketRing(hop.interface, program=program, blocks=blocks)
        return Tap(hop.shown, ring, loopback=hop.interface == LOOPBACK)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        taps = tuple(pool.map(opened, found))
    stack.callback(_close, taps)
    return taps


def _close(taps: Sequence[Tap]) -> None:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(lambda tap: tap.ring.close(), taps))


def _report(recorded: Recorded | None) -> str:
    """None: the reader of a pipe went away first."""
    if recorded is None:
        return json.dumps({"readerGone": True})
    counts = [
        {"interface": name, "packets": each.packets, "dropped": each.dropped} for name, each in recorded.counted.items()
    ]
    return json.dumps({"readerGone": False, "packets": recorded.packets, "dropped": recorded.dropped, "at": counts})


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _int(value: str | int | float | None) -> int | None:
    return None if value is None else int(value)


def _float(value: str | int | float | None) -> float | None:
    return None if value is None else float(value)
