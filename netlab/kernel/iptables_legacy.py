"""Legacy tables: what `iptables` does where the kernel has them, by one commit a table.

Works through libiptc and python-iptables as iptables-legacy does, so that `iptables-legacy -L` and iptables-save show
what was written. Every call opens the table anew, in the current network namespace.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from pathlib import Path

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import Applied, OutOfStep, RuleRefused
from netlab.kernel.iptables_blame import first_refused
from netlab.kernel.iptables_handle import EntryRefused, OpenTable
from netlab.kernel.iptables_lock import xtables_lock
from netlab.kernel.iptables_shapes import is_same
from netlab.kernel.iptables_stamped import (
    Line,
    Stamped,
    StampedChain,
    StampedEdit,
    stamp_patch,
    stamp_table,
)
from netlab.kernel.iptables_stamper import Stamper, UnknownShape
from netlab.model.rules import Family, Table, TablePatch
from netlab.proxy.save_text import BUILT_IN

ATTEMPTS = 5
"""How often a table is read again because somebody else changed it in between."""
PRESENT = {
    Family.IPV4: Path("/proc/thread-self/net/ip_tables_names"),
    Family.IPV6: Path("/proc/thread-self/net/ip6_tables_names"),
}
REFUSALS = (errno.EINVAL, errno.ENOENT, errno.ELOOP, errno.EOPNOTSUPP)
"""What a commit says where the fault is in a rule."""


def require_table(family: Family, name: str) -> None:
    """Raise MissingCapability where that legacy table cannot be opened here, with the remedy."""
    OpenTable(family, name).close()


def table_names(family: Family) -> frozenset[str]:
    """The legacy tables that this network namespace has: looking at one that it has not would bring it in.

    Where the list of them belongs to somebody else each is looked at all the same. So it is after `unshare --user
    --net`: the namespace is there before its owner's user id is mapped, and its files are given to the machine's root.
    """
    try:
        return frozenset(PRESENT[family].read_text().split())
    except PermissionError:
        return frozenset(name for name in BUILT_IN if _opens(family, name))
    except OSError:  # no such kernel
        return frozenset()


def _opens(family: Family, name: str) -> bool:
    try:
        require_table(family, name)
    except (MissingCapability, KernelError):
        return False
    return True


def apply(table: Table) -> Applied:
    """Make the kernel's table hold `table`: its chains whole, its hooks at the top where they are missing, none else.

    Chains that are `shared`, and those that hold the wanted rules already, are left alone, with their counters. Other
    people's rules and chains stay. Raises RuleRefused, or KernelError with EAGAIN where somebody else changes the table
    all the time.
    """
    ours = tuple(chain for chain in table.chains if chain.name not in table.shared)
    stamped = stamp_table(table.family, table.name, chains=ours, hooks=table.hooks)
    return _retried(lambda: _apply(table, stamped), table, stamped)


def apply_patch(patch: TablePatch) -> Applied:
    """Do the changes of a patch and nothing else: the work in this process is the patch's, however large the table.

    Raises OutOfStep where the kernel's table is not what the patch starts from, and what `apply` raises.
    """
    stamped = stamp_patch(patch)
    return _retried(lambda: _patch(patch, stamped), patch, stamped)


def remove(table: Table) -> Applied:
    """Take away what `apply` of such a table leaves: hooks, chains, and all chains whose names begin with `owned`."""
    stamped = stamp_table(table.family, table.name, hooks=table.hooks)
    return _retried(lambda: _remove(table, stamped), table, stamped)


def _retried(once: Callable[[], Applied], table: Table | TablePatch, stamped: Stamped) -> Applied:
    """Learn what is new, read the table again where somebody else was faster, name a rule that the kernel refuses."""
    for _ in range(ATTEMPTS - 1):
        try:
            with xtables_lock():
                return once()
        except UnknownShape:
            stamped.learn()
        except KernelError as error:
            if error.number != errno.EAGAIN:
                raise _named(error, table, stamped) from error
    with xtables_lock():
        return once()


def _named(error: KernelError, table: Table | TablePatch, stamped: Stamped) -> KernelError:
    """The error itself, or which rule it is about where the kernel does not tell."""
    if isinstance(error, OutOfStep | RuleRefused) or error.number not in REFUSALS:
        return error
    with OpenTable(table.family, table.name) as kernel:
        chains = {*kernel.chains(), *(chain.name for chain in stamped.whole)}
    line = first_refused(table.family, table.name, stamped.lines(), chains=chains)
    if line is None:
        return error
    return RuleRefused(table=table.name, chain=line.chain, rule=line.rule, number=error.number)


def _apply(table: Table, stamped: Stamped) -> Applied:
    wanted = {chain.name for chain in table.chains}
    with OpenTable(table.family, table.name) as kernel:
        present = set(kernel.chains())
        kernel.create_chains(sorted(wanted - present, reverse=True))
        created = len(wanted - present)
        written = 0
        for chain in stamped.chains():
            if chain.name not in present:
                _fill(kernel, chain)
            elif not _holds(kernel, chain, stamped.stamper):
                kernel.flush(chain.name)
                _fill(kernel, chain)
            else:
                continue
            written += 1
        hooked = _insert_hooks(kernel, stamped)
        gone = [name for name in present - wanted if name.startswith(table.owned)] if table.owned else []
        deleted, kept = _delete_chains(kernel, gone)
        changed = bool(created or written or hooked or deleted)
        if changed:
            kernel.commit()
    return Applied(changed, written, tuple(kept))


def _fill(kernel: OpenTable, chain: StampedChain) -> None:
    try:
        kernel.append(chain.name, chain.entries)
    except EntryRefused as error:
        rule = chain.rules[error.position]
        raise RuleRefused(table=kernel.name, chain=chain.name, rule=rule, number=error.number) from error


def _holds(kernel: OpenTable, chain: StampedChain, ours: Stamper) -> bool:
    """Whether the kernel's chain has exactly these rules."""
    count = 0
    for count, entry in enumerate(kernel.entries(chain.name), 1):
        if count > len(chain.rules):
            return False
        rule = chain.rules[count - 1]
        if not is_same(entry, rule, chain.entries[count - 1], ours.shape(rule)):
            return False
    return count == len(chain.rules)


