"""Rules of nftables as values: what mode nftables spells, what one reads and what the kernel gets.

A rule is its parts from left to right, as nft(8) writes them: first what a packet must be, then what becomes of it.
`netlab.proxy.nftables.rule_text` says them in nft's words, `netlab.kernel.nft_expressions` in the kernel's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from netlab.model.rules import IPAddress, IPNetwork, Protocol


class Side(StrEnum):
    """One of a packet's two addresses."""

    SOURCE = "saddr"
    DESTINATION = "daddr"


class Field(StrEnum):
    """What a packet is looked up by, alone or several in a row."""

    SOURCE = "saddr"
    DESTINATION = "daddr"
    PROTOCOL = "l4proto"
    PORT = "dport"


# --- what a packet must be


@dataclass(frozen=True, slots=True)
class AddressIn:
    """The address is in the network, or with `negated` is not."""

    side: Side
    network: IPNetwork
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressInAny:
    """The address is in one of the networks, or with `negated` in none. They must not overlap."""

    side: Side
    networks: tuple[IPNetwork, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """The address is one of this machine's."""

    side: Side


@dataclass(frozen=True, slots=True)
class InSet:
    """The fields, in this order, are in the set."""

    fields: tuple[Field, ...]
    set: str


@dataclass(frozen=True, slots=True)
class IncomingInterface:
    """The packet came in by this interface, or with `prefix` by one whose name begins so; with `negated` it did not."""

    name: str
    prefix: bool
    negated: bool = False


@dataclass(frozen=True, slots=True)
class OfProtocol:
    """The packet is one of this transport protocol."""

    protocol: Protocol


@dataclass(frozen=True, slots=True)
class NewFlow:
    """Nothing was answered yet."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The flow goes to another address than the client sent it to."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The packet has this bit in its mark."""

    mark: int


@dataclass(frozen=True, slots=True)
class OneIn:
    """One packet in so many, by chance."""

    count: int


# --- what becomes of it


@dataclass(frozen=True, slots=True)
class ByMap:
    """The verdict that the map holds for the fields; the next rule if it holds none."""

    fields: tuple[Field, ...]
    map: str


@dataclass(frozen=True, slots=True)
class SetMark:
    """Put this bit into the packet's mark."""

    mark: int


@dataclass(frozen=True, slots=True)
class FlipMark:
    """Take this bit, which is there, out of the packet's mark."""

    mark: int


@dataclass(frozen=True, slots=True)
class RememberSource:
    """Put the source address into the set, or let it stay there for longer."""

    set: str


@dataclass(frozen=True, slots=True)
class Dnat:
    """Translate the destination."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class DnatByMap:
    """Translate the destination to what the map holds for the fields and a number below `one_of`, drawn by chance.

    The next rule if it holds nothing for them.
    """

    fields: tuple[Field, ...]
    one_of: int
    map: str


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Translate the source to this machine's own; with `fully_random` to a port that cannot be foretold."""

    fully_random: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to the chain, and come back after its last rule."""

    chain: str


@dataclass(frozen=True, slots=True)
class Goto:
    """Go to the chain for good."""

    chain: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the packet vanish."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer that the port is unreachable."""


Part = (
    AddressIn
    | AddressInAny
    | LocalAddress
    | InSet
    | IncomingInterface
    | OfProtocol
    | NewFlow
    | Translated
    | Marked
    | OneIn
    | ByMap
    | SetMark
    | FlipMark
    | RememberSource
    | Dnat
    | DnatByMap
    | Masquerade
    | Jump
    | Goto
    | Drop
    | Reject
)


class Rule(NamedTuple):
    """One rule of a chain."""

    parts: tuple[Part, ...]
    comment: str = ""
