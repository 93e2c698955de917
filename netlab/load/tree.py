"""What a document says and where it says it: a tree of mappings, lists and plain values, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.errors import Problem

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What JSON can say."""
Atom = None | bool | int | float | str


class Mark(NamedTuple):
    """A place in a text; both count from 1."""

    line: int
    column: int


class Scalar(NamedTuple):
    """A plain value: `text` as it was written, `value` as YAML reads it."""

    mark: Mark
    text: str
    value: Atom


class Sequence(NamedTuple):
    mark: Mark
    items: tuple[Node, ...]


class Entry(NamedTuple):
    """A key's place and its value."""

    mark: Mark
    value: Node


class Mapping(NamedTuple):
    mark: Mark
    entries: dict[str, Entry]


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Plain:
    """The value without its places. Fields that are null are left out: in Kubernetes they mean the same as absent."""
    if isinstance(node, Mapping):
        return {key: plain(entry.value) for key, entry in node.entries.items() if not _is_null(entry.value)}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


@dataclass(slots=True)
class Report:
    """Collects what is found wrong in one file."""

    file: str
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(self, mark: Mark, path: str, message: str, suggestion: str = "") -> None:
        """Something that must be put right before anything is done."""
        self.errors.append(Problem(self.file, mark.line, mark.column, path, message, suggestion))

    def warn(self, mark: Mark, path: str, message: str, suggestion: str = "") -> None:
        """Something that is allowed and probably not meant."""
        self.warnings.append(Problem(self.file, mark.line, mark.column, path, message, suggestion))

    def sorted_errors(self) -> tuple[Problem, ...]:
        """Every error once, in the order of the text."""
        return tuple(sorted(dict.fromkeys(self.errors), key=lambda problem: (problem.line, problem.column)))

    def sorted_warnings(self) -> tuple[Problem, ...]:
        """Every warning once, in the order of the text."""
        return tuple(sorted(dict.fromkeys(self.warnings), key=lambda problem: (problem.line, problem.column)))


@dataclass(frozen=True, slots=True)
class Cursor:
    """One field of a document: what is there (`node`, None where it is absent), and what to call it in a problem.

    Reading is forgiving: what is absent or of another type reads as nothing, since the structure check has reported it.
    """

    report: Report
    node: Node | None
    path: str
    mark: Mark

    def get(self, *keys: str) -> Cursor:
        """The field below; an absent one has the place of what it is missing from."""
        cursor = self
        for key in keys:
            cursor = cursor._child(key)
        return cursor

    def _child(self, key: str) -> Cursor:
        path = f"{self.path}.{key}" if self.path else key
        entry = self.node.entries.get(key) if isinstance(self.node, Mapping) else None
        if entry is None or _is_null(entry.value):
            return Cursor(self.report, None, path, entry.mark if entry else self.mark)
        return Cursor(self.report, entry.value, path, entry.value.mark)

    def items(self) -> tuple[Cursor, ...]:
        """The elements of a list."""
        if not isinstance(self.node, Sequence):
            return ()
        elements = enumerate(self.node.items)
        return tuple(Cursor(self.report, item, f"{self.path}[{index}]", item.mark) for index, item in elements)

    def entries(self) -> Iterator[tuple[str, Cursor]]:
        """The fields of a mapping that are not null."""
        if isinstance(self.node, Mapping):
            for key in self.node.entries:
                if (value := self._child(key)).node is not None:
                    yield key, value

    @property
    def present(self) -> bool:
        """Whether the field is there and not null."""
        return self.node is not None

    @property
    def text(self) -> str:
        """The text, or "" where there is none."""
        return self.node.value if isinstance(self.node, Scalar) and isinstance(self.node.value, str) else ""

    @property
    def number(self) -> int | None:
        """The whole number, or None."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def labels(self) -> dict[str, str]:
        """The texts of a mapping of texts."""
        return {key: value.text for key, value in self.entries() if isinstance(value.node, Scalar)}

    def error(self, message: str, suggestion: str = "") -> None:
        """Report that this field is wrong."""
        self.report.error(self.mark, self.path, message, suggestion)

    def warn(self, message: str, suggestion: str = "") -> None:
        """Report that this field is probably not meant so."""
        self.report.warn(self.mark, self.path, message, suggestion)
