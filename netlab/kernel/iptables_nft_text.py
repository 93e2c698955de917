"""iptables-nft-restore(8) and iptables-nft(8): what is said to them, and what they say."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from netlab.errors import KernelError, MissingCapability
from netlab.kernel.iptables_answers import HERE, RuleRefused
from netlab.model.rules import Chain, Family, Jump, Rule
from netlab.proxy.save_text import rule_text

PROGRAMS = {Family.IPV4: "iptables-nft", Family.IPV6: "ip6tables-nft"}
SYSTEM_PATH = "/usr/sbin:/sbin"
"""Where Debian has the programs; an ordinary user's PATH lacks these."""
PATIENCE_SECONDS = 120.0
"""Ten times what the largest table takes: whoever waits longer waits for nothing."""
_LINE = re.compile(r"line:? (\d+)")
_MISSING = re.compile(r"Chain '(.+)' does not exist")


class Script:
    """Input of iptables-nft-restore for one table, and which rule each line is about."""

    def __init__(self, family: Family, table: str) -> None:
        self.family = family
        self.table = table
        self._lines = [f"*{table}"]
        self._rules: dict[int, tuple[str, Rule]] = {}

    def declare(self, chain: str, *, policy: str = "- [0:0]") -> None:
        """Make the chain where it is missing, and empty it."""
        self._lines.append(f":{chain} {policy}")

    def remove(self, chain: str) -> None:
        """Delete an empty chain to which nothing jumps."""
        self._lines.append(f"-X {chain}")

    def append(self, chain: Chain) -> None:
        """All of a chain's rules."""
        for rule in chain.rules:
            self._say(chain.name, rule, rule_text(chain.name, rule, family=self.family))

    def insert(self, chain: str, rule: Rule, position: int) -> None:
        """A rule so that it is the chain's number `position`, counted from 1."""
        text = rule_text(chain, rule, family=self.family)
        self._say(chain, rule, f"-I {chain} {position}{text.removeprefix(f'-A {chain}')}")

    def delete(self, chain: str, rule: Rule) -> None:
        """The first rule in the chain that is equal."""
        self._say(chain, rule, f"-D{rule_text(chain, rule, family=self.family).removeprefix('-A')}")

    def repeat(self, line: str) -> None:
        """A rule of somebody else's, as `iptables -vS` prints it."""
        self._lines.append(line)

    def _say(self, chain: str, rule: Rule, line: str) -> None:
        self._lines.append(line)
        self._rules[len(self._lines)] = chain, rule

    def run(self, *, whole: bool) -> None:
        """Carry it out in one transaction: the `whole` table anew, or beside what is there.

        RuleRefused, KernelError: nothing was changed.
        """
        command = [program(self.family, "-restore"), *(() if whole else ("--noflush",))]
        done = _run(command, text="\n".join((*self._lines, "COMMIT", "")))
        if done.returncode:
            raise self._refusal(done.stderr.strip())

    def _refusal(self, said: str) -> KernelError:
        if missing := _MISSING.search(said):  # said at the end, with the number of the last line
            lines = [line for line, (_, rule) in self._rules.items() if rule.target == Jump(missing[1])]
        else:
            lines = [int(number) for number in _LINE.findall(said)]
        named = next((self._rules[line] for line in lines if line in self._rules), None)
        if named is None:
            return KernelError(f"write table {self.table} ({self.family}) by iptables-nft-restore", HERE, 0, said[:500])
        chain, rule = named
        detail = f"{said[:200]}: {rule}"
        return RuleRefused(table=self.table, chain=chain, rule=rule, number=errno.EINVAL, detail=detail)


def listed(family: Family, table: str, chain: str) -> list[str]:
    """A chain as `iptables -vS CHAIN` prints it, with counters: its policy or its name, then its rules."""
    command = [program(family, ""), "-t", table, "-S", chain, "-v"]
    done = _run(command, text="")
    if done.returncode:
        raise KernelError(" ".join(command), HERE, 0, done.stderr.strip())
    return done.stdout.splitlines()


def saved(family: Family, table: str) -> list[str]:
    """A whole table as iptables-nft-save prints it."""
    done = _run([program(family, "-save"), "-t", table], text="")
    if done.returncode:
        raise KernelError(f"iptables-nft-save -t {table}", HERE, 0, done.stderr.strip())
    return done.stdout.splitlines()


def program(family: Family, suffix: str) -> str:
    """Where the program is; MissingCapability where it is not."""
    name = PROGRAMS[family] + suffix
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if found is None:
        raise MissingCapability(f"{name} is not installed", "install the package iptables")
    return found


def _run(command: Sequence[str], *, text: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise KernelError(" ".join(command), HERE, errno.ETIMEDOUT) from error
