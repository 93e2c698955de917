"""Rules as iptables-save(8) prints them, which iptables-restore(8) reads back.

The order of the words is iptables-save's own, with the matches of one rule always in the same order. `read_save` in
save_reader is the way back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netlab.model.rules import (
    COMMENT_LIMIT,
    Chain,
    Conntrack,
    ConntrackState,
    Dnat,
    Family,
    IcmpError,
    Jump,
    Masquerade,
    Protocol,
    Recent,
    Redirect,
    Reject,
    Rule,
    SetMark,
    Table,
    Target,
    VirtualMatch,
)
from netlab.proxy.addresses import with_port

BUILT_IN = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
"""The kernel's own chains in each table that kube-proxy writes to."""
REJECT_WITH = {
    Family.IPV4: {error: error.value for error in IcmpError},
    Family.IPV6: {
        IcmpError.PORT_UNREACHABLE: "icmp6-port-unreachable",
        IcmpError.NET_UNREACHABLE: "icmp6-no-route",
    },
}
WHOLE_ADDRESS = {Family.IPV4: "255.255.255.255", Family.IPV6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
PROTOCOL_NUMBERS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
"""iptables-save tells an ipvs match's protocol by its number."""
_STATES = tuple(ConntrackState(name) for name in ("INVALID", "NEW", "RELATED", "ESTABLISHED", "DNAT"))
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r"([\"'\\])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def save_text(tables: Iterable[Table]) -> str:
    """The tables as text. Loaded without --noflush it replaces them whole, other people's rules too."""
    return "".join(line + "\n" for table in tables for line in _table(table))


def _table(table: Table) -> Iterator[str]:
    yield f"*{table.name}"
    for name in BUILT_IN[table.name]:
        yield f":{name} ACCEPT [0:0]"
    chains = sorted(table.chains, key=_chain_name)
    for chain in chains:
        yield f":{chain.name} - [0:0]"
    for name in BUILT_IN[table.name]:
        for hook in reversed(table.hooks):
            if hook.chain == name:
                yield rule_text(name, hook.rule, family=table.family)
    for chain in chains:
        for rule in chain.rules:
            yield rule_text(chain.name, rule, family=table.family)
    yield "COMMIT"


def rule_text(chain: str, rule: Rule, *, family: Family) -> str:
    """One rule as `-A CHAIN ...`."""
    words = [f"-A {chain}"]
    _add_header(words, rule)
    _add_matches(words, rule, family=family)
    if rule.target is not None:
        words.append(target_text(rule.target, family=family))
    return " ".join((*words, *map(quoted, rule.extra)))


def _add_header(words: list[str], rule: Rule) -> None:
    if rule.source is not None:
        words.append(f"! -s {rule.source}" if rule.source_inverted else f"-s {rule.source}")
    if rule.destination is not None:
        words.append(f"! -d {rule.destination}" if rule.destination_inverted else f"-d {rule.destination}")
    if rule.in_interface is not None:
        words.append(f"! -i {rule.in_interface}" if rule.in_interface_inverted else f"-i {rule.in_interface}")
    if rule.out_interface is not None:
        words.append(f"-o {rule.out_interface}")
    if rule.protocol is not None:
        words.append(f"-p {rule.protocol.value}")


def _add_matches(words: list[str], rule: Rule, *, family: Family) -> None:
    if rule.comment is not None:
        words.append(f"-m comment --comment {quoted(rule.comment)}")
    if rule.conntrack is not None:
        words.append(_conntrack(rule.conntrack))
    if rule.mark is not None:
        words.append(f"-m mark{_not(inverted=rule.mark.inverted)} --mark {rule.mark.value:#x}/{rule.mark.mask:#x}")
    _add_rare_matches(words, rule)
    if rule.source_local is not None:
        words.append(f"-m addrtype{_not(inverted=not rule.source_local)} --src-type LOCAL")
    if rule.destination_local is not None:
        words.append(f"-m addrtype{_not(inverted=not rule.destination_local)} --dst-type LOCAL")
    if rule.statistic is not None:
        words.append(f"-m statistic --mode random --probability {rule.statistic:.11f}")
    if rule.recent is not None:
        words.append(_recent(rule.recent, family=family))
    if rule.protocol is not None:
        words.append(f"-m {rule.protocol.value}")
        if rule.destination_port is not None:
            words.append(f"--dport {rule.destination_port}")


def _add_rare_matches(words: list[str], rule: Rule) -> None:
    if rule.address_set is not None:
        words.append(f"-m set --match-set {rule.address_set.name} {','.join(rule.address_set.parts)}")
    if rule.bridged_in is not None:
        words.append(f"-m physdev{_not(inverted=not rule.bridged_in)} --physdev-is-in")
    if rule.virtual is not None:
        words.append(_virtual(rule.virtual))


def _not(*, inverted: bool) -> str:
    return " !" if inverted else ""


def _conntrack(match: Conntrack) -> str:
    states = ",".join(state.value for state in _STATES if state in match.states)
    return f"-m conntrack{_not(inverted=match.inverted)} --ctstate {states}"


def _virtual(match: VirtualMatch) -> str:
    return f"-m ipvs --vproto {PROTOCOL_NUMBERS[match.protocol]} --vaddr {match.address} --vport {match.port}"


def _recent(match: Recent, *, family: Family) -> str:
    what = "--set" if match.check_seconds is None else f"--rcheck --seconds {match.check_seconds} --reap"
    return f"-m recent {what} --name {match.name} --mask {WHOLE_ADDRESS[family]} --rsource"


def target_text(target: Target, *, family: Family) -> str:
    """A target as `-j ...`."""
    match target:
        case Jump(chain):
            return f"-j {chain}"
        case Dnat() | Redirect():
            return f"-j {_destination(target)}"
        case Masquerade(random_fully):
            return "-j MASQUERADE --random-fully" if random_fully else "-j MASQUERADE"
        case SetMark(value, mask):
            return f"-j MARK --set-xmark {value:#x}/{mask:#x}"
        case Reject(error):
            return f"-j REJECT --reject-with {REJECT_WITH[family][error]}"
        case verdict:
            return f"-j {verdict.value}"


def _destination(target: Dnat | Redirect) -> str:
    if isinstance(target, Redirect):
        return f"REDIRECT --to-ports {target.port}"
    return f"DNAT --to-destination {with_port(target.address, target.port)}"


def quoted(text: str) -> str:
    """A word so that iptables-restore reads it as one and as nothing else, at most as long as the kernel holds.

    A line break cannot be said in its language: it and other control characters become spaces.
    """
    if _BARE.fullmatch(text) and len(text) <= COMMENT_LIMIT:
        return text
    held = _CONTROL.sub(" ", text).encode("utf-8", "replace")[:COMMENT_LIMIT].decode("utf-8", "ignore")
    return '"' + _ESCAPED.sub(r"\\\1", held) + '"'


def _chain_name(chain: Chain) -> str:
    return chain.name
