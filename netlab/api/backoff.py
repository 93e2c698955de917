"""Pauses between tries: each twice as long as the one before, and none like another's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Seconds from `first` up to `last`, each drawn from half of it to all of it.

    `chance` gives numbers from 0 to 1: clients that lost the same server must not all come back at the same moment.
    """

    first: float
    last: float
    chance: Callable[[], float] = random.random
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """It went well: begin anew."""
        self._next = self.first

    def pause(self) -> float:
        """How long to wait before the next try."""
        seconds = self._next * (0.5 + 0.5 * self.chance())
        self._next = min(2 * self._next, self.last)
        return seconds
