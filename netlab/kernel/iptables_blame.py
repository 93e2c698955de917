"""Which rule the kernel means when it refuses a whole table: EINVAL names none.

The rules are tried in a network namespace made for that and thrown away, so that no half of a table is ever in use.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager

from netlab.errors import KernelError
from netlab.kernel.iptables_handle import OpenTable
from netlab.kernel.iptables_stamped import Line
from netlab.model.rules import Family

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"


def first_refused(family: Family, table: str, lines: Sequence[Line], *, chains: Set[str]) -> Line | None:
    """The first line with which the kernel refuses a table that has these chains.

    None where it takes all lines, or where nothing can be tried.
    """
    try:
        with _empty_namespace():
            return _search(family, table, lines, chains=chains)
    except OSError:  # no right to make a namespace
        return None


def _search(family: Family, table: str, lines: Sequence[Line], *, chains: Set[str]) -> Line | None:
    """Bisect: that a table is refused stays so when rules are added."""
    if _accepted(family, table, lines, chains=chains):
        return None
    taken, refused = 0, len(lines)
    while refused - taken > 1:
        middle = (taken + refused) // 2
        if _accepted(family, table, lines[:middle], chains=chains):
            taken = middle
        else:
            refused = middle
    return lines[refused - 1]


def _accepted(family: Family, table: str, lines: Sequence[Line], *, chains: Set[str]) -> bool:
    """Whether a table of these rules alone is taken; each trial starts from what the one before left, emptied."""
    with OpenTable(family, table) as kernel:
        try:
            for chain in kernel.chains():
                kernel.flush(chain)
            for chain in sorted(chains):
                if not kernel.has_chain(chain):
                    kernel.create_chain(chain)
            for line in lines:
                kernel.append(line.chain, (line.entry,))
            kernel.commit()
        except KernelError:
            return False
    return True


@contextmanager
def _empty_namespace() -> Iterator[None]:
    """A new network namespace for this thread, and back."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _done(libc.unshare(CLONE_NEWNET), "unshare")
        try:
            yield
        finally:
            _done(libc.setns(here, CLONE_NEWNET), "setns")
    finally:
        os.close(here)


def _done(result: int, operation: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{operation}: {os.strerror(number)}")
