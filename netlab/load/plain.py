"""Documents as they are, for who judges each of them by itself: only the text must be YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netlab.errors import InvalidInput
from netlab.load.compose import compose
from netlab.load.source import place, printable, read_text
from netlab.load.tree import Plain, Report, plain

PlainDocument = dict[str, Plain]


def load_documents(path: Path) -> tuple[PlainDocument, ...]:
    """The documents of a file (YAML or JSON; `-` is standard input), those inside a List one by one.

    InvalidInput: the file cannot be read, is not YAML, or holds something that is no object with a kind.
    """
    text, name = read_text(path)
    return parse_documents(text, file=name)


def parse_documents(text: str, *, file: str) -> tuple[PlainDocument, ...]:
    """The documents of a text; `file` is its name in problems. InvalidInput."""
    report = Report(file)
    nodes, _ = compose(printable(text.removeprefix("\ufeff"), report), report)
    found: list[PlainDocument] = []
    for node in nodes:
        document = plain(node)
        if document is None:
            continue
        if isinstance(document, dict) and isinstance(document.get("kind"), str):
            found += _unfolded(document)
        else:
            report.error(node.mark, "", "is no Kubernetes object", "an object has apiVersion, kind and metadata")
    if not found and not report.errors:
        report.error(place(text, None), "", "there is no object in it")
    if report.errors:
        raise InvalidInput(report.sorted_errors())
    return tuple(found)


def _unfolded(document: PlainDocument) -> Iterator[PlainDocument]:
    items = document.get("items")
    if str(document["kind"]).endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                # A list as the API server answers it says the kind once, for all of its items.
                yield from _unfolded({"kind": str(document["kind"]).removesuffix("List"), **item})
    else:
        yield document
