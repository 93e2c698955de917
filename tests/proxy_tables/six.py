"""The same in IPv6: every IPv4 address of the packet tables has its counterpart."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_network
from typing import TypeVar

from proxy_tracer import Outcome

from netlab.model.rules import IPNetwork

T = TypeVar("T")
WORDS = {
    "IPv4": "IPv6",
    "0.0.0.0/0": "::/0",
    "10.244.0.0/16": "fd00:10:244::/48",
    "192.168.50.0/24": "fd00:50::/64",
    "198.51.100.0/24": "2001:db8:198::/64",
    "203.0.113.0/24": "2001:db8:203::/64",
    "172.16.0.0/12": "fd00:172::/32",
    "127.0.0.0/8": "::1/128",
    "127.0.0.1": "::1",
    "2001:db8:ffff::/48": "192.0.2.0/24",
}
"""Whole texts; the last one stands for "a network of the other family"."""
PREFIXES = {
    "10.96.0": "fd00:10:96::",
    "192.168.50": "fd00:50::",
    "172.20.0": "fd00:172::",
    "203.0.113": "2001:db8:203::",
    "198.51.100": "2001:db8:198::",
}
ADDRESS = re.compile(r"(?P<prefix>\d+\.\d+\.\d+)\.(?P<last>\d+)")


def words_in_ipv6(value: T) -> T:
    """Every text in it with its addresses in IPv6; `10.96.0.10:80/udp` becomes `[fd00:10:96::10]:80/udp`."""
    if isinstance(value, str):
        return _text(value)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: words_in_ipv6(each) for key, each in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)(map(words_in_ipv6, value))  # type: ignore[return-value,call-arg]
    return value


def outcome_in_ipv6(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        kept=frozenset(map(words_in_ipv6, outcome.kept)),
        masqueraded=frozenset(map(words_in_ipv6, outcome.masqueraded)),
    )


def six(network: IPNetwork) -> IPNetwork:
    return ip_network(words_in_ipv6(str(network)))


def _text(text: str) -> str:
    if text.strip() in WORDS:
        return text.replace(text.strip(), WORDS[text.strip()])
    address, colon, port = text.partition(":")
    if not ADDRESS.fullmatch(address):
        return text
    return f"[{_address(address)}]:{port}" if colon else _address(address)


def _address(text: str) -> str:
    if text in WORDS:
        return WORDS[text]
    prefix, _, last = text.rpartition(".")
    if prefix.startswith("10.244."):
        return f"fd00:10:244:{prefix.rpartition('.')[2]}::{last}"
    return f"{PREFIXES[prefix]}{last}"
