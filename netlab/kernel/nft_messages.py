"""Changes of a table as the messages of nf_tables' netlink family.

Each change is one message, but for a rule with a set that has no name: its set and what is in it go before it.
Source: <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from netlab.kernel.netlink import ATTRIBUTE, HEADER, NLA_F_NESTED, NLM_F_CREATE, NLM_F_REQUEST, attribute, nested
from netlab.kernel.nft_attributes import NF_FAMILIES, name, u32
from netlab.kernel.nft_expressions import Expressions, lookup
from netlab.kernel.nft_set_messages import (
    ANONYMOUS_NAME,
    client_element,
    element,
    element_key,
    networks_elements,
    networks_set,
    set_attributes,
)
from netlab.kernel.nft_userdata import user_text
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
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS, RULE_USERDATA = 1, 2, 4 | NLA_F_NESTED, 7
LIST_SET, LIST_ELEMENTS, LIST_SET_IDENTITY = 2, 3, 4
SET_NAME = 2
ENDS_A_MESSAGE = 1000
"""An attribute holds 64 KB; an end of a network is at most 52 bytes."""
COMMENT_OF_TABLE = COMMENT_OF_CHAIN = COMMENT_OF_RULE = 0


class Messages:
    """Makes the messages of one transaction (or several) for one table."""

    def __init__(self, family: Family, table: str) -> None:
        self._family = family
        self._expressions = Expressions(family)
        self._head = NETFILTER_HEADER.pack(NF_FAMILIES[family], 0, 0) + name(1, table)
        self._identities = count(1)
        self._chain, self._rule_head = "", b""
        self._of: dict[type[Any], Callable[[Any, int], bytes]] = {
            AddTable: self._add_table,
            DeleteTable: lambda _, number: _message(DELETE_TABLE, 0, number, self._head),
            AddSet: self._add_set,
            DeleteSet: lambda change, number: self._named(DELETE_SET, SET_NAME, change.name, number),
            AddChain: self._add_chain,
            FlushChain: lambda change, number: self._named(DELETE_RULE, RULE_CHAIN, change.name, number),
            DeleteChain: lambda change, number: self._named(DELETE_CHAIN, CHAIN_NAME, change.name, number),
            AddRule: self._add_rule,
            AddElements: self._add_elements,
            DeleteElements: self._delete_elements,
            AddClients: self._add_clients,
        }

    def of(self, change: Change, *, number: int) -> bytes:
        """The messages of one change, which belong into one transaction; all have its number, for the answers."""
        return self._of[type(change)](change, number)

    def of_all(self, changes: Iterable[Change]) -> list[bytes]:
        """The messages of each change; the first has the number 1."""
        known = self._of
        return [known[type(change)](change, number) for number, change in enumerate(changes, start=1)]

    def _named(self, kind: int, attribute_kind: int, what: str, number: int) -> bytes:
        return _message(kind, 0, number, self._head + name(attribute_kind, what))

    def _add_table(self, change: AddTable, number: int) -> bytes:
        userdata = attribute(TABLE_USERDATA, user_text(COMMENT_OF_TABLE, change.comment)) if change.comment else b""
        return _message(NEW_TABLE, NLM_F_CREATE, number, self._head + userdata)

    def _add_set(self, change: AddSet, number: int) -> bytes:
        found = set_attributes(change.set, self._family, identity=next(self._identities))
        return _message(NEW_SET, NLM_F_CREATE, number, self._head + found)

    def _add_chain(self, change: AddChain, number: int) -> bytes:
        chain = change.chain
        parts = name(CHAIN_NAME, chain.name)
        if chain.hook or chain.comment:
            parts += _chain_attributes(chain)
        return _message(NEW_CHAIN, NLM_F_CREATE, number, self._head + parts)

    # --- rules

    def _add_rule(self, change: AddRule, number: int) -> bytes:
        chain, rule = change
        if chain != self._chain:  # the rules of a chain come one after the other
            self._chain, self._rule_head = chain, self._head + name(RULE_CHAIN, chain)
        if AddressInAny in map(type, rule.parts):
            before, expressions = self._with_networks(rule, number)
        else:
            before, expressions = b"", self._expressions.of_all(rule.parts)
        body = self._rule_head + ATTRIBUTE.pack(len(expressions) + ATTRIBUTE.size, RULE_EXPRESSIONS) + expressions
        if rule.comment:
            body += attribute(RULE_USERDATA, user_text(COMMENT_OF_RULE, rule.comment))
        return before + _message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, number, body)

    def _with_networks(self, rule: Rule, number: int) -> tuple[bytes, bytes]:
        """The messages for its sets without a name, and the expressions."""
        before = expressions = b""
        for part in rule.parts:
            if isinstance(part, AddressInAny) and len(part.networks) > 1:
                identity = next(self._identities)
                before += self._networks(part, identity, number)
                fields = self._expressions.load((Field(part.side.value),))
                expressions += fields + lookup(ANONYMOUS_NAME, unless=part.negated, identity=identity)
            else:
                expressions += self._expressions.of(part)
        return before, expressions

    def _networks(self, part: AddressInAny, identity: int, number: int) -> bytes:
        """A set, and what is in it, in messages that are not too long."""
        made = self._head + networks_set(part, self._family, identity=identity)
        told = self._head + name(LIST_SET, ANONYMOUS_NAME) + attribute(LIST_SET_IDENTITY, u32(identity))
        ends = networks_elements(part.networks)
        lists = (ends[at : at + ENDS_A_MESSAGE] for at in range(0, len(ends), ENDS_A_MESSAGE))
        filled = (told + nested(LIST_ELEMENTS, *each) for each in lists)
        return _message(NEW_SET, NLM_F_CREATE, number, made) + b"".join(
            _message(NEW_ELEMENTS, NLM_F_CREATE, number, each) for each in filled
        )

    # --- elements

    def _add_elements(self, change: AddElements, number: int) -> bytes:
        return _message(NEW_ELEMENTS, NLM_F_CREATE, number, self._listed(change.set, map(element, change.elements)))

    def _delete_elements(self, change: DeleteElements, number: int) -> bytes:
        return _message(DELETE_ELEMENTS, 0, number, self._listed(change.set, map(element_key, change.elements)))

    def _add_clients(self, change: AddClients, number: int) -> bytes:
        listed = self._listed(change.set, map(client_element, change.clients))
        return _message(NEW_ELEMENTS, NLM_F_CREATE, number, listed)

    def _listed(self, into: str, elements: Iterable[bytes]) -> bytes:
        return self._head + name(LIST_SET, into) + nested(LIST_ELEMENTS, *elements)


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, number, 0) + body


def _chain_attributes(chain: Chain) -> bytes:
    found = b""
    if chain.hook:
        priority = chain.hook.priority.to_bytes(4, "big", signed=True)
        where = attribute(HOOK_NUMBER, u32(HOOKS[chain.hook.hook])) + attribute(HOOK_PRIORITY, priority)
        found += nested(CHAIN_HOOK, where) + attribute(CHAIN_POLICY, u32(NF_ACCEPT))
        found += name(CHAIN_TYPE, chain.hook.type) + attribute(CHAIN_FLAGS, u32(BASE_CHAIN))
    return found + (attribute(CHAIN_USERDATA, user_text(COMMENT_OF_CHAIN, chain.comment)) if chain.comment else b"")
