"""YAML text to trees with places. What is wrong with one document does not hide the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from netlab.load.scalars import resolve
from netlab.load.source import LINE_BREAK, place
from netlab.load.tree import Atom, Entry, Mapping, Mark, Node, Report, Scalar, Sequence

DEPTH_LIMIT = 60
"""Mappings and lists inside one another. A Pod's deepest field is at 14."""
COPY_LIMIT = 100_000
"""Values that aliases (`*name`) may add to a file, so that a few lines cannot become millions of values."""
MISTAKE_LIMIT = 100
"""Unreadable documents after which reading ends."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_MERGE = "<<"
_STRING = "tag:yaml.org,2002:str"
_SCALAR_TAGS = {f"tag:yaml.org,2002:{name}": kind for name, kind in (("int", int), ("bool", bool), ("float", float))}
_NULL = "tag:yaml.org,2002:null"
_COLLECTION_TAGS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class _Unreadable(Exception):
    """A document that cannot be read on: where and why."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet. `children` of a mapping are keys and values in turn."""

    mark: Mark
    mapping: bool
    anchor: str | None
    children: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class _Stream:
    """The documents of a text from `line` (counted from 0) on."""

    report: Report
    line: int
    document: int = -1
    """The line of the text on which the document begins that is being read."""
    copied: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)

    def documents(self, text: str) -> Iterator[Node]:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                self.document = self._mark(event).line - 1
                self.anchors.clear()
            elif (node := self._take(event)) is not None:
                yield node

    def _mark(self, event: yaml.Event) -> Mark:
        assert event.start_mark is not None
        return Mark(self.line + event.start_mark.line + 1, event.start_mark.column + 1)

    def _take(self, event: yaml.Event) -> Node | None:
        """Use one event; what comes back is a whole document."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.open.pop()
            return self._add(self._finished(ended), anchor=ended.anchor, size=ended.size)
        elif isinstance(event, yaml.ScalarEvent):
            return self._add(self._scalar(event), anchor=event.anchor, size=1)
        elif isinstance(event, yaml.AliasEvent):
            return self._add(*self._alias(event))
        return None

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        mark = self._mark(event)
        if len(self.open) >= DEPTH_LIMIT:
            raise _Unreadable(mark, f"more than {DEPTH_LIMIT} mappings and lists inside one another")
        if event.tag not in _COLLECTION_TAGS:
            self.report.error(mark, "", f"the tag {_short_tag(event.tag)} has no meaning here", "take it out")
        self.open.append(_Open(mark, isinstance(event, yaml.MappingStartEvent), event.anchor))
        if event.anchor:
            self.anchors.pop(event.anchor, None)

    def _add(self, node: Node, anchor: str | None, size: int) -> Node | None:
        if anchor:
            self.anchors[anchor] = (node, size)
        if not self.open:
            return node
        self.open[-1].children.append(node)
        self.open[-1].size += size
        return None

    def _alias(self, event: yaml.AliasEvent) -> tuple[Node, None, int]:
        mark = self._mark(event)
        if any(collection.anchor == event.anchor for collection in self.open):
            raise _Unreadable(mark, f"*{event.anchor} stands inside what it names")
        if event.anchor not in self.anchors:
            raise _Unreadable(mark, f"there is no &{event.anchor} before *{event.anchor}")
        node, size = self.anchors[event.anchor]
        self.copied += size
        if self.copied > COPY_LIMIT:
            raise _Unreadable(mark, f"aliases (*name) make more than {COPY_LIMIT} values")
        return node, None, size

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        mark, text = self._mark(event), str(event.value)
        if "\0" in text:
            self.report.error(mark, "", "a text may not hold the character NUL", "take \\0 out")
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            self.report.error(mark, "", "half of a character pair (\\ud800 to \\udfff) is not a character")
            text = ""
        if event.tag in (None, "!", _STRING):
            plain = event.tag is None and event.implicit[0]
            value = resolve(text) if plain else text
        else:
            value = self._tagged(event, mark)
        if isinstance(value, float) and value - value != 0:
            self.report.error(
                mark, "", f"{text[:20]} is not a number that JSON can hold", "quote it if a text is meant"
            )
            value = 0.0
        return Scalar(mark, text, value)

    def _tagged(self, event: yaml.ScalarEvent, mark: Mark) -> Atom:
        value = resolve(str(event.value))
        if event.tag == _NULL and value is None:
            return None
        kind = _SCALAR_TAGS.get(str(event.tag))
        if kind is float and type(value) is int:
            return float(value)
        if kind is not None and type(value) is kind:
            return value
        self.report.error(
            mark, "", f"the tag {_short_tag(event.tag)} does not fit {str(event.value)[:40]!r}", "take it out"
        )
        return str(event.value)

    def _finished(self, ended: _Open) -> Node:
        if not ended.mapping:
            return Sequence(ended.mark, tuple(ended.children))
        merged: dict[str, Entry] = {}
        written: dict[str, Entry] = {}
        for key, value in zip(ended.children[0::2], ended.children[1::2], strict=True):
            if isinstance(key, Scalar) and key.text == _MERGE and key.value == _MERGE:
                merged = self._merged(key, value) | merged
            else:
                self._put(written, key, value)
        return Mapping(ended.mark, merged | written)

    def _merged(self, key: Scalar, value: Node) -> dict[str, Entry]:
        """What `<<: *name` or `<<: [*one, *two]` adds; the first named wins."""
        found: dict[str, Entry] = {}
        for source in value.items if isinstance(value, Sequence) else (value,):
            if not isinstance(source, Mapping):
                self.report.error(key.mark, _MERGE, "<< takes in a mapping, or a list of mappings", "")
                continue
            found = source.entries | found
        return found

    def _put(self, written: dict[str, Entry], key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self.report.error(key.mark, "", "a key must be a word", "quote a key that begins with [, { or *")
            return
        if key.value is None or isinstance(key.value, bool):
            meaning = "nothing" if key.value is None else str(key.value).lower()
            self.report.error(key.mark, key.text, f"the key {key.text!r} reads as {meaning}", f'write "{key.text}"')
        if key.text in written:
            first = written[key.text].mark
            message = f"the key {_shortened(key.text)!r} is here a second time"
            self.report.error(key.mark, _shortened(key.text), message, f"the first is in line {first.line}")
            return
        written[key.text] = Entry(key.mark, value)


def compose(text: str, report: Report) -> tuple[tuple[Node, ...], bool]:
    """The documents of a text, and whether that is all of them: False where one could not be read.

    After a mistake of syntax, which is reported, reading goes on at the next line that begins with `---`.
    """
    found: list[Node] = []
    begins = _beginnings(text)
    line, offset = 0, 0
    for _ in range(MISTAKE_LIMIT):
        stream = _Stream(report, line)
        try:
            found += stream.documents(text[offset:])
            return tuple(found), offset == 0
        except yaml.MarkedYAMLError as error:
            mark = _report_syntax(error, line, text, report)
        except _Unreadable as error:
            mark = error.mark
            report.error(mark, "", error.message)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            mark = Mark(max(stream.document, line) + 1, 1)
            report.error(mark, "", f"is not YAML: {error}")
        after = max(stream.document, line if offset else -1)
        resumed = next(((at, start) for at, start in begins if at > after and at >= mark.line - 1), None)
        if resumed is None:
            break
        line, offset = resumed
    return tuple(found), False


def _beginnings(text: str) -> list[tuple[int, int]]:
    """Where documents begin: each `---`, by its line counted from 0 and its offset."""
    found, line, last = [], 0, 0
    for start in _DOCUMENT.finditer(text):
        line += place(text[last : start.start()], None).line - 1
        last = start.start()
        found.append((line, last))
    return found


def _report_syntax(error: yaml.MarkedYAMLError, line: int, text: str, report: Report) -> Mark:
    """Report a mistake in YAML itself, in words that name what was being read."""
    at = error.problem_mark or error.context_mark
    # At the end of a text without a last newline, libyaml speaks of a line that is not there.
    mark = min(Mark(line + at.line + 1, at.column + 1) if at else Mark(line + 1, 1), place(text, None))
    message = f"is not YAML: {error.problem or error}"
    if error.context:
        message += f", {error.context}"
        if error.context_mark and at and error.context_mark.line != at.line:
            message += f" that begins in line {line + error.context_mark.line + 1}"
    report.error(mark, "", message, _syntax_remedy(message, text, mark.line - 1))
    return mark


def _syntax_remedy(message: str, text: str, line: int) -> str:
    written = LINE_BREAK.split(text)[line : line + 1]
    if "cannot start any token" in message and written and "\t" in written[0]:
        return "YAML indents with spaces, never with tabs"
    if "mapping values are not allowed" in message:
        return 'check the indentation, and quote a text that holds ": "'
    if "did not find expected key" in message:
        return "check that the fields of one mapping begin in the same column"
    if "block entry" in message or "'-' indicator" in message:
        return "check that the dashes of one list stand in the same column"
    return ""


def _short_tag(tag: str | None) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")[:60]


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
