"""A shape of rules (which conditions they have) and its stamp: how one rule's values go into the bytes all share."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass

from netlab.kernel.iptables_handle import Entry, EntryLayout
from netlab.model.rules import (
    COMMENT_LIMIT,
    PROBABILITY_UNIT,
    Dnat,
    Jump,
    Masquerade,
    Recent,
    Reject,
    Rule,
    SetMark,
    Target,
    Verdict,
)

PORTS = struct.Struct("=HH")
PORT = struct.Struct("!H")
NUMBER = struct.Struct("=I")
TARGET_NAMES = {Dnat: "DNAT", Masquerade: "MASQUERADE", SetMark: "MARK", Reject: "REJECT"}
CHAIN_LIMIT = 28
"""XT_EXTENSION_MAXNAMELEN less the closing zero."""
RECENT_LIMIT = 199
"""XT_RECENT_NAME_LEN less the closing zero."""


def shape_of(rule: Rule) -> Hashable:
    """What of a rule decides its length and layout; rules with an equal answer differ only in stamped values."""
    target, recent = rule.target, rule.recent
    return (
        rule.source is None,
        rule.source_inverted,
        rule.destination is None,
        rule.destination_inverted,
        rule.protocol,
        rule.in_interface,
        rule.in_interface_inverted,
        rule.out_interface,
        rule.destination_port is None,
        rule.comment is None,
        rule.conntrack,
        rule.mark,
        rule.destination_local,
        rule.source_local,
        rule.statistic is None,
        recent if recent is None else recent.check_seconds is None,
        type(target) if isinstance(target, Jump | Dnat) else target,
        rule.extra,
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled rule with its values blanked, and where each goes: offsets in bytes, None where the shape has none."""

    template: bytes
    mask: bytes
    """The bits by which libiptc finds a rule to delete: everything but what the kernel keeps for itself."""
    told_by: int
    """The bits by which `is_same` compares."""
    layout: EntryLayout
    masks: tuple[bytes, ...]
    """The netmask of each prefix length."""
    destination_port: int | None
    comment: int | None
    probability: tuple[int, ...]
    recent_name: int | None
    recent_seconds: int | None
    jump: int | None
    nat_address: tuple[int, ...]
    nat_port: tuple[int, ...]

    def stamp(self, rule: Rule) -> bytes:
        """The bytes of a rule of this shape; ValueError or struct.error for a value that does not fit."""
        data, layout = bytearray(self.template), self.layout
        if (network := rule.source) is not None:
            data[layout.source : layout.source + layout.address] = network.network_address.packed
            data[layout.source_mask : layout.source_mask + layout.address] = self.masks[network.prefixlen]
        if (network := rule.destination) is not None:
            data[layout.destination : layout.destination + layout.address] = network.network_address.packed
            data[layout.destination_mask : layout.destination_mask + layout.address] = self.masks[network.prefixlen]
        if (at := self.destination_port) is not None:
            data[at : at + 4] = PORTS.pack(rule.destination_port, rule.destination_port)
        if (at := self.comment) is not None and rule.comment is not None:
            text = _fitting(rule.comment, COMMENT_LIMIT)
            data[at : at + len(text)] = text
        if rule.statistic is not None:
            probability = NUMBER.pack(round(rule.statistic / PROBABILITY_UNIT))
            for at in self.probability:
                data[at : at + 4] = probability
        if rule.recent is not None:
            self._stamp_recent(data, rule.recent)
        target = rule.target
        if isinstance(target, Jump) and (at := self.jump) is not None:
            name = _fitting(target.chain, CHAIN_LIMIT)
            data[at : at + len(name)] = name
        elif isinstance(target, Dnat):
            self._stamp_nat(data, target)
        if len(data) != len(self.template):
            raise ValueError("an address of the other family")
        return bytes(data)

    def _stamp_recent(self, data: bytearray, recent: Recent) -> None:
        if (at := self.recent_name) is not None:
            name = _fitting(recent.name, RECENT_LIMIT)
            data[at : at + len(name)] = name
        if (at := self.recent_seconds) is not None:
            NUMBER.pack_into(data, at, recent.check_seconds)

    def _stamp_nat(self, data: bytearray, target: Dnat) -> None:
        packed = target.address.packed
        if len(packed) != self.layout.address:
            raise ValueError("an address of the other family")
        for at in self.nat_address:
            data[at : at + len(packed)] = packed
        for at in self.nat_port:
            PORT.pack_into(data, at, target.port)


def _fitting(text: str, limit: int) -> bytes:
    """The text in bytes; a line break in it would forge rules in the text that iptables-save makes of it."""
    data = text.encode()
    if len(data) > limit or not text.isprintable():
        raise ValueError(f"{text[:COMMENT_LIMIT]!r} is longer than {limit} bytes or not printable")
    return data


def is_same(entry: Entry, rule: Rule, stamped: bytes, shape: Shape) -> bool:
    """Whether the kernel's rule is `rule`, counters aside; `stamped` are the rule's bytes and `shape` its shape.

    The bytes of a jump hold the position of its chain, not the name, hence `Entry.target`.
    """
    if len(entry.data) != len(stamped) or entry.target != target_name(rule.target):
        return False
    difference = int.from_bytes(entry.data, "big") ^ int.from_bytes(stamped, "big")
    return not difference & shape.told_by


def target_name(target: Target | None) -> str:
    """The name that libiptc gives a rule's target: a chain, a verdict, an extension, or "" for none."""
    match target:
        case None:
            return ""
        case Jump(chain):
            return chain
        case Verdict():
            return target.value
    return TARGET_NAMES[type(target)]
