"""iptables-nft: the same rules where a kernel has nftables alone, written by iptables-nft-restore.

What is wanted is compared with what is there; `netlab.kernel.iptables_nft_write` writes the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE, Applied, OutOfStep
from netlab.kernel.iptables_nft_memory import UNKNOWN, Held, lines_of, mark_of, remember, remembered
from netlab.kernel.iptables_nft_text import PROGRAMS, Script, listed, saved
from netlab.kernel.iptables_nft_write import FEW_CHAINS, Change, TheirLine, write
from netlab.kernel.iptables_values import check
from netlab.kernel.nft_chains import chain_names, generation
from netlab.kernel.programs import program
from netlab.model.rules import Chain, Family, Hook, Rule, Table, TablePatch
from netlab.proxy.rule_reader import read_rule
from netlab.proxy.save_reader import words_of
from netlab.proxy.save_text import BUILT_IN

READ_AT_MOST = 3000
"""Chains of ours that are read to be compared; with more, writing them anew is faster."""


def require_table(family: Family, name: str) -> None:
    """Raise MissingCapability where there is no nftables here or no iptables-nft-restore, with the remedy."""
    if name not in BUILT_IN:
        raise MissingCapability(f"table {name} of iptables-nft", "none: netlab writes nat, filter and mangle")
    program(f"{PROGRAMS[family]}-restore")
    try:
        generation()
    except KernelError as error:
        raise MissingCapability("this kernel has no nftables", "use a kernel with CONFIG_NF_TABLES") from error


def table_names(family: Family) -> frozenset[str]:
    """The tables of iptables-nft that this network namespace has, where the program is there too."""
    try:
        program(f"{PROGRAMS[family]}-restore")
        return frozenset(name for name in BUILT_IN if chain_names(family, name))
    except (KernelError, MissingCapability):
        return frozenset()


def apply(table: Table) -> Applied:
    """See `netlab.kernel.iptables.apply`. What is not known and too much to read is written anew, counters with it."""
    if table.shared:
        table = _without_shared(table)
    hooked = (Chain(hook.chain, (hook.rule,)) for hook in table.hooks)
    check(table.family, table.name, (*table.chains, *hooked))
    before = generation()
    held = remembered(table.family, table.name) or _read(table)
    wanted = {chain.name for chain in table.chains}
    different = [chain for chain in table.chains if held.chains.get(chain.name) != mark_of(chain.rules)]
    gone = [name for name in held.chains if name not in wanted and _is_owned(name, table)]
    missing = [hook for hook in table.hooks if hook not in held.hooks]
    if not (different or gone or missing):
        return Applied(changed=False)
    theirs = _theirs(table) if gone or len(different) > FEW_CHAINS else {}
    kept = _jumped_to(gone, theirs)
    taken = write(Change(table, different, gone=gone, kept=kept, hooks=missing), theirs)
    chains = {chain.name: mark_of(chain.rules) for chain in table.chains} | dict.fromkeys(kept, mark_of(()))
    lines = {chain.name: lines_of(chain.rules) for chain in table.chains if not _is_owned(chain.name, table)}
    remember(table.family, table.name, Held(chains, frozenset(table.hooks), lines), before=before, transactions=taken)
    changed = bool(different or missing or set(gone) - kept or any(held.chains[name] != mark_of(()) for name in kept))
    return Applied(changed, len(different), tuple(sorted(kept)))


def apply_patch(patch: TablePatch) -> Applied:
    """See `netlab.kernel.iptables.apply_patch`."""
    before, held = generation(), remembered(patch.family, patch.name)
    script = Script(patch.family, patch.name)
    for name in sorted((*(chain.name for chain in patch.chains), *patch.removed)):
        script.declare(name)
    for chain in patch.chains:
        script.append(chain)
    for edit in patch.edits:
        for rule in edit.removed:
            script.delete(edit.chain, rule)
        for position, rule in enumerate(edit.added, 1):
            script.insert(edit.chain, rule, position)
    for name in patch.removed:
        script.remove(name)
    edited = (Chain(edit.chain, edit.added) for edit in patch.edits)
    try:
        check(patch.family, patch.name, (*patch.chains, *edited))
        _require_chains(patch)
        taken = script.run_beside()
    except KernelError as error:
        raise OutOfStep(patch, error) from error
    if held is not None:
        remember(patch.family, patch.name, held.after(patch), before=before, transactions=taken)
    return Applied(changed=True, written=len(patch.chains))


def remove(table: Table) -> Applied:
    """See `netlab.kernel.iptables.remove`."""
    before, ours, theirs = generation(), _ours(table), _theirs(table)
    hooks = [
        Hook(chain, line.rule)
        for chain, lines in theirs.items()
        for line in lines
        if Hook(chain, line.rule) in table.hooks
    ]
    if not ours and not hooks:
        return Applied(changed=False)
    for hook in set(hooks):
        theirs[hook.chain] = [line for line in theirs[hook.chain] if line.rule != hook.rule]
    kept = _jumped_to(ours, theirs)
    taken = write(Change(Table(table.family, table.name), gone=ours, kept=kept, unhooked=hooks), theirs)
    remember(table.family, table.name, Held(dict.fromkeys(kept, mark_of(()))), before=before, transactions=taken)
    return Applied(changed=True, kept=tuple(sorted(kept)))


# --- what is there


def _without_shared(table: Table) -> Table:
    """The table without those shared chains that are there: they count as somebody else's."""
    present = {*table.shared} & {*chain_names(table.family, table.name)}
    return replace(table, chains=tuple(chain for chain in table.chains if chain.name not in present), shared=())


