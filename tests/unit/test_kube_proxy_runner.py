"""When a kube-proxy syncs: at once where it was idle, together where it was not, again where it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from netlab.agents.kube_proxy.runner import BoundedFrequencyRunner

NEVER = 1000.0
WITHIN_SECONDS = 10.0


class Work:
    """Notes its runs; `succeeds` says by the number of the run whether it does."""

    def __init__(self, succeeds: Callable[[int], bool] = lambda _: True) -> None:
        self.runs: list[tuple[float, bool]] = []
        self.ran = asyncio.Event()
        self._succeeds = succeeds

    def __call__(self, full: bool) -> bool:
        self.runs.append((asyncio.get_running_loop().time(), full))
        self.ran.set()
        return self._succeeds(len(self.runs))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while len(self.runs) < count:
                self.ran.clear()
                await self.ran.wait()


async def running(runner: BoundedFrequencyRunner, body: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.create_task(runner.run())
    try:
        await body()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_what_is_asked_for_at_one_time_is_one_run() -> None:
    async def scenario() -> None:
        work = Work()
        runner = BoundedFrequencyRunner(work, min_seconds=0.05, max_seconds=NEVER)

        async def burst() -> None:
            for _ in range(100):
                runner.ask()
            await work.until(1)
            for _ in range(100):
                runner.ask()
            await work.until(2)

        await running(runner, burst)
        (first, _), (second, _) = work.runs
        assert second - first >= 0.05

    asyncio.run(scenario())


def test_nothing_runs_before_it_is_asked_for() -> None:
    async def scenario() -> None:
        work = Work()
        runner = BoundedFrequencyRunner(work, min_seconds=0.0, max_seconds=0.01)

        async def idle() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(work.ran.wait(), timeout=0.05)

        await running(runner, idle)
        assert work.runs == []

    asyncio.run(scenario())


def test_a_failure_is_tried_again_without_being_asked() -> None:
    async def scenario() -> None:
        work = Work(succeeds=lambda run: run == 2)
        runner = BoundedFrequencyRunner(work, min_seconds=0.0, max_seconds=NEVER)

        async def once() -> None:
            runner.ask()
            await work.until(2)

        await running(runner, once)
        assert len(work.runs) == 2

    asyncio.run(scenario())


def test_the_longest_period_brings_a_full_run() -> None:
    async def scenario() -> None:
        work = Work()
        runner = BoundedFrequencyRunner(work, min_seconds=0.0, max_seconds=0.05)

        async def once() -> None:
            runner.ask()
            await work.until(2)

        await running(runner, once)
        assert [full for _, full in work.runs] == [False, True]

    asyncio.run(scenario())
