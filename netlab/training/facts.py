"""Whether a learner's answer is right, as the lab's own kernel and packets say."""

from __future__ import annotations

from netlab.lab import questions
from netlab.model.journey import Flow
from netlab.model.names import Place
from netlab.model.paths import LabPaths
from netlab.model.training import AnswerCheck, Way
from netlab.training.commands import output

NONE = "none"
"""The answer that says that nobody has it."""
ENOUGH_FLOWS = 40
"""So many flows reach each of a handful of Pods."""


def is_right(paths: LabPaths, check: AnswerCheck, answer: str) -> bool:
    """Whether the answer is what the lab says. NetlabError: the lab cannot be asked."""
    given = answer.strip().lower()
    if check.holders:
        named = {word for word in given.replace(",", " ").split() if word != NONE}
        return bool(given) and named == set(questions.holders(paths, check.holders))
    if check.becomes:
        return given in {f.translated.to for f in _flows(paths, check.becomes) if f.translated}
    if check.seen:
        return given in {f.source_seen for f in _flows(paths, check.seen)}
    if check.prints:
        printed = output(paths, Place.parse(check.prints.in_), check.prints.command)
        return given == " ".join(printed.text.split()).lower()
    raise TypeError(check)


def _flows(paths: LabPaths, way: Way) -> tuple[Flow, ...]:
    return questions.probe(paths, way.from_, way.to, count=ENOUGH_FLOWS).flows