def _is_owned(name: str, table: Table) -> bool:
    return bool(table.owned) and name.startswith(table.owned)


def _ours(table: Table) -> list[str]:
    names = {chain.name for chain in table.chains}
    present = chain_names(table.family, table.name)
    return [name for name in present if name in names or _is_owned(name, table)]


def _read(table: Table) -> Held:
    """What the kernel holds of ours, as far as it is worth reading."""
    ours, present = _ours(table), set(chain_names(table.family, table.name))
    hooked = {hook.chain for hook in table.hooks} & present
    found = {Hook(chain, line.rule) for chain in hooked for line in _lines(table, chain, chains=present)}
    hooks = frozenset(hook for hook in table.hooks if hook in found)
    if len(ours) > READ_AT_MOST or not ours:
        return Held(dict.fromkeys(ours, UNKNOWN), hooks)
    rules: dict[str, list[Rule]] = {name: [] for name in ours}
    for line in saved(table.family, table.name):
        if line.startswith("-A ") and (words := words_of(line))[1] in rules:
            rules[words[1]].append(read_rule(words[2:], chains=present))
    return Held({name: mark_of(rules[name]) for name in ours}, hooks)


def _theirs(table: Table) -> dict[str, list[TheirLine]]:
    """Every chain that is not ours, the built-in ones among them."""
    ours, names = set(_ours(table)), chain_names(table.family, table.name)
    return {name: _lines(table, name, chains=set(names)) for name in names if name not in ours}


def _lines(table: Table, chain: str, *, chains: Collection[str]) -> list[TheirLine]:
    return [
        TheirLine(read_rule(_uncounted(words_of(text)[2:]), chains=chains), text)
        for text in listed(table.family, table.name, chain)
    ]


def _uncounted(words: list[str]) -> list[str]:
    """Without `-c packets bytes`."""
    at = words.index("-c") if "-c" in words else len(words)
    return words[:at] + words[at + 3 :]


def _jumped_to(names: Iterable[str], theirs: dict[str, list[TheirLine]]) -> set[str]:
    """Those of our chains that other people's rules lead to: the target is a line's last word."""
    targets = {line.text.rsplit(" ", 1)[-1] for lines in theirs.values() for line in lines}
    return targets & set(names)


def _require_chains(patch: TablePatch) -> None:
    """A chain that is declared would be made, and so a patch done that has nothing to start from."""
    present = set(chain_names(patch.family, patch.name))
    for name in (*patch.removed, *(edit.chain for edit in patch.edits)):
        if name not in present:
            raise KernelError(f"find chain {name} of table {patch.name} ({patch.family})", HERE, 0)
