"""Rules of nftables as words and as bytes; that both say the same is proved by tests/kernel/test_nft_netlink.py."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import get_args

import pytest

from netlab.kernel.netlink import HEADER, each_attribute
from netlab.kernel.nft_expressions import Expressions
from netlab.kernel.nft_messages import Messages
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
    Side,
    Translated,
)
from netlab.model.nft_tables import AddElements, AddRule, Change, DeleteElements, Drawn, Element
from netlab.model.rules import Family, Protocol
from netlab.proxy.nftables.rule_text import rule_text
from netlab.proxy.nftables.text import change_text

NETWORK = ip_network("10.244.0.0/16")
WORDS: dict[str, Part] = {
    "ip saddr != 10.244.0.0/16": AddressIn(Side.SOURCE, NETWORK, negated=True),
    "ip daddr { 10.244.0.0/16, 192.0.2.1 }": AddressInAny(Side.DESTINATION, (NETWORK, ip_network("192.0.2.1"))),
    "fib saddr type local": LocalAddress(Side.SOURCE),
    "ip saddr . meta l4proto . th dport @some": InSet((Field.SOURCE, Field.PROTOCOL, Field.PORT), "some"),
    'iifname "veth*"': IncomingInterface("veth", prefix=True),
    "meta l4proto sctp": OfProtocol(Protocol.SCTP),
    "ct state new": NewFlow(),
    "ct status dnat": Translated(),
    "meta mark & 0x00004000 != 0x00000000": Marked(0x4000),
    "numgen random mod 3 0": OneIn(3),
    "ip daddr vmap @some": ByMap((Field.DESTINATION,), "some"),
    "meta mark set meta mark | 0x00004000": SetMark(0x4000),
    "meta mark set meta mark ^ 0x00004000": FlipMark(0x4000),
    "update @some { ip saddr }": RememberSource("some"),
    "dnat to 10.244.1.5:8080": Dnat(ip_address("10.244.1.5"), 8080),
    "dnat ip to meta l4proto . th dport . numgen random mod 3 map @some": DnatByMap(
        (Field.PROTOCOL, Field.PORT), 3, "some"
    ),
    "masquerade fully-random": Masquerade(fully_random=True),
    "jump services": Jump("services"),
    "goto services": Goto("services"),
    "drop": Drop(),
    "reject": Reject(),
}
LEAST = 30
"""Bytes of a whole expression."""


def test_all_parts_of_rules_are_here() -> None:
    assert {type(part) for part in WORDS.values()} == set(get_args(Part))


@pytest.mark.parametrize(("words", "part"), WORDS.items(), ids=WORDS.keys())
def test_a_part_of_a_rule_has_words_and_bytes(words: str, part: Part) -> None:
    assert rule_text(Rule((part,), "why"), Family.IPV4) == f'{words} comment "why"'
    encoded = Messages(Family.IPV4, "some-table").of(AddRule("some-chain", Rule((part,))), number=7)
    assert HEADER.unpack_from(encoded)[3] == 7
    assert len(encoded) > LEAST


def test_no_two_parts_are_the_same_bytes_or_equal() -> None:
    expressions = Expressions(Family.IPV4)
    known = [part for part in WORDS.values() if not isinstance(part, AddressInAny)]
    assert len({expressions.of(part) for part in known}) == len(known) == len(set(known))
    assert Jump("services") != Goto("services")


def test_expressions_follow_one_another_without_a_gap() -> None:
    expressions = Expressions(Family.IPV6)
    parts = (OneIn(2), OfProtocol(Protocol.TCP), Dnat(ip_address("fd00::5"), 8080))
    encoded = b"".join(map(expressions.of, parts))
    names = [dict(each_attribute(data))[1].rstrip(b"\0").decode() for _, data in each_attribute(encoded)]
    assert names == ["numgen", "cmp", "meta", "cmp", "immediate", "immediate", "nat"]


DRAWN = Element("some-2", (Protocol.UDP, 53, Drawn(1)), Dnat(ip_address("10.244.1.5"), 5353))
ELEMENT = Element("service-ips", (ip_address("10.96.0.10"), Protocol.TCP, 80), Goto("web"), "default/web")
CHANGES: dict[str, Change] = {
    'add element ip kube-proxy service-ips { 10.96.0.10 . tcp . 80 comment "default/web" : goto web }': AddElements(
        "service-ips", (ELEMENT,)
    ),
    "add element ip kube-proxy some-2 { udp . 53 . 1 : 10.244.1.5 . 5353 }": AddElements("some-2", (DRAWN,)),
    "delete element ip kube-proxy service-ips { 10.96.0.10 . tcp . 80 }": DeleteElements("service-ips", (ELEMENT,)),
}


@pytest.mark.parametrize(("words", "change"), CHANGES.items(), ids=["added", "drawn", "deleted"])
def test_elements_are_said_as_nft_says_them(words: str, change: Change) -> None:
    assert change_text(change, Family.IPV4) == words
