"""A shape of rules (which conditions they have) and its stamp: how one rule's values go into the bytes all share."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from netlab.model.rules import (
    COMMENT_LIMIT,
    PROBABILITY_UNIT,
    Dnat,
    IPNetwork,
    Jump,
    Redirect,
    Rule,
    Target,
    Verdict,
)

PORTS = struct.Struct("=HH")
PORT = struct.Struct("!H")
NUMBER = struct.Struct("=I")
CHAIN_LIMIT = 28
"""XT_EXTENSION_MAXNAMELEN less the closing zero."""
RECENT_LIMIT = 199
"""XT_RECENT_NAME_LEN less the closing zero."""
STAMPED: Final = 7
"""How many of the fields of a rule, `target` being the last, hold values to be stamped; the others decide the shape."""


def shape_of(rule: Rule) -> Hashable:
    """What of a rule decides its length and layout; rules with an equal answer differ only in stamped values."""
    source, destination, port, comment, statistic, recent, target = rule[:STAMPED]
    kind = type(target)
    return (
        rule[STAMPED:],
        source is None,
        destination is None,
        port is None,
        comment is None,
        statistic is None,
        recent if recent is None else recent.check_seconds is None,
        kind if kind is Jump or kind is Dnat or kind is Redirect else target,
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled rule, and how to make the bytes of all others that differ from it in their values only."""

    form: bytes
    """The bytes with a `%b` for each value, in the order in which `stamp` gives them."""
    size: int
    """How many bytes a rule of this shape has."""
    mask: bytes
    """The bits by which libiptc finds a rule to delete: everything but what the kernel keeps for itself."""
    told_by: int
    """The bits by which `is_same` compares."""
    masks: tuple[bytes, ...]
    """The netmask of each prefix length."""
    leads_to: str | None
    """Where the target leads, as in HeldChain; that of a jump is the rule's."""
    names_set: bool
    """Whether the bytes hold the number that an address set has in the network namespace where they were compiled."""

    def stamp(self, rule: Rule) -> bytes:
        """The bytes of a rule of this shape; ValueError or struct.error for a value that does not fit."""
        source, destination, port, comment, statistic, recent, target = rule[:STAMPED]
        values = _networks(source, destination, self.masks)
        if comment is not None:
            values.append(_fitting(comment, COMMENT_LIMIT))
        if statistic is not None:
            probability = NUMBER.pack(round(statistic / PROBABILITY_UNIT))
            values += (probability, probability)
        if recent is not None:
            if recent.check_seconds is not None:
                values.append(NUMBER.pack(recent.check_seconds))
            values.append(_fitting(recent.name, RECENT_LIMIT))
        if port is not None:
            values.append(PORTS.pack(port, port))
        if type(target) is Jump:
            values.append(_fitting(target.chain, CHAIN_LIMIT))
        elif type(target) is Dnat:
            address, nat_port = target.address.packed, PORT.pack(target.port)
            values += (address, address, nat_port, nat_port)
        elif type(target) is Redirect:
            values += [PORT.pack(target.port)] * 2
        data = self.form % tuple(values)
        if len(data) != self.size:
            raise ValueError("an address of the other family")
        return data


def _networks(source: IPNetwork | None, destination: IPNetwork | None, masks: tuple[bytes, ...]) -> list[bytes]:
    """The addresses, then the masks; of one that is not said there are neither: its place is all zeros."""
    if source is None:
        if destination is None:
            return []
        return [destination.network_address.packed, masks[destination.prefixlen]]
    if destination is None:
        return [source.network_address.packed, masks[source.prefixlen]]
    return [
        source.network_address.packed,
        destination.network_address.packed,
        masks[source.prefixlen],
        masks[destination.prefixlen],
    ]


def _fitting(text: str, limit: int) -> bytes:
    """The text in its field of `limit` bytes and a closing zero.

    A line break in it would forge rules in the text that iptables-save makes of it.
    """
    data = text.encode()
    if len(data) > limit or not text.isprintable():
        raise ValueError(f"{text[:COMMENT_LIMIT]!r} is longer than {limit} bytes or not printable")
    return data.ljust(limit + 1, b"\0")


def is_same(held: bytes, stamped: bytes, shape: Shape) -> bool:
    """Whether the kernel's rule is the one whose bytes and shape these are; not where its standard target leads."""
    if len(held) != len(stamped):
        return False
    difference = int.from_bytes(held, "big") ^ int.from_bytes(stamped, "big")
    return not difference & shape.told_by


def standard_target(target: Target | None) -> str | None:
    """Where a standard target leads: a chain, a verdict, or "" for on; None for the targets of extensions."""
    if type(target) is Jump:
        return target.chain
    if target is None:
        return ""
    return target.value if type(target) is Verdict else None
