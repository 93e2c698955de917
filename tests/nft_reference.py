"""Comparing mode nftables with what the real kube-proxy wrote, as far as they are meant to be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

CHOOSING = {
    "endpoints": ("endpoints", "nodeport-endpoints"),
    "local-endpoints": ("local-endpoints", "local-nodeport-endpoints"),
}
"""The chains of ours that choose, and the kinds of maps that they look into."""
LOOK = re.compile(r"dnat (?P<ip>ip6?) to (?P<key>.*) \. numgen random mod (?P<count>\d+) map @(?P<map>\S+)")
SERVICE_KEY = "{ip} daddr . meta l4proto . th dport"
PORT_KEY = "meta l4proto . th dport"
PICK = re.compile(r"numgen random mod (?P<count>\d+) vmap \{ (?P<map>.*) \}")
PRIORITIES = {"dstnat": -100, "filter": 0, "srcnat": 100}
PRIORITY = re.compile(rf"priority ({'|'.join(PRIORITIES)})( [+-] \d+)?;")
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Seen(NamedTuple):
    """One table of a listing: its sets, and its chains with their rules in order."""

    sets: dict[str, tuple[str, ...]]
    chains: dict[str, tuple[str, ...]]


def read_listing(text: str) -> dict[str, Seen]:
    """The tables of what `nft list ruleset` prints, by family, priorities as numbers: not all nft name them alike."""
    tables: dict[str, Seen] = {}
    for words, lines in _blocks(text):
        if words[0] == "table":
            current = tables.setdefault(words[1], Seen({}, {}))
        elif words[0] in ("set", "map"):
            current.sets[words[1]] = tuple(sorted(_set_lines(words[0], lines)))
        else:
            current.chains[words[1]] = tuple(each for line in lines for each in spelled_out(_with_number(line)))
    return tables


def _with_number(line: str) -> str:
    return PRIORITY.sub(
        lambda found: f"priority {PRIORITIES[found[1]] + int((found[2] or '0').replace(' ', ''))};", line
    )


def spelled_out(rule: str) -> Iterator[str]:
    """A choice of a chain by one map as the rules that choose alike, one after the other."""
    if found := PICK.fullmatch(rule):
        yield from _one_by_one([entry.split(" : ")[1] for entry in found["map"].split(", ")])
    else:
        yield rule


def _one_by_one(targets: list[str]) -> Iterator[str]:
    for left, target in zip(range(len(targets), 0, -1), targets, strict=True):
        yield f"numgen random mod {left} 0 {target}" if left > 1 else target


def as_kube_proxy_has_it(seen: Seen, *, ip: str) -> Seen:
    """Our table with a map without a name in the chain of each Service, in the place of the maps that Services share.

    AssertionError: the maps have more than that needs, or do not say the same of all addresses of a Service.
    """
    chains = dict(seen.chains)
    unused: dict[str, set[str]] = {}
    for name, kinds in CHOOSING.items():
        *looks, last = chains.pop(name)
        assert last.startswith("drop ")
        for look in looks:
            found = LOOK.fullmatch(look)
            assert found, look
            kind, _, count = found["map"].rpartition("-")
            assert kind in kinds
            by_port = kind.endswith("nodeport-endpoints")
            assert found["key"] == (PORT_KEY if by_port else SERVICE_KEY.format(ip=ip))
            assert (found["ip"], found["count"]) == (ip, count)
            assert (
                f"typeof {found['key']} . numgen random mod {count} : {ip} daddr . th dport" in seen.sets[found["map"]]
            )
            unused[found["map"]] = {
                line.removeprefix("element ") for line in seen.sets[found["map"]] if line.startswith("element ")
            }
    chosen = {
        name: tuple(_by_own_map(name, rule, seen, unused, ip) for rule in rules) for name, rules in chains.items()
    }
    assert not any(unused.values()), unused
    return Seen({name: lines for name, lines in seen.sets.items() if name not in unused}, chosen)


def _by_own_map(chain: str, rule: str, seen: Seen, unused: dict[str, set[str]], ip: str) -> str:
    if rule not in map("goto {}".format, CHOOSING):
        return rule
    service, port = CHOOSING[rule.removeprefix("goto ")]
    ways = [
        *((service, key) for key in _keys_to(chain, "service-ips", seen)),
        *((port, key) for key in _keys_to(chain, "service-nodeports", seen)),
    ]
    endpoints = {_endpoints(kind, key, unused) for kind, key in ways}
    assert len(endpoints) == 1, (chain, ways, endpoints)
    (listed,) = endpoints
    protocol = ways[0][1].split(" . ")[-2]
    entries = ", ".join(f"{number} : {endpoint}" for number, endpoint in enumerate(listed))
    return f"meta l4proto {protocol} dnat {ip} to numgen random mod {len(listed)} map {{ {entries} }}"


def _keys_to(chain: str, of: str, seen: Seen) -> Iterator[str]:
    """The keys by which packets come to a chain, some by way of another one."""
    before = {chain, *(name for name, rules in seen.chains.items() if any(f"goto {chain}" in rule for rule in rules))}
    for line in seen.sets[of]:
        key, _, verdict = line.removeprefix("element ").partition(" : goto ")
        if verdict in before:
            yield key


def _endpoints(kind: str, key: str, unused: dict[str, set[str]]) -> tuple[str, ...]:
    """What the maps of a kind have for a key, in the order of the numbers; it is used from then on."""
    found = {
        (int(name.removeprefix(f"{kind}-")), int(number), endpoint): (name, element)
        for name, elements in unused.items()
        if name.rpartition("-")[0] == kind
        for element in elements
        for number, _, endpoint in [element.removeprefix(f"{key} . ").partition(" : ")]
        if element.startswith(f"{key} . ")
    }
    assert [(count, number) for count, number, _ in sorted(found)] == [(len(found), at) for at in range(len(found))]
    for name, element in found.values():
        unused[name].discard(element)
    return tuple(endpoint for _, _, endpoint in sorted(found))


def _set_lines(kind: str, lines: list[str]) -> Iterator[str]:
    yield kind
    for line in lines:
        if line.startswith("elements = {"):
            yield from (f"element {each.strip()}" for each in line[12:].rstrip("} ").split(","))
        elif line.startswith("timeout "):
            yield f"timeout {_seconds(line.removeprefix('timeout '))}"
        else:
            yield line


def _seconds(text: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text))


def _blocks(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Every block, by the words before its brace, with its own lines; elements that fill several lines in one."""
    head: list[str] = []
    lines: list[str] = []
    for line in map(str.strip, re.sub(r",\n\s+", ", ", text).splitlines()):
        if line.endswith("{") and not line.startswith("elements"):
            if line.startswith("table"):
                yield line.split()[:3], []
            head, lines = line.split()[:2], []
        elif line == "}":
            if head:
                yield head, lines
            head = []
        elif line and head and head[0] != "table":
            lines.append(line)
