"""When controllers look at an object again although nobody writes anything, as once a Pod has been ready for long.

The clock counts whole seconds, as the times in objects do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime


def seconds_since(time: str | None, *, now: str) -> int:
    """Whole seconds from one time to another, as objects have them; none where the first is not told."""
    return int((datetime.fromisoformat(now) - datetime.fromisoformat(time)).total_seconds()) if time else 0


class Alarms:
    """The times at which keys are due again, one a key of a controller."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now
        self._due: dict[tuple[object, str], float] = {}

    def set(self, controller: object, key: str, *, seconds: int) -> None:
        """Have the controller look at the key after so many seconds."""
        self._due[controller, key] = self._time() + max(1, seconds)

    def rung(self) -> Iterator[tuple[object, str]]:
        """What is due now; it will not be again unless it is set again."""
        now = self._time()
        for each in [each for each, due in self._due.items() if due <= now]:
            del self._due[each]
            yield each

    def seconds_left(self) -> float | None:
        """Until the next is due; None where none is set."""
        return max(0.0, min(self._due.values()) - self._time()) if self._due else None

    def _time(self) -> float:
        return datetime.fromisoformat(self._now()).timestamp()
