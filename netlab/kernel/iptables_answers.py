"""What writing rules answers: what was done, or why nothing was."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.errors import KernelError
from netlab.model.rules import Rule, TablePatch

HERE = "this network namespace"


@dataclass(frozen=True, slots=True)
class Applied:
    """What one apply did. `kept` are chains of ours that other people's rules still jump to: emptied, not deleted."""

    changed: bool
    written: int = 0
    """Chains filled anew."""
    kept: tuple[str, ...] = ()


class RuleRefused(KernelError):
    """A rule that this kernel or libxtables does not take. Nothing was changed."""

    def __init__(self, *, table: str, chain: str, rule: Rule, number: int, detail: str = "") -> None:
        super().__init__(f"write a rule of {table} {chain}", HERE, number, detail or str(rule))
        self.table = table
        self.chain = chain
        self.rule = rule


class OutOfStep(KernelError):
    """The kernel's table is not what a patch was made from. Nothing was changed: apply the whole Table instead."""

    def __init__(self, patch: TablePatch, reason: KernelError) -> None:
        super().__init__(f"patch table {patch.name}: {reason.operation}", HERE, reason.number)
