"""A table of nftables as values, what is different between two, and the changes that lead from one to the other."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from netlab.model.nft_rules import Dnat, Drop, Goto, Rule
from netlab.model.rules import Family, IPAddress, Protocol


class KeyType(StrEnum):
    """What a part of a set's key is, as nft names it; an address is of the table's family."""

    ADDRESS = "addr"
    PROTOCOL = "inet_proto"
    PORT = "inet_service"


ENDPOINT = (KeyType.ADDRESS, KeyType.PORT)
"""What a map of endpoints holds."""


class Hook(NamedTuple):
    """Where in the kernel packets come to a chain by themselves: `Hook("nat", "prerouting", -100)`.

    Of chains with one hook that with the lowest priority sees a packet first.
    """

    type: str
    hook: str
    priority: int


class Chain(NamedTuple):
    """A chain. Packets come to it by its hook, or from other chains."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None
    comment: str = ""


class Set(NamedTuple):
    """A set of keys, or with `verdicts` a map of them to what becomes of a packet.

    With `seconds` rules put clients in, and the kernel takes them out after that time; it holds at most `size` then.
    With `one_of` it is a map of keys, each with a number below that behind it (`Drawn`), to endpoints.
    """

    name: str
    keys: tuple[KeyType, ...]
    comment: str = ""
    seconds: int | None = None
    size: int | None = None
    verdicts: bool = False
    one_of: int | None = None


class Drawn(int):
    """A number drawn by chance, as a part of a key; other numbers there are ports."""


Key = tuple[IPAddress | Protocol | int, ...]
"""Addresses, protocols and ports, as the set's `keys` say."""


class Element(NamedTuple):
    """What one set or map holds: a key, in a map with what becomes of its packets."""

    set: str
    key: Key
    leads_to: Goto | Drop | Dnat | None = None
    comment: str = ""


class Client(NamedTuple):
    """What a set with a time holds: an address, and after how many milliseconds it goes."""

    address: IPAddress
    milliseconds: int


Memory = dict[str, tuple[Client, ...]]
"""What sets with a time hold, by the set's name."""


class Table(NamedTuple):
    """All of ours in one family: the table `kube-proxy`, which is nobody else's."""

    family: Family
    sets: tuple[Set, ...]
    chains: tuple[Chain, ...]
    elements: tuple[Element, ...]

    @property
    def rule_count(self) -> int:
        """How many rules there are."""
        return sum(len(chain.rules) for chain in self.chains)


class TablePatch(NamedTuple):
    """The difference between two tables: what comes, what is filled anew, what goes."""

    family: Family
    sets: tuple[Set, ...] = ()
    chains: tuple[Chain, ...] = ()
    """Made where missing, and filled anew."""
    elements_gone: tuple[Element, ...] = ()
    elements: tuple[Element, ...] = ()
    chains_gone: tuple[str, ...] = ()
    sets_gone: tuple[Set, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not any(self[1:])


# --- changes: each is one command of nft(8)


class AddTable(NamedTuple):
    """Make the table, if it is not there."""

    comment: str = ""


class DeleteTable(NamedTuple):
    """Delete the table with all that is in it."""


class AddSet(NamedTuple):
    """Make a set or map, without anything in it."""

    set: Set


class DeleteSet(NamedTuple):
    """Delete a set or map that no rule names."""

    name: str


class AddChain(NamedTuple):
    """Make a chain if it is not there, without rules."""

    chain: Chain


class FlushChain(NamedTuple):
    """Delete the rules of a chain."""

    name: str


class DeleteChain(NamedTuple):
    """Delete a chain that has no rules and that nothing leads to."""

    name: str


class AddRule(NamedTuple):
    """Put a rule at the end of a chain."""

    chain: str
    rule: Rule


class AddElements(NamedTuple):
    """Put elements into one set or map."""

    set: str
    elements: tuple[Element, ...]


class DeleteElements(NamedTuple):
    """Take elements out of one set or map."""

    set: str
    elements: tuple[Element, ...]


class AddClients(NamedTuple):
    """Give a set with a time back what it remembered."""

    set: str
    clients: tuple[Client, ...]


Change = (
    AddTable
    | DeleteTable
    | AddSet
    | DeleteSet
    | AddChain
    | FlushChain
    | DeleteChain
    | AddRule
    | AddElements
    | DeleteElements
    | AddClients
)
