"""A journey in lines, as a person reads it: place by place, what changed marked, in at most 100 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from netlab.model.journey import COUNTED, Hop, Journey, PacketSeen, PacketVerdict, RuleHit, Way

WIDTH = 100
CHANGED, BAD, GOOD, FAINT, HEAD = "bold yellow", "bold red", "green", "dim", "bold"
KERNELS = " proto kernel scope link"
"""What `ip route` says of every route that the kernel made for an address."""
JUMP = re.compile(r" -j (.+)$")
DRAWN = re.compile(r"^dnat ip6? to .* (map @\S+).*")
"""How mode nftables chooses: by which fields is the same in all of its rules."""
SAID = re.compile(r"^-A \S+ ")
"""What a rule of iptables begins with, and the chain's name in front of it says already."""
Span = tuple[str, str]
"""Text and its style; no style where that is empty."""
Line = list[Span]


def told(journeys: Sequence[Journey], *, verbose: bool = False) -> list[Line]:
    """The first journey in full; of all others a line each."""
    lines = [*_journey(journeys[0], verbose=verbose)]
    if len(journeys) > 1:
        lines += [[], [("the others" if journeys[0].hops else "or, by another endpoint", HEAD)]]
        lines += [_summary(journey) for journey in journeys[1:]]
    return lines


