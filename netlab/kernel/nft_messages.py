"""Changes of a table as the messages of nf_tables' netlink family.

Each change is one message, but for a rule with a set that has no name: its set and what is in it go before it.
Source: <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

from netlab.kernel.netlink import NLM_F_CREATE, attribute, nested
from netlab.kernel.nft_expressions import NF_FAMILIES, Expressions, lookup, u32
from netlab.kernel.nft_set_messages import (
    client_element,
    element,
    element_key,
    networks_elements,
    networks_set,
    set_attributes,
    user_text,
)
from netlab.model.nft_rules import AddressInAny, Field, Rule
from netlab.model.nft_tables import (
    AddChain,
    AddClients,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    Chain,
    Change,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    FlushChain,
)
from netlab.model.rules import Family

NFTABLES = 10 << 8
NEW_TABLE, DELETE_TABLE, NEW_CHAIN, DELETE_CHAIN, NEW_RULE, DELETE_RULE, NEW_SET, DELETE_SET = (
    NFTABLES | number for number in (0, 2, 3, 5, 6, 8, 9, 11)
)
NEW_ELEMENTS, DELETE_ELEMENTS = NFTABLES | 12, NFTABLES | 14
NLM_F_APPEND = 0x800
NETFILTER_HEADER = struct.Struct(">BBH")
TABLE_NAME, TABLE_USERDATA = 1, 6
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE, CHAIN_FLAGS, CHAIN_USERDATA = 1, 3, 4, 5, 7, 10, 12
HOOK_NUMBER, HOOK_PRIORITY, BASE_CHAIN, NF_ACCEPT = 1, 2, 1, 1
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS, RULE_USERDATA = 1, 2, 4, 7
LIST_SET, LIST_ELEMENTS, LIST_SET_IDENTITY = 2, 3, 4
SET_NAME = 2
COMMENT_OF_TABLE = COMMENT_OF_CHAIN = COMMENT_OF_RULE = 0


class Message(NamedTuple):
    """One message of a batch: its type, flags beside NLM_F_REQUEST, and what follows the netlink header."""

    kind: int
    flags: int
    body: bytes


class Messages:
    """Makes the messages of one transaction (or several) for one table."""

    def __init__(self, family: Family, table: str) -> None:
        self._family = family
        self._expressions = Expressions(family)
        self._head = NETFILTER_HEADER.pack(NF_FAMILIES[family], 0, 0) + attribute(1, table.encode() + b"\0")
        self._identities = count(1)
        self._of: dict[type[Any], Callable[[Any], list[Message]]] = {
            AddTable: self._add_table,
            DeleteTable: lambda _: [Message(DELETE_TABLE, 0, self._head)],
            AddSet: self._add_set,
            DeleteSet: lambda change: [Message(DELETE_SET, 0, self._head + _name(SET_NAME, change.name))],
            AddChain: self._add_chain,
            FlushChain: lambda change: [Message(DELETE_RULE, 0, self._head + _name(RULE_CHAIN, change.name))],
            DeleteChain: lambda change: [Message(DELETE_CHAIN, 0, self._head + _name(CHAIN_NAME, change.name))],
            AddRule: self._add_rule,
            AddElements: lambda change: [self._elements(NEW_ELEMENTS, change.set, map(element, change.elements))],
            DeleteElements: lambda change: [
                self._elements(DELETE_ELEMENTS, change.set, map(element_key, change.elements))
            ],
            AddClients: lambda change: [self._elements(NEW_ELEMENTS, change.set, map(client_element, change.clients))],
        }

    def of(self, change: Change) -> list[Message]:
        """The messages of one change, which belong into one transaction."""
        return self._of[type(change)](change)

    def _add_table(self, change: AddTable) -> list[Message]:
        userdata = attribute(TABLE_USERDATA, user_text(COMMENT_OF_TABLE, change.comment)) if change.comment else b""
        return [Message(NEW_TABLE, NLM_F_CREATE, self._head + userdata)]

    def _add_set(self, change: AddSet) -> list[Message]:
        found = set_attributes(change.set, self._family, identity=next(self._identities))
        return [Message(NEW_SET, NLM_F_CREATE, self._head + found)]

    def _add_chain(self, change: AddChain) -> list[Message]:
        chain = change.chain
        parts = _name(CHAIN_NAME, chain.name)
        if chain.hook or chain.comment:
            parts += _chain_attributes(chain)
        return [Message(NEW_CHAIN, NLM_F_CREATE, self._head + parts)]

    def _add_rule(self, change: AddRule) -> list[Message]:
        rule, before, parts = change.rule, list[Message](), list[bytes]()
        for part in rule.parts:
            if isinstance(part, AddressInAny) and len(part.networks) > 1:
                identity = next(self._identities)
                before += self._networks(part, identity)
                fields = self._expressions.load((Field(part.side.value),))
                parts.append(fields + lookup("__set%d", unless=part.negated, identity=identity))
            else:
                parts.append(self._expressions.of(part))
        return [*before, self._rule(change.chain, rule, b"".join(parts))]

    def _rule(self, chain: str, rule: Rule, expressions: bytes) -> Message:
        body = self._head + _name(RULE_CHAIN, chain) + nested(RULE_EXPRESSIONS, expressions)
        if rule.comment:
            body += attribute(RULE_USERDATA, user_text(COMMENT_OF_RULE, rule.comment))
        return Message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, body)

    def _networks(self, part: AddressInAny, identity: int) -> list[Message]:
        made = self._head + networks_set(part, self._family, identity=identity)
        return [
            Message(NEW_SET, NLM_F_CREATE, made),
            self._elements(NEW_ELEMENTS, "__set%d", networks_elements(part.networks), identity=identity),
        ]

    def _elements(self, kind: int, name: str, elements: Iterable[bytes], *, identity: int | None = None) -> Message:
        told = attribute(LIST_SET_IDENTITY, u32(identity)) if identity is not None else b""
        body = self._head + _name(LIST_SET, name) + told + nested(LIST_ELEMENTS, *elements)
        return Message(kind, NLM_F_CREATE if kind == NEW_ELEMENTS else 0, body)


def _name(kind: int, name: str) -> bytes:
    return attribute(kind, name.encode() + b"\0")


def _chain_attributes(chain: Chain) -> bytes:
    found = b""
    if chain.hook:
        priority = chain.hook.priority.to_bytes(4, "big", signed=True)
        where = attribute(HOOK_NUMBER, u32(HOOKS[chain.hook.hook])) + attribute(HOOK_PRIORITY, priority)
        found += nested(CHAIN_HOOK, where) + attribute(CHAIN_POLICY, u32(NF_ACCEPT))
        found += _name(CHAIN_TYPE, chain.hook.type) + attribute(CHAIN_FLAGS, u32(BASE_CHAIN))
    return found + (attribute(CHAIN_USERDATA, user_text(COMMENT_OF_CHAIN, chain.comment)) if chain.comment else b"")
