"""When to sync: at once where nothing was done lately, else together with what else comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FIRST_RETRY_SECONDS = 0.1


class BoundedFrequencyRunner:
    """Runs `work` soon after it is asked for, never more often than every `min_seconds`, at least every `max_seconds`.

    A run that took longer than `min_seconds` is followed by a pause as long as itself, so that a burst of changes of a
    big cluster leaves half of a processor to others. `work` is told whether the longest period has passed or a full
    run was asked for (`full`), and says whether it succeeded; a failure is tried again after 0.1 s, then 0.2, 0.4 ...
    `max_seconds`.
    """

    def __init__(self, work: Callable[[bool], bool], *, min_seconds: float, max_seconds: float) -> None:
        self._work = work
        self._min_seconds = min_seconds
        self._max_seconds = max_seconds
        self._asked = asyncio.Event()
        self._full_asked = False

    def ask(self, *, full: bool = False) -> None:
        """Have it run; `full` as if the longest period had passed."""
        self._full_asked |= full
        self._asked.set()

    async def run(self) -> None:
        """Work for ever. The first run comes when it is asked for the first time."""
        await self._asked.wait()
        loop, retry, last_full = asyncio.get_running_loop(), FIRST_RETRY_SECONDS, asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(0)  # let what has arrived already be taken in first
            started = loop.time()
            full = self._full_asked or started - last_full >= self._max_seconds
            self._asked.clear()
            if self._work(full):
                self._full_asked = False
                last_full, retry = (loop.time() if full else last_full), FIRST_RETRY_SECONDS
                await asyncio.sleep(max(self._min_seconds - (loop.time() - started), loop.time() - started, 0.0))
                await self._wait(last_full + self._max_seconds - loop.time())
            else:
                await asyncio.sleep(retry)
                retry = min(2 * retry, self._max_seconds)

    async def _wait(self, seconds: float) -> None:
        """Until asked, or the longest period is over."""
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._asked.wait()
        except TimeoutError:
            return
