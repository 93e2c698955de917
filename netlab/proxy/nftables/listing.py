"""A table as nft(8) lists it, read into chains, maps and sets with their rules and elements."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.model.rule_listing import ListedChain, ListedRule
from netlab.proxy.nftables.words import explain_element, explain_rule

_BLOCK = re.compile(r"\t(chain|map|set) (\S+) \{")
_HOOK = re.compile(r"type (\w+) hook (\w+) priority ([^;]+); policy (\w+);")
_COUNTER = re.compile(r"counter packets (\d+) bytes (\d+)")
_COMMENT = re.compile(r'comment "([^"]*)"')
_JUMP = re.compile(r"(?:jump|goto) (\S+)|vmap @(\S+)|@(\S+)")
_NUMBER = re.compile(r"(\d+)")
_ELEMENT = re.compile(r'((?:[^",]|"[^"]*")+),?')


def read_table(text: str) -> tuple[ListedChain, ...]:
    """Everything in the table, in the order of the text; a map is called `map NAME`, a set `set NAME`."""
    return tuple(_block(kind, name, lines) for kind, name, lines in _blocks(text))


def _blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    lines = iter(text.splitlines())
    for line in lines:
        if begun := _BLOCK.fullmatch(line):
            inside = []
            for inner in lines:
                if inner == "\t}":
                    break
                inside.append(inner.strip())
            yield begun[1], begun[2], inside


def _block(kind: str, name: str, lines: list[str]) -> ListedChain:
    if kind != "chain":
        full = f"{kind} {name}"
        return ListedChain(name=full, rules=tuple(_element(full, each) for each in _elements(lines)))
    hook = next((found for line in lines if (found := _HOOK.fullmatch(line))), None)
    rules = tuple(
        _rule(line) for line in lines if line and not _HOOK.fullmatch(line) and not line.startswith("comment ")
    )
    return ListedChain(
        name=name,
        hook=f"{hook[1]} {hook[2]} priority {hook[3]}" if hook else None,
        policy=hook[4] if hook else None,
        rules=rules,
    )


def _rule(line: str) -> ListedRule:
    counted = _COUNTER.search(line)
    comment = _COMMENT.search(line)
    return ListedRule(
        rule=line,
        comment=comment[1] if comment else None,
        packets=int(counted[1]) if counted else None,
        octets=int(counted[2]) if counted else None,
        explanation=explain_rule(line),
        jump=_jump(line),
    )


def _jump(line: str) -> str | None:
    """The chain, map or set that a rule looks into; of a set, where nothing else."""
    found = [next(filter(None, groups)) for groups in _JUMP.findall(line)]
    return found[-1] if found else None


def _elements(lines: list[str]) -> list[str]:
    """A map's or a set's, those of one Service side by side: nft puts what was drawn before whom it is for."""
    text = " ".join(lines)
    start = text.find("elements = {")
    if start < 0:
        return []
    inside = text[start + len("elements = {") : text.rindex("}")]
    return sorted((each.strip() for each in _ELEMENT.findall(inside) if each.strip()), key=_with_numbers)


def _with_numbers(text: str) -> list[str | int]:
    """To be sorted by: the text, its numbers as numbers."""
    return [int(part) if part.isdigit() else part for part in _NUMBER.split(text)]


def _element(container: str, text: str) -> ListedRule:
    comment = _COMMENT.search(text)
    return ListedRule(
        rule=text,
        comment=comment[1] if comment else None,
        explanation=explain_element(container, text),
        jump=_jump(text) if " : " in text else None,
    )
