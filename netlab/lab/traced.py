"""Real flows followed hop by hop, each beside what the lab's state foretells of it."""

from __future__ import annotations

from netlab.lab import questions
from netlab.lab.view import running_view
from netlab.model.journey import Journey
from netlab.model.names import Place
from netlab.model.paths import LabPaths
from netlab.model.targets import Target
from netlab.trace import TracedLab, compare, foretell


def traced(
    paths: LabPaths, source: Place, aim: Target, *, count: int = 1, timeout: float = 1.0, method: str | None = None
) -> list[Journey]:
    """`count` flows, one after the other. `timeout` is seconds until a packet counts as dropped; NotFound."""
    seen = [questions.trace(paths, str(source), str(aim), timeout=timeout, method=method) for _ in range(count)]
    prediction = foretell(TracedLab(running_view(paths)), source, aim)
    return [compare(journey, prediction) for journey in seen]
