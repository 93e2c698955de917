"""A journey as a sequence diagram in mermaid's words: a life line a place, an arrow a cable, a note what changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from netlab.model.journey import Hop, Journey, PacketSeen, PacketVerdict, Way

ARROWS = {Way.REQUEST: "->>", Way.REPLY: "-->>"}


def sequence_diagram(journey: Journey) -> str:
    """What was seen; where nothing was sent, what is foretold."""
    hops = journey.hops or journey.prediction
    places = {at: f"p{number}" for number, at in enumerate(dict.fromkeys(hop.at for hop in hops), start=1)}
    lines = ["sequenceDiagram", f"    title {_text(f'{journey.from_} to {journey.to} - {journey.verdict.value}')}"]
    lines += [f"    participant {name} as {_text(at)}" for at, name in places.items()]
    lines += [f"    {line}" for line in _steps(hops, places)]
    if journey.meaning and hops:
        lines.append(f"    Note over {places[hops[-1].at]}: {_text(journey.meaning)}")
    return "\n".join([*lines, ""])


def _steps(hops: tuple[Hop, ...], places: dict[str, str]) -> Iterator[str]:
    if hops:
        yield from _note(hops[0], places)
    for before, hop in pairwise(hops):
        if before.at != hop.at:
            yield f"{places[before.at]}{ARROWS[hop.way]}{places[hop.at]}: {_text(_packet(before.packet))}"
        yield from _note(hop, places)


def _note(hop: Hop, places: dict[str, str]) -> Iterator[str]:
    """Translations and ends are worth a note; routes and interfaces are not."""
    name = places[hop.at]
    if hop.changed:
        yield f"Note over {name}: {_text(f'{hop.hook} - now {_packet(hop.packet)}')}"
    if hop.verdict is PacketVerdict.DROPPED:
        yield f"{name}-x{name}: {_text(f'{hop.hook} - dropped{_why(hop)}')}"
    elif hop.verdict:
        yield f"Note over {name}: {_text(f'{hop.hook} - {hop.verdict.value}{_why(hop)}')}"


def _why(hop: Hop) -> str:
    comment = next((rule.comment for rule in hop.rules if rule.comment), None)
    return f" - {comment}" if comment else ""


def _packet(packet: PacketSeen) -> str:
    ends = (_end(packet.src, packet.sport), _end(packet.dst, packet.dport))
    return " > ".join(ends) + (f" {packet.flags}" if packet.flags else "")


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(text: str) -> str:
    """Characters that mermaid takes for its own: a semicolon ends a line, a number sign begins a character's code."""
    return re.sub(r"[#;\n\r]", lambda found: f"#{ord(found.group())};", text)
