"""Notices that somebody changed a table after it was written, so that flushed rules come back.

Of iptables-nft's tables the kernel tells by itself; legacy tables are looked at every second, since it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netlab.kernel.nft_changes import NftChanges
from netlab.kernel.table_marks import TableMarks
from netlab.model.rules import Backend, Family

TABLES = ("mangle", "nat", "filter")
"""Those with the chain KUBE-PROXY-CANARY, by which the real kube-proxy notices that a table was flushed whole."""


class Guard:
    """What the tables of this network namespace looked like when they were right.

    `listen` is given the socket that tells of changes, once there is one.
    """

    def __init__(self, listen: Callable[[NftChanges], None]) -> None:
        self._listen = listen
        self._marks = TableMarks()
        self._right: dict[tuple[Family, str], bytes | None] = {}
        self._changes: NftChanges | None = None
        self._generation: int | None = None

    def remember(self, backends: Mapping[Family, Backend]) -> None:
        """The tables are right as they are now. KernelError."""
        legacy = [family for family, backend in backends.items() if backend is Backend.LEGACY]
        self._right = {(family, name): self._marks.mark(family, name) for family in legacy for name in TABLES}
        if Backend.NFT in backends.values():
            if self._changes is None:
                self._changes = NftChanges()
                self._listen(self._changes)
            self._generation = self._changes.generation()

    def disturbed(self) -> bool:
        """Whether any of them is different now. A few microseconds, however many rules there are. KernelError."""
        if self._changes is not None and self._changes.generation() != self._generation:
            return True
        return any(self._marks.mark(*key) != mark for key, mark in self._right.items())

    def close(self) -> None:
        """Stop looking and listening."""
        self._marks.close()
        if self._changes is not None:
            self._changes.close()
