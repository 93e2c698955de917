"""What does not fit one transaction of iptables-nft, in several that do.

A transaction is one message to the kernel, and at most as large as its socket's send buffer: 208 KiB, which only the
machine's root may widen (SO_SNDBUFFORCE is refused to the root of a user namespace). What is written in pieces is not
atomic: packets meet the rules as they come and go. So the pieces are in such an order that each leaves a table that
works, old or new, chain by chain: what is jumped to comes before what jumps there, what is gone goes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from graphlib import CycleError, TopologicalSorter

from netlab.model.rules import Jump, Rule

PIECE = 100
"""Lines: 115 fit that are rules with everything in them that netlab can say."""


class Does(Enum):
    """What a line of iptables-restore's input does to a chain."""

    EMPTY = auto()
    """Make it where it is missing, and take its rules away: `:CHAIN`."""
    APPEND = auto()
    EDIT = auto()
    """Insert a rule, or delete one."""
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Order:
    """A line of iptables-restore's input; `rule` is the one that it is about, if it is ours."""

    does: Does
    chain: str
    text: str
    rule: Rule | None = None


def pieces(orders: Sequence[Order]) -> list[list[Order]]:
    """The same orders as transactions that are small enough, to be carried out one after another.

    A chain's rules change in one transaction, unless that chain alone is too large.
    """
    deleted = {order.chain for order in orders if order.does is Does.DELETE}
    filled = _by_chain(order for order in orders if _fills(order) and order.chain not in deleted)
    blocks = [filled[chain] for chain in _targets_first(filled)]
    blocks += _by_chain(order for order in orders if order.does is Does.EDIT).values()
    blocks += ([order] for order in orders if _fills(order) and order.chain in deleted)
    blocks += ([order] for order in orders if order.does is Does.DELETE)
    return list(_packed(blocks))


def _fills(order: Order) -> bool:
    return order.does in (Does.EMPTY, Does.APPEND)


def _by_chain(orders: Iterable[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.chain, []).append(order)
    return found


def _targets_first(chains: Mapping[str, Sequence[Order]]) -> Iterable[str]:
    """Chains after those that their rules jump to. Where they go in circles it is the kernel that says so."""
    jumps = {
        chain: {order.rule.target.chain for order in orders if order.rule and isinstance(order.rule.target, Jump)}
        for chain, orders in chains.items()
    }
    needed = {chain: targets & chains.keys() for chain, targets in jumps.items()}
    try:
        return tuple(TopologicalSorter(needed).static_order())
    except CycleError:
        return tuple(chains)


def _packed(blocks: Iterable[list[Order]]) -> Iterator[list[Order]]:
    """Blocks together as long as they fit; one that never fits is cut."""
    piece: list[Order] = []
    for block in blocks:
        if piece and len(piece) + len(block) > PIECE:
            yield piece
            piece = []
        piece = piece + block
        while len(piece) > PIECE:
            yield piece[:PIECE]
            piece = piece[PIECE:]
    if piece:
        yield piece
