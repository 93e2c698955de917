"""iptables-nft-restore(8) and iptables-nft(8): what is said to them, and what they say."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE, RuleRefused
from netlab.kernel.iptables_nft_pieces import Does, Order, pieces
from netlab.kernel.programs import output_of, run
from netlab.model.rules import Chain, Family, Jump, Rule
from netlab.proxy.save_text import rule_text

PROGRAMS = {Family.IPV4: "iptables-nft", Family.IPV6: "ip6tables-nft"}
TOO_LONG = "Message too long"
FIRST_LINE = 2
"""The number of the first order's line: the table's name is before it."""
_LINE = re.compile(r"line:? (\d+)")
_MISSING = re.compile(r"Chain '(.+)' does not exist")


class TooLong(KernelError):
    """A transaction that this process may not send in one message. Nothing was changed."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation, HERE, errno.EMSGSIZE)


class Script:
    """Input of iptables-nft-restore for one table, and which rule each line is about."""

    def __init__(self, family: Family, table: str) -> None:
        self.family = family
        self.table = table
        self._orders: list[Order] = []

    def declare(self, chain: str, *, policy: str = "- [0:0]") -> None:
        """Make the chain where it is missing, and empty it."""
        self._orders.append(Order(Does.EMPTY, chain, f":{chain} {policy}"))

    def remove(self, chain: str) -> None:
        """Delete an empty chain to which nothing jumps."""
        self._orders.append(Order(Does.DELETE, chain, f"-X {chain}"))

    def append(self, chain: Chain) -> None:
        """All of a chain's rules."""
        for rule in chain.rules:
            text = rule_text(chain.name, rule, family=self.family)
            self._orders.append(Order(Does.APPEND, chain.name, text, rule))

    def insert(self, chain: str, rule: Rule, position: int) -> None:
        """A rule so that it is the chain's number `position`, counted from 1."""
        text = rule_text(chain, rule, family=self.family).removeprefix(f"-A {chain}")
        self._orders.append(Order(Does.EDIT, chain, f"-I {chain} {position}{text}", rule))

    def delete(self, chain: str, rule: Rule) -> None:
        """The first rule in the chain that is equal."""
        text = rule_text(chain, rule, family=self.family).removeprefix("-A")
        self._orders.append(Order(Does.EDIT, chain, f"-D{text}", rule))

    def repeat(self, chain: str, line: str) -> None:
        """A rule of somebody else's, as `iptables -vS` prints it."""
        self._orders.append(Order(Does.APPEND, chain, line))

    def run_whole(self) -> None:
        """The table anew in one transaction. RuleRefused, TooLong, KernelError: nothing was changed."""
        self._transact(self._orders)

    def run_beside(self) -> int:
        """Carry it out beside what is there; how many transactions it took: one, wherever it fits.

        RuleRefused, KernelError: nothing was changed, or where one did not do only some of it.
        """
        try:
            self._transact(self._orders, "--noflush")
        except TooLong:
            return self.run_in_pieces()
        return 1

    def run_in_pieces(self) -> int:
        """The same where it is known not to fit one transaction."""
        parts = pieces(self._orders)
        for part in parts:
            self._transact(part, "--noflush")
        return len(parts)

    def _transact(self, orders: Sequence[Order], *flags: str) -> None:
        lines = (f"*{self.table}", *(order.text for order in orders), "COMMIT", "")
        done = run([f"{PROGRAMS[self.family]}-restore", *flags], text="\n".join(lines))
        if done.returncode:
            raise self._refusal(done.stderr.strip(), orders)

    def _refusal(self, said: str, orders: Sequence[Order]) -> KernelError:
        operation = f"write table {self.table} ({self.family}) by iptables-nft-restore"
        if TOO_LONG in said:  # it names the last line, which is as good as any other
            return TooLong(operation)
        if missing := _MISSING.search(said):  # said at the end, with the number of the last line
            blamed = [order for order in orders if order.rule and order.rule.target == Jump(missing[1])]
        else:
            numbers = (int(number) - FIRST_LINE for number in _LINE.findall(said))
            blamed = [orders[number] for number in numbers if 0 <= number < len(orders)]
        for order in blamed:
            if order.rule:
                detail = f"{said[:200]}: {order.rule}"
                return RuleRefused(
                    table=self.table, chain=order.chain, rule=order.rule, number=errno.EINVAL, detail=detail
                )
        return KernelError(operation, HERE, 0, said[:500])


def listed(family: Family, table: str, chain: str) -> list[str]:
    """A chain as `iptables -vS CHAIN` prints it, with counters: its policy or its name, then its rules."""
    return output_of([PROGRAMS[family], "-t", table, "-S", chain, "-v"]).splitlines()


def saved(family: Family, table: str) -> list[str]:
    """A whole table as iptables-nft-save prints it."""
    return output_of([f"{PROGRAMS[family]}-save", "-t", table]).splitlines()