def plain(lines: Sequence[Line]) -> str:
    """The lines without their styles."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def _journey(journey: Journey, *, verbose: bool) -> Iterator[Line]:
    hops = journey.hops or journey.prediction
    yield _headline(journey)
    for way in Way:
        there = [hop for hop in hops if hop.way is way]
        if there:
            yield []
            yield [(way.value, HEAD), (f"  {_kind(there[0].packet)}", FAINT)]
            yield from _way(there, verbose=verbose)
    if end := list(_end(journey)):
        yield from ([], *end)


def _headline(journey: Journey) -> Line:
    told = "" if journey.hops else " (foretold)"
    return [(f"{journey.from_} -> {journey.to}: ", HEAD), _verdict(journey.verdict), (f"{_by(journey)}{told}", "")]


def _by(journey: Journey) -> str:
    if not journey.pod:
        return ""
    chances = len(journey.endpoints)
    return f", Pod {journey.pod}" + (f", one of {chances} endpoints" if chances > 1 else "")


def _verdict(verdict: PacketVerdict) -> Span:
    return verdict.value, GOOD if verdict is PacketVerdict.REACHED else BAD


def _summary(journey: Journey) -> Line:
    differs = [(f"  {journey.first_difference}", BAD)] if journey.agrees is False else []
    last = next((hop for hop in reversed(journey.hops or journey.prediction) if hop.way is Way.REQUEST), None)
    to = f"  {_end_of(last.packet, 'dst')}" if last else ""
    return [("  ", ""), _verdict(journey.verdict), (f"  {journey.pod or ''}{to}", ""), *differs]


def _end(journey: Journey) -> Iterator[Line]:
    if journey.meaning:
        yield from ([(line, "")] for line in textwrap.wrap(journey.meaning, WIDTH))
    counted = dict.fromkeys(hop.at for hop in journey.hops if (hop.detail or "").endswith(COUNTED))
    if counted:
        yield [(f"rules of {', '.join(counted)}: {COUNTED}", FAINT)]
    if journey.agrees is True:
        yield [("the prediction from the lab's state is equal", GOOD)]
    elif journey.agrees is False:
        yield [(f"the prediction differs: {journey.first_difference}", BAD)]


# --- hops


def _way(hops: Sequence[Hop], *, verbose: bool) -> Iterator[Line]:
    for at, group in groupby(hops, key=lambda hop: hop.at):
        yield [(f"  {at}", HEAD)]
        telling = [hop for hop in group if verbose or _tells(hop)]
        for hop, names in _merged(telling):
            yield from _hop(hop, names, verbose=verbose)


def _tells(hop: Hop) -> bool:
    """Whether anything happened there: many a hook of netfilter is passed without a change."""
    return "/" not in hop.hook or _is_link(hop) or bool(hop.changed or hop.verdict)


def _merged(hops: Sequence[Hop]) -> Iterator[tuple[Hop, str]]:
    """Interfaces that a packet passes unchanged, one after the other, as one line."""
    for (is_link, packet, _), group in groupby(hops, key=lambda hop: (_is_link(hop), hop.packet, hop.verdict)):
        if is_link:
            passed = list(group)
            yield passed[-1], " > ".join(hop.hook.removeprefix("link/") for hop in passed)
        else:
            assert packet
            yield from ((hop, hop.hook) for hop in group)


def _is_link(hop: Hop) -> bool:
    return hop.hook.startswith("link/")


def _hop(hop: Hop, name: str, *, verbose: bool) -> Iterator[Line]:
    start: Span = (f"    {name:<27} ", "")
    if hop.hook == "route":
        text = hop.detail or ""
        yield [start, (text if verbose else text.replace(KERNELS, ""), FAINT)]
        return
    ended = [("  ", ""), _verdict(hop.verdict)] if hop.verdict else []
    told = hop.detail if hop.detail and (_is_link(hop) or hop.hook in ("socket", "proxy")) else ""
    line = [start, *_packet(hop), *ended]
    fits = sum(len(text) for text, _ in line) + len(told) + 2 <= WIDTH
    yield [*line, (f"  {told}" if told and fits else "", FAINT)]
    if told and not fits:
        yield [(" " * len(start[0]), ""), (told, FAINT)]
    for rule in hop.rules:
        yield _whole_rule(rule) if verbose else _rule(rule, to=_end_of(hop.packet, "dst"))
    if verbose and hop.changed and hop.detail:
        yield [("      ", ""), (hop.detail, FAINT)]


def _packet(hop: Hop) -> Line:
    changed = set(hop.changed)
    source: Span = (_end_of(hop.packet, "src"), CHANGED if changed & {"src"} else "")
    target: Span = (_end_of(hop.packet, "dst"), CHANGED if changed & {"dst", "dport"} else "")
    mark = f" mark {hop.packet.mark:#x}" if hop.packet.mark else ""
    note: Line = [(f"  * {', '.join(hop.changed)}", CHANGED)] if changed else []
    return [source, (" > ", ""), target, (mark, FAINT), *note]


def _end_of(packet: PacketSeen, side: str) -> str:
    address, port = (packet.src, packet.sport) if side == "src" else (packet.dst, packet.dport)
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _kind(packet: PacketSeen) -> str:
    return packet.proto + (f" {packet.flags}" if packet.flags else "")


def _whole_rule(rule: RuleHit) -> Line:
    return [("      ", ""), (rule.rule, FAINT), (_chance(rule), "")]


def _rule(rule: RuleHit, *, to: str) -> Line:
    """`to` is where the packet goes behind the rule."""
    chance, chain = _chance(rule), f"      {rule.chain:<25} "
    return [(chain, FAINT), (_does(rule, to=to, room=WIDTH - len(chain) - len(chance)), FAINT), (chance, "")]


def _chance(rule: RuleHit) -> str:
    by_chance = rule.probability is not None and rule.probability < 1
    return f"  (chance {rule.probability:.2f})" if by_chance else ""


def _does(rule: RuleHit, *, to: str, room: int) -> str:
    """What the rule says of itself, and what it does where that is more than to lead on."""
    jump = JUMP.search(rule.rule)
    target = "" if jump is None or jump[1].startswith("KUBE-") else jump[1]
    if rule.comment and target:
        whole = f"{rule.comment}: {target}"
        return _shortened(whole if len(whole) <= room else f"{rule.comment}: {target.split()[0]}", room)
    if rule.comment:
        return _shortened(rule.comment, room)
    return target or _without_middle(DRAWN.sub(rf"dnat to {to} by \1", SAID.sub("", rule.rule)), room)


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room, 20) - 3] + "..."


def _without_middle(text: str, room: int) -> str:
    """A rule's text in that room: its end, which is what it does, and of its conditions what fits."""
    if len(text) <= room:
        return text
    words = text.split()
    kept = next((n for n in range(len(words)) if len(" ".join(words[n:])) <= room * 2 // 3), len(words) - 1)
    end = f" ... {' '.join(words[kept:])}"
    begin = next((n for n in range(kept, 0, -1) if len(" ".join(words[:n]) + end) <= room), 0)
    return _shortened(" ".join(words[:begin]) + end, room).strip()
