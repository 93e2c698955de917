"""A rule in the words of nft(8), as `nft list ruleset` prints it.

Whatever goes into a text was checked before: names are DNS labels, addresses and networks are values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netlab.model.nft_rules import (
    AddressIn,
    AddressInAny,
    ByMap,
    Dnat,
    DnatByMap,
    Drop,
    Field,
    FlipMark,
    Goto,
    IncomingInterface,
    InSet,
    Jump,
    LocalAddress,
    Marked,
    Masquerade,
    NewFlow,
    OfProtocol,
    OneIn,
    Part,
    Reject,
    RememberSource,
    Rule,
    SetMark,
    Translated,
)
from netlab.model.rules import Family, IPNetwork
from netlab.proxy.addresses import with_port


class Words(NamedTuple):
    """How one family says things."""

    ip: str
    """The table's family, and what its addresses' matches begin with."""
    address: str
    """The type of its addresses."""


WORDS = {Family.IPV4: Words("ip", "ipv4_addr"), Family.IPV6: Words("ip6", "ipv6_addr")}
TRANSPORT = {Field.PROTOCOL: "meta l4proto", Field.PORT: "th dport"}


def rule_text(rule: Rule, family: Family) -> str:
    """`ip saddr 10.244.0.0/16 goto service-... comment "short-circuit pod traffic"`."""
    ip = WORDS[family].ip
    comment = f' comment "{rule.comment}"' if rule.comment else ""
    return " ".join(_part(part, ip) for part in rule.parts) + comment


def _part(part: Part, ip: str) -> str:  # noqa: PLR0911, PLR0912 (a table)
    match part:
        case AddressIn(side, network):
            return f"{ip} {side} {_unless(part)}{network_text(network)}"
        case AddressInAny(side, networks):
            return f"{ip} {side} {_unless(part)}{{ {', '.join(map(network_text, networks))} }}"
        case LocalAddress(side):
            return f"fib {side} type local"
        case InSet(fields, name):
            return f"{_fields(fields, ip)} @{name}"
        case IncomingInterface(name, prefix):
            return f'iifname {_unless(part)}"{name}{"*" if prefix else ""}"'
        case OfProtocol(protocol):
            return f"meta l4proto {protocol}"
        case NewFlow():
            return "ct state new"
        case Translated():
            return "ct status dnat"
        case Marked(mark):
            return f"meta mark & {mark:#010x} != 0x00000000"
        case OneIn(count):
            return f"{drawn_text(count)} 0"
        case ByMap(fields, name):
            return f"{_fields(fields, ip)} vmap @{name}"
        case SetMark(mark):
            return f"meta mark set meta mark | {mark:#010x}"
        case FlipMark(mark):
            return f"meta mark set meta mark ^ {mark:#010x}"
        case RememberSource(name):
            return f"update @{name} {{ {ip} saddr }}"
        case Dnat(address, port):
            return f"dnat to {with_port(address, port)}"
        case DnatByMap(fields, one_of, name):
            return f"dnat {ip} to {_fields(fields, ip)} . {drawn_text(one_of)} map @{name}"
        case Masquerade(fully_random):
            return "masquerade fully-random" if fully_random else "masquerade"
        case Jump() | Goto() | Drop():
            return verdict_text(part)
        case Reject():
            return "reject"


def verdict_text(verdict: Jump | Goto | Drop) -> str:
    """`goto service-...`, `drop`."""
    match verdict:
        case Drop():
            return "drop"
        case Goto(chain):
            return f"goto {chain}"
        case Jump(chain):
            return f"jump {chain}"


def drawn_text(one_of: int) -> str:
    """A number from 0 that is below so many."""
    return f"numgen random mod {one_of}"


def network_text(network: IPNetwork) -> str:
    """`10.244.0.0/16`; an address alone where it is one."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _fields(fields: Iterable[Field], ip: str) -> str:
    return " . ".join(TRANSPORT.get(each) or f"{ip} {each}" for each in fields)


def _unless(part: AddressIn | AddressInAny | IncomingInterface) -> str:
    return "!= " if part.negated else ""
