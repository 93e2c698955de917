"""Waiting for what another process does: for a condition, with a deadline, never for a guess."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WITHIN_SECONDS = 20.0
PAUSE_SECONDS = 0.01


def until(condition: Callable[[], T], *, seconds: float = WITHIN_SECONDS) -> T:
    """What `condition` returns once that is true; an AssertionError with its last answer where it never is."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds; the last answer was {found!r}"
        pause.wait(PAUSE_SECONDS)
    return found
