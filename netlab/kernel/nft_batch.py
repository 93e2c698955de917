"""Have the kernel make changes of a table, all of them or none.

The kernel takes a batch of messages as one transaction, and answers what was wrong with every single one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.nft_messages import Messages
from netlab.kernel.nft_set_messages import element
from netlab.kernel.nft_socket import NftSocket, Refusal
from netlab.model.nft_tables import AddElements, Change
from netlab.model.rules import Family
from netlab.proxy.nftables.text import change_text

WORDS_AT_MOST = 600
CHANGES_A_PIECE = 4000
"""A megabyte or so. Each commit goes over all chains there are, so that smaller pieces cost more than they win."""


class ChangeRefused(KernelError):
    """The kernel does not make this change (None: it does not commit). Nothing of its transaction was done."""

    def __init__(self, change: Change | None, family: Family, *, number: int, detail: str = "") -> None:
        what = change_text(change, family)[:WORDS_AT_MOST] if change is not None else "commit a transaction of nftables"
        super().__init__(what, HERE, number, detail)
        self.change = change


def make(changes: Sequence[Change], *, family: Family, table: str, by: NftSocket) -> int:
    """Make the changes as one transaction; how many transactions it took.

    It takes several only where the process is not the machine's root and they do not fit into its netlink socket's
    buffer. The changes must be such that each piece, in their order, leaves nothing that leads nowhere.
    ChangeRefused: the kernel does not take one; the pieces before it were taken. KernelError.
    """
    return _commit(changes, Messages(family, table).of_all(changes), family=family, by=by)


def make_as_they_come(changes: Iterable[Change], *, family: Family, table: str, by: NftSocket) -> int:
    """Make changes while those after them are still being thought of; how many transactions it took.

    For what need not be one transaction, in an order of which each piece holds: a table that no packet comes to yet.
    The kernel works in a thread beside, as it takes about as long. ChangeRefused, KernelError: those behind the change
    may have been made all the same.
    """
    messages, coming = Messages(family, table), iter(changes)
    with ThreadPoolExecutor(1) as kernel:
        done = [
            kernel.submit(_commit, piece, messages.of_all(piece), family=family, by=by)
            for piece in iter(lambda: list(islice(coming, CHANGES_A_PIECE)), [])
        ]
    return sum(each.result() for each in done)


def _commit(changes: Sequence[Change], packed: Sequence[bytes], *, family: Family, by: NftSocket) -> int:
    pieces = list(_pieces(packed, limit=by.room))
    for piece in pieces:
        refusal = by.commit(packed[piece.start : piece.stop])
        if refusal:
            at = refusal.number - 1
            change = _named(changes[at], len(packed[at]), refusal) if refusal.number else None
            raise ChangeRefused(change, family, number=refusal.errno, detail=refusal.words)
    return len(pieces)


def _pieces(packed: Sequence[bytes], *, limit: int) -> Iterator[range]:
    """Which changes go together."""
    if packed and sum(map(len, packed)) <= limit:
        yield range(len(packed))
        return
    start = size = 0
    for at, each in enumerate(packed):
        if size + len(each) > limit and at > start:
            yield range(start, at)
            start, size = at, 0
        size += len(each)
    if len(packed) > start:
        yield range(start, len(packed))


def _named(change: Change, size: int, refusal: Refusal) -> Change:
    """The change, of so many bytes, that the kernel refuses; of many elements the one that it stopped at."""
    if not isinstance(change, AddElements) or refusal.offset is None:
        return change
    end = size - sum(len(element(each)) for each in change.elements)
    for each in change.elements:
        end += len(element(each))
        if refusal.offset < end:
            return AddElements(change.set, (each,))
    return change
