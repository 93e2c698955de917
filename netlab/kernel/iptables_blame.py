"""Which rule the kernel means when it refuses a whole table: EINVAL names none.

The rules are tried in a network namespace made for that and thrown away, so that no half of a table is ever in use.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from netlab.errors import KernelError
from netlab.kernel.iptables_handle import OpenTable
from netlab.kernel.iptables_stamped import Line
from netlab.kernel.namespaces import Namespaces
from netlab.kernel.syscalls import CLONE_NEWNET, unshare
from netlab.model.rules import Family


def first_refused(family: Family, table: str, lines: Sequence[Line], *, chains: Set[str]) -> Line | None:
    """The first line with which the kernel refuses a table that has these chains.

    None where it takes all lines, or where nothing can be tried.
    """
    with Namespaces():
        try:
            unshare(CLONE_NEWNET)
        except OSError:
            return None
        return _search(family, table, lines, chains=chains)


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
