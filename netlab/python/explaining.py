"""Which probe a failed assertion was about: who asks a probe how it fared is about to judge it."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Explains(Protocol):
    """What can say why it is as it is."""

    def explain(self) -> str: ...


_DOUBTED: deque[Explains] = deque(maxlen=1)


def note_doubt(doubted: Explains) -> None:
    """Remember who was asked last."""
    _DOUBTED.append(doubted)


def last_doubted() -> Explains | None:
    """Who was asked last since `forget_doubts`."""
    return _DOUBTED[-1] if _DOUBTED else None


def explain_now() -> None:
    """Have who was asked last explain itself before what it was asked about changes: it remembers."""
    doubted = last_doubted()
    if doubted is not None:  # it may well be false
        doubted.explain()


def forget_doubts() -> None:
    """Another test begins."""
    _DOUBTED.clear()
