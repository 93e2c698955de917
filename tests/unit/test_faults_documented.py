"""docs/faults.md is the catalogue of faults, word for word."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path

from netlab.faults.catalogue import CATALOGUE

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = "| fault | is put into a | what it does | how it shows |\n|---|---|---|---|\n"


def table() -> str:
    """The catalogue as the document has it."""
    rows = (f"| `{each.name}` | {each.scope} | {each.summary} | {each.evidence} |\n" for each in CATALOGUE.values())
    return HEAD + "".join(rows)


def test_the_table_of_the_document_is_the_catalogue() -> None:
    """With NETLAB_WRITE_DOCS=1 in the environment the table is written anew."""
    text = DOCUMENT.read_text()
    before, rest = text.split(HEAD)
    rows = takewhile(lambda line: line.startswith("|"), rest.splitlines(keepends=True))
    after = rest[len("".join(rows)) :]
    if os.environ.get("NETLAB_WRITE_DOCS"):
        DOCUMENT.write_text(before + table() + after)
        return
    assert text == before + table() + after


def test_every_fault_says_in_sentences_what_it_does_and_how_it_shows() -> None:
    for fault in CATALOGUE.values():
        for text in (fault.summary, fault.evidence):
            assert text[0].isupper(), fault.name
            assert text.endswith("."), fault.name
