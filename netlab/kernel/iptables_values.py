"""What no rule may say, checked before iptables-nft-restore sees it, which would look names up and cut texts short."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from netlab.kernel.iptables_answers import RuleRefused
from netlab.model.rules import COMMENT_LIMIT, Chain, Dnat, Family, Jump, Mark, Redirect, Rule, SetMark

CHAIN_LIMIT = 28
"""XT_EXTENSION_MAXNAMELEN less the closing zero."""
RECENT_LIMIT = 199
"""XT_RECENT_NAME_LEN less the closing zero."""
LARGEST_PORT = 0xFFFF
LARGEST_MARK = 0xFFFFFFFF
VERSIONS = {Family.IPV4: 4, Family.IPV6: 6}


def check(family: Family, table: str, chains: Iterable[Chain]) -> None:
    """RuleRefused for the first rule that cannot be said."""
    for chain in chains:
        for rule in chain.rules:
            if reason := _unsayable(rule, version=VERSIONS[family]):
                raise RuleRefused(table=table, chain=chain.name, rule=rule, number=errno.EINVAL, detail=reason)


def _unsayable(rule: Rule, *, version: int) -> str:
    source, destination, port, target = rule.source, rule.destination, rule.destination_port, rule.target
    address = target.address if isinstance(target, Dnat) else None
    if any(each is not None and each.version != version for each in (source, destination, address)):
        return "an address of the other family"
    if port is not None and not 0 <= port <= LARGEST_PORT:
        return f"port {port}"
    if rule.comment is not None and (reason := _unfit(rule.comment, COMMENT_LIMIT)):
        return reason
    if isinstance(target, Jump):
        return _unfit(target.chain, CHAIN_LIMIT)
    if isinstance(target, Dnat | Redirect) and not 0 < target.port <= LARGEST_PORT:
        return f"port {target.port}"
    return _unsayable_rarely(rule)


def _unsayable_rarely(rule: Rule) -> str:
    """What few rules have."""
    if rule.extra:
        return "options that can only be read"
    if rule.recent is not None and (reason := _unfit(rule.recent.name, RECENT_LIMIT)):
        return reason
    marks = [mark for mark in (rule.mark, rule.target) if isinstance(mark, Mark | SetMark)]
    if any(not 0 <= number <= LARGEST_MARK for mark in marks for number in (mark.value, mark.mask)):
        return "a mark of more than 32 bits"
    return ""


def _unfit(text: str, limit: int) -> str:
    if len(text.encode()) > limit or not text.isprintable():
        return f"{text[:COMMENT_LIMIT]!r} is longer than {limit} bytes or not printable"
    return ""
