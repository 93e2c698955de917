"""A Diagnosis as a person reads it: what was checked, with ticks and crosses, then the cause and the remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from netlab.model.diagnosis import CheckRow, Diagnosis

WIDTH = 100
MARKS = {True: "✓", False: "✗", None: "-"}


def diagnosis_report(diagnosis: Diagnosis) -> str:
    """The whole of it, in at most 100 columns."""
    return "\n".join(_lines(diagnosis)) + "\n"


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{diagnosis.from_} -> {diagnosis.to}: {diagnosis.verdict}"
    yield ""
    width = max((len(row.check) for row in diagnosis.evidence), default=0)
    for row in diagnosis.evidence:
        yield from _check(row, width)
    yield ""
    if diagnosis.cause is None:
        beside = any(row.ok is False for row in diagnosis.evidence)
        yield "Nothing is wrong" + (" with these flows: what is marked ✗ does not concern them." if beside else ".")
        return
    yield from _labelled("cause", f"{diagnosis.cause}: {diagnosis.explanation}")
    yield from _labelled("remedy", diagnosis.remedy or "")


def _check(row: CheckRow, width: int) -> list[str]:
    return _wrapped(f"  {MARKS[row.ok]} {row.check:<{width}}  ", row.found)


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(f"{label + ':':<8}", text)


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