def _insert_hooks(kernel: OpenTable, stamped: Stamped) -> int:
    inserted = 0
    for hook in stamped.hooks:
        if _position(kernel, hook, stamped.stamper) is None:
            kernel.insert(hook.chain, hook.entry, 0)
            inserted += 1
    return inserted


def _position(kernel: OpenTable, line: Line, ours: Stamper) -> int | None:
    shape = ours.shape(line.rule)
    for position, found in enumerate(kernel.entries(line.chain)):
        if is_same(found, line.rule, line.entry, shape):
            return position
    return None


def _delete_chains(kernel: OpenTable, names: Iterable[str]) -> tuple[int, list[str]]:
    """Empty all of them, then delete those to which nothing jumps: how many changes, and which had to stay."""
    changes, kept, names = 0, [], sorted(names)
    for name in names:
        if next(kernel.entries(name), None) is not None:
            kernel.flush(name)
            changes += 1
    for name in names:
        if kernel.references(name):
            kept.append(name)
        else:
            kernel.delete_chain(name)
            changes += 1
    return changes, kept


def _patch(patch: TablePatch, stamped: Stamped) -> Applied:
    with OpenTable(patch.family, patch.name) as kernel:
        for chain in stamped.chains():
            if kernel.has_chain(chain.name):
                kernel.flush(chain.name)
            else:
                kernel.create_chain(chain.name)
        try:
            for chain in stamped.chains():
                _fill(kernel, chain)
            for edit in stamped.edits:
                _edit(kernel, edit)
            _, kept = _delete_chains(kernel, patch.removed)
        except KernelError as error:
            raise OutOfStep(patch, error) from error
        kernel.commit()
    return Applied(changed=True, written=len(stamped.whole), kept=tuple(kept))


def _edit(kernel: OpenTable, edit: StampedEdit) -> None:
    for entry, mask in edit.removed:
        kernel.delete(edit.chain, entry, mask)
    for position, entry in enumerate(edit.added.entries):
        kernel.insert(edit.chain, entry, position)


def _remove(table: Table, stamped: Stamped) -> Applied:
    names, hooks = {chain.name for chain in table.chains}, stamped.hooks
    with OpenTable(table.family, table.name) as kernel:
        changes = 0
        for hook in hooks:
            while (position := _position(kernel, hook, stamped.stamper)) is not None:
                kernel.delete_at(hook.chain, position)
                changes += 1
        ours = [
            name
            for name in kernel.chains()
            if name in names or (table.owned and name.startswith(table.owned) and not kernel.is_builtin(name))
        ]
        deleted, kept = _delete_chains(kernel, ours)
        if changes + deleted:
            kernel.commit()
    return Applied(changed=bool(changes + deleted), kept=tuple(kept))
