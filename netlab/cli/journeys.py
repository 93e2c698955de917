"""A Journey as plain text: a line a hop, the rules below it."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.journey import Hop, Journey, PacketSeen, Way


def journey_table(journey: Journey) -> str:
    """Both ways, and the end of it."""
    lines = [f"{journey.from_} -> {journey.to}: {journey.verdict}{f' ({journey.pod})' if journey.pod else ''}"]
    for way in Way:
        hops = [hop for hop in journey.hops if hop.way is way]
        if hops:
            lines += ["", way.value]
            lines += [line for hop in hops for line in _lines(hop)]
    if journey.meaning:
        lines += ["", journey.meaning]
    return "\n".join(lines) + "\n"


def _lines(hop: Hop) -> Iterator[str]:
    ending = f"  {hop.verdict}" if hop.verdict else ""
    changed = f"  changed: {', '.join(hop.changed)}" if hop.changed else ""
    yield f"  {hop.at:16} {hop.hook:24} {_packet(hop.packet)}{changed}{ending}"
    if hop.detail:
        yield f"  {'':16}   {hop.detail}"
    for rule in hop.rules:
        yield f"  {'':16}   {rule.rule}"


def _packet(packet: PacketSeen) -> str:
    ends = [
        f"{address}:{port}" if port is not None else address
        for address, port in ((packet.src, packet.sport), (packet.dst, packet.dport))
    ]
    mark = f" mark {packet.mark:#x}" if packet.mark else ""
    flags = f" [{packet.flags}]" if packet.flags else ""
    return f"{ends[0]} > {ends[1]} {packet.proto}{flags}{mark}"
