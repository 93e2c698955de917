"""Showing a client what a container prints, until it has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from netlab.api.journal import EventType
from netlab.api.store import Change, Store
from netlab.api.streams.channels import Channel, Session, exit_status
from netlab.model.objects import Pod

CHUNK = 32768
YOUNG_SECONDS = 15.0
"""A client that comes so soon after a Pod's start has come to see all of it (`kubectl run -i`)."""
GONE = 137
ENDED = ("Succeeded", "Failed")


def is_young(pod: Pod) -> bool:
    """Whether the Pod has only just begun."""
    if pod.status.start_time is None:
        return True
    since = datetime.now(UTC) - datetime.fromisoformat(pod.status.start_time)
    return since.total_seconds() < YOUNG_SECONDS


def end_of(pod: Pod, container: str, *, restarts: int) -> int | None:
    """The exit status of a container's run, if that has ended; later runs do not count."""
    for status in pod.status.container_statuses:
        if status.name == container:
            told = status.state.get("terminated") or (status.last_state.get("terminated") or {})
            if "terminated" in status.state or status.restart_count > restarts:
                return int(told.get("exitCode", 0))
    return 0 if pod.status.phase in ENDED else None


@contextmanager
def ending(store: Store, pod: Pod, container: str) -> Iterator[asyncio.Future[int]]:
    """Inside the block, a future of the exit status of what runs in the container now."""
    restarts = next((each.restart_count for each in pod.status.container_statuses if each.name == container), 0)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def note(value: Pod, *, gone: bool) -> None:
        status = GONE if gone else end_of(value, container, restarts=restarts)
        if status is not None and not ended.done():
            ended.set_result(status)

    def on_change(change: Change) -> None:
        if isinstance(change.object, Pod) and change.object.key == pod.key:
            note(change.object, gone=change.type is EventType.DELETED)

    note(pod, gone=False)
    unsubscribe = store.subscribe(on_change)
    try:
        yield ended
    finally:
        unsubscribe()


async def follow(session: Session, file: Path, ended: asyncio.Future[int], *, from_start: bool) -> None:
    """Show what is printed, from now on or from the start of the log, until the end or until the client is gone."""
    start = 0 if from_start or not file.exists() else file.stat().st_size
    tail = await asyncio.create_subprocess_exec(
        "tail", "-c", f"+{start + 1}", "--follow=name", "--retry", "--", str(file),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    loop, shown = asyncio.get_running_loop(), _Shown(session, start)
    listening = loop.create_task(_until_gone(session))
    copying = loop.create_task(shown.copy(tail))
    try:
        await asyncio.wait((listening, copying, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (listening, copying):
            task.cancel()
        await asyncio.gather(listening, copying, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            tail.kill()
        await tail.wait()
    if ended.done():
        await shown.rest(file)
        await session.write(Channel.ERROR, exit_status(ended.result()))


class _Shown:
    """How far the client has seen a log."""

    def __init__(self, session: Session, position: int) -> None:
        self._session = session
        self._position = position

    async def copy(self, tail: asyncio.subprocess.Process) -> None:
        assert tail.stdout is not None
        while data := await tail.stdout.read(CHUNK):
            self._position += len(data)
            await self._session.write(Channel.STDOUT, data)

    async def rest(self, file: Path) -> None:
        """What tail had not come to read."""
        with contextlib.suppress(FileNotFoundError), file.open("rb") as log:
            log.seek(self._position)
            if data := log.read():
                await self._session.write(Channel.STDOUT, data)


async def _until_gone(session: Session) -> None:
    while await session.read() is not None:
        pass
