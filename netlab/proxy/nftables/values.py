"""What mode nftables spells: chains of rules, sets and maps and what is in them. A rule is its text in nft(8)'s words.

Whatever goes into a text was checked before: names are DNS labels, addresses and networks are values.
"""

from __future__ import annotations

from typing import NamedTuple

from netlab.model.rules import Family


class Chain(NamedTuple):
    """A chain. With `hook` (`type nat hook prerouting priority dstnat`) packets come to it by themselves."""

    name: str
    rules: tuple[str, ...] = ()
    hook: str = ""
    comment: str = ""


class Set(NamedTuple):
    """A set, or with `: verdict` in its type a map. With `seconds` rules put clients in and the kernel takes them out.

    `size` is then how many it holds.
    """

    name: str
    type: str
    comment: str = ""
    seconds: int | None = None

    @property
    def kind(self) -> str:
        """`set`, or `map`."""
        return "map" if ":" in self.type else "set"


class Element(NamedTuple):
    """What one set or map holds: a key, in a map with a verdict."""

    set: str
    key: str
    verdict: str = ""
    comment: str = ""


class Words(NamedTuple):
    """How one family says things."""

    ip: str
    """The table's family, and what its addresses' matches begin with."""
    address: str
    """The type of its addresses."""


WORDS = {Family.IPV4: Words("ip", "ipv4_addr"), Family.IPV6: Words("ip6", "ipv6_addr")}
AFFINITY_SIZE = 65535
"""Clients that the memory of one endpoint holds."""
