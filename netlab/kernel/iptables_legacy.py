"""Legacy tables: what `iptables` does where the kernel has them, by one commit a table.

What is written is what iptables-legacy would write, so that `iptables-legacy -L` and iptables-save show it. Whole
tables are put together here; changes of a few rules go by libiptc. Every call reads the table anew, in the current
namespace.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE, Applied, OutOfStep, RuleRefused
from netlab.kernel.iptables_blame import first_refused
from netlab.kernel.iptables_handle import OpenTable
from netlab.kernel.iptables_held import HeldChain, read_table
from netlab.kernel.iptables_lock import xtables_lock
from netlab.kernel.iptables_replace import replace_table
from netlab.kernel.iptables_shapes import is_same, standard_target
from netlab.kernel.iptables_stamped import (
    Line,
    Stamped,
    StampedChain,
    StampedEdit,
    stamp_patch,
    stamp_table,
)
from netlab.kernel.iptables_stamper import Stamper, UnknownShape
from netlab.model.rules import Chain, Family, Jump, Rule, Table, TablePatch
from netlab.proxy.save_text import BUILT_IN

Chains = dict[str, HeldChain | Chain]
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
    read_table(family, name)


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
    chains = {*read_table(table.family, table.name).chains, *(chain.name for chain in stamped.whole)}
    line = first_refused(table.family, table.name, stamped.lines(), chains=chains)
    if line is None:
        return error
    return RuleRefused(table=table.name, chain=line.chain, rule=line.rule, number=error.number)


def _apply(table: Table, stamped: Stamped) -> Applied:
    held = read_table(table.family, table.name)
    chains: Chains = dict(held.chains)
    wanted = {chain.name for chain in table.chains}
    missing, written = wanted.difference(chains), 0
    for chain in stamped.whole:
        if chain.name in missing or not _holds(held.chains[chain.name], stamped.stamp(chain), stamped.stamper):
            chains[chain.name] = chain
            written += 1
    for name in missing.intersection(table.shared):
        chains[name] = HeldChain()
    hooked = _insert_hooks(chains, stamped)
    gone = [name for name in held.chains.keys() - wanted if name.startswith(table.owned)] if table.owned else []
    deleted, kept = _delete_chains(chains, gone)
    changed = bool(missing or written or hooked or deleted)
    if changed:
        replace_table(held, chains, stamp=stamped.as_bytes)
    return Applied(changed, written, tuple(kept))


def _holds(held: HeldChain, chain: StampedChain, ours: Stamper) -> bool:
    """Whether the kernel's chain has exactly these rules."""
    wanted = chain.stamped
    return [*held.leads_to] == wanted.leads_to and all(
        is_same(data, stamped, ours.shape(rule))
        for data, stamped, rule in zip(held.rules, wanted.rules, chain.rules, strict=True)
    )


def _insert_hooks(chains: Chains, stamped: Stamped) -> int:
    """Each that is missing, at the top of its chain; how many."""
    inserted = 0
    for hook in stamped.hooks:
        chain = _chain(chains, hook, stamped)
        if _position(chain, hook, stamped.stamper) is None:
            chains[hook.chain] = chain.with_rule(hook.entry, standard_target(hook.rule.target))
            inserted += 1
    return inserted


def _chain(chains: Chains, hook: Line, stamped: Stamped) -> HeldChain:
    """The chain that the hook is in, or belongs in."""
    if hook.chain not in chains:
        raise KernelError(f"insert a rule into chain {hook.chain}", HERE, errno.ENOENT)
    chain = chains[hook.chain]
    return stamped.as_bytes(chain) if isinstance(chain, Chain) else chain


def _position(chain: HeldChain, line: Line, ours: Stamper) -> int | None:
    shape, leads_to = ours.shape(line.rule), standard_target(line.rule.target)
    for position, (data, leads) in enumerate(zip(chain.rules, chain.leads_to, strict=True)):
        if leads == leads_to and is_same(data, line.entry, shape):
            return position
    return None


def _delete_chains(chains: Chains, names: Collection[str]) -> tuple[int, list[str]]:
    """Empty all of them, then delete those to which nothing leads: how many changes, and which had to stay."""
    if not names:
        return 0, []
    changes, kept = 0, []
    for name in names:
        changes += bool(chains[name].rules)
        chains[name] = HeldChain()
    used = {leads_to for chain in chains.values() for leads_to in _leads_to(chain)}
    for name in sorted(names):
        if name in used:
            kept.append(name)
        else:
            del chains[name]
            changes += 1
    return changes, kept


def _leads_to(chain: HeldChain | Chain) -> Iterable[str | None]:
    return map(_target, chain.rules) if isinstance(chain, Chain) else chain.leads_to


def _target(rule: Rule) -> str | None:
    return standard_target(rule.target)


def _patch(patch: TablePatch, stamped: Stamped) -> Applied:
    with OpenTable(patch.family, patch.name) as kernel:
        for chain in stamped.chains():
            if kernel.has_chain(chain.name):
                kernel.flush(chain.name)
            else:
                kernel.create_chain(chain.name)
        try:
            for chain in stamped.chains():
                kernel.append(chain.name, chain.stamped.rules)
            for edit in stamped.edits:
                _edit(kernel, edit)
            kept = _delete_emptied(kernel, patch.removed)
        except KernelError as error:
            raise OutOfStep(patch, error) from error
        kernel.commit()
    return Applied(changed=True, written=len(stamped.whole), kept=tuple(kept))


def _edit(kernel: OpenTable, edit: StampedEdit) -> None:
    for entry, mask in edit.removed:
        kernel.delete(edit.chain, entry, mask)
    for position, entry in enumerate(edit.added.stamped.rules):
        kernel.insert(edit.chain, entry, position)


def _delete_emptied(kernel: OpenTable, names: Iterable[str]) -> list[str]:
    """Empty all of them, then delete those to which nothing jumps; which had to stay."""
    names, kept = sorted(names), []
    for name in names:
        kernel.flush(name)
    for name in names:
        if kernel.references(name):
            kept.append(name)
        else:
            kernel.delete_chain(name)
    return kept


def _remove(table: Table, stamped: Stamped) -> Applied:
    held = read_table(table.family, table.name)
    chains: Chains = dict(held.chains)
    names, changes = {chain.name for chain in table.chains}, 0
    for hook in stamped.hooks:
        target = hook.rule.target
        if isinstance(target, Jump) and target.chain not in chains:
            continue  # where there is no such chain nothing jumps to it: its bytes need not be learned to know that
        while (position := _position(chain := _chain(chains, hook, stamped), hook, stamped.stamper)) is not None:
            chains[hook.chain] = chain.without_rule(position)
            changes += 1
    ours = [name for name in chains if name in names or (table.owned and name.startswith(table.owned))]
    deleted, kept = _delete_chains(chains, [name for name in ours if name not in held.policies])
    if changes + deleted:
        replace_table(held, chains, stamp=stamped.as_bytes)
    return Applied(changed=bool(changes + deleted), kept=tuple(kept))
