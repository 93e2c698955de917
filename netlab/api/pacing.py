"""When the controllers work: at once after a quiet time, and in a burst of writes together for many of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LEAST_PAUSE = 0.005
"""Seconds between two runs."""
PAUSE_PER_WORK = 1.0
"""How long a run is followed by a pause, in terms of its own time: controllers take half of a busy server at most."""


class Pacer:
    """Runs `work` in the event loop soon after each `request`, one run for all requests in between.

    `again` says in how many seconds there is work to do even if nobody asks for it.
    """

    def __init__(self, work: Callable[[], None], again: Callable[[], float | None]) -> None:
        self._work, self._again = work, again
        self._loop = asyncio.get_running_loop()
        self._not_before = 0.0
        self._planned: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._set_alarm()

    def request(self) -> None:
        """Have the work done soon."""
        if self._planned is None:
            self._planned = self._loop.call_at(max(self._loop.time(), self._not_before), self._run)

    def _run(self) -> None:
        self._planned = None
        start = self._loop.time()
        self._work()
        end = self._loop.time()
        self._not_before = end + max(LEAST_PAUSE, PAUSE_PER_WORK * (end - start))
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        seconds = self._again()
        self._alarm = None if seconds is None else self._loop.call_later(seconds, self.request)

    def close(self) -> None:
        """Do what is left to do, and no more after that."""
        if self._planned is not None:
            self._planned.cancel()
            self._run()
        if self._alarm:
            self._alarm.cancel()
