"""A file that is one mapping of names to plain values."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import InvalidInput
from netlab.load.compose import compose
from netlab.load.source import printable, read_text
from netlab.load.tree import Cursor, Mapping, Mark, Report, Scalar

START = Mark(1, 1)


def load_texts(path: Path) -> dict[str, str]:
    """The mapping of a file, its values as they were written. InvalidInput."""
    text, name = read_text(path)
    report = Report(name)
    nodes, _ = compose(printable(text.removeprefix("\ufeff"), report), report)
    root = Cursor(report, nodes[0], "", nodes[0].mark) if len(nodes) == 1 else Cursor(report, None, "", START)
    if not isinstance(root.node, Mapping) and not report.errors:
        root.error("must be one mapping", "write KEY: VALUE, a line each")
    for key, value in root.entries():
        if not isinstance(value.node, Scalar):
            value.error(f"the value of {key} must be a text")
    if report.errors:
        raise InvalidInput(report.sorted_errors())
    return {key: value.node.text for key, value in root.entries() if isinstance(value.node, Scalar)}
