"""Comparing mode nftables with what the real kube-proxy wrote, as far as they are meant to be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

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
