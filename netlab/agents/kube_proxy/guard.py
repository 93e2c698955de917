"""Notices that somebody changed a table after it was written, so that flushed rules come back within a second."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel.table_marks import TableMarks
from netlab.model.rules import Family

TABLES = ("mangle", "nat", "filter")
"""Those with the chain KUBE-PROXY-CANARY, by which the real kube-proxy notices that a table was flushed whole."""


class Guard:
    """What the tables of this network namespace looked like when they were right."""

    def __init__(self) -> None:
        self._marks = TableMarks()
        self._right: dict[tuple[Family, str], bytes | None] = {}

    def remember(self, families: Iterable[Family]) -> None:
        """The tables are right as they are now."""
        self._right = {(family, name): self._marks.mark(family, name) for family in families for name in TABLES}

    def disturbed(self) -> bool:
        """Whether any of them is different now. A few microseconds, however many rules there are."""
        return any(self._marks.mark(*key) != mark for key, mark in self._right.items())

    def close(self) -> None:
        """Stop looking."""
        self._marks.close()
