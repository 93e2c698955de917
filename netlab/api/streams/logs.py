"""What a container has printed, and goes on printing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from netlab.api.statuses import Refusal, bad_request
from netlab.api.store import Change, Store
from netlab.model.container_log import Entry, LogReader, last_lines, timestamp_of
from netlab.model.objects import Pod
from netlab.model.paths import previous_log

CHUNK = 32768


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`tail` None: from the beginning. `limit` 0: all bytes. `since`: as entries have their times; empty: all."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    limit: int = 0
    since: str = ""


def log_options(query: Mapping[str, str], pod: str) -> LogOptions:
    """Read a query about that Pod. Raises Refusal."""

    def flag(name: str) -> bool:
        return query.get(name, "").lower() in ("true", "1")

    return LogOptions(
        container=query.get("container", ""),
        follow=flag("follow"),
        previous=flag("previous"),
        timestamps=flag("timestamps"),
        tail=_number(query, "tailLines"),
        limit=_number(query, "limitBytes") or 0,
        since=_since(query, pod),
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise bad_request(f"{name}: {text!r} is no number")
    return int(text)


def _since(query: Mapping[str, str], pod: str) -> str:
    seconds, time = _number(query, "sinceSeconds"), query.get("sinceTime")
    if seconds is not None and time:
        raise _invalid(pod, "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if seconds == 0:
        raise _invalid(pod, "sinceSeconds: Invalid value: 0: must be greater than 0")
    if time:
        return timestamp_of(_time(time))
    # Before 1970 nothing was printed.
    moment = datetime.now(UTC).timestamp() - seconds if seconds else 0.0
    return timestamp_of(datetime.fromtimestamp(moment, UTC)) if moment > 0 else ""


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = datetime.min
    if time.tzinfo is None or not timedelta(days=1) < time - datetime(1, 1, 1, tzinfo=UTC):
        raise bad_request(f"sinceTime: {text!r} is no time as 2026-01-31T12:00:00Z")
    return time


def _invalid(pod: str, why: str) -> Refusal:
    return Refusal(422, "Invalid", f'PodLogOptions "{pod}" is invalid: {why}')


def previous_life(pod: Pod, container: str, log: Path) -> Path:
    """The log of the container's life before this one. Raises Refusal 400 where there was none.

    Of a container that waits for its next start the last log is that.
    """
    for status in pod.status.container_statuses:
        if status.name == container and "terminated" in status.last_state:
            return log if "waiting" in status.state else previous_log(log)
    raise bad_request(f'previous terminated container "{container}" in pod "{pod.metadata.name}" not found')


async def send_log(request: web.Request, store: Store, pod: Pod, file: Path, options: LogOptions) -> web.StreamResponse:
    """The log as plain text; with `follow` until the Pod is gone, or the client."""
    response = web.StreamResponse()
    response.content_type = "text/plain"
    await response.prepare(request)
    shown = _Shown(response, options)
    with contextlib.suppress(ConnectionError):
        await shown.so_far(file)
        if options.follow and not options.previous and not pod.has_ended:
            await _follow(shown, store, pod, file)
            await shown.rest(file)
    return response


async def _follow(shown: _Shown, store: Store, pod: Pod, file: Path) -> None:
    tail = await asyncio.create_subprocess_exec(
        "tail", "-c", f"+{shown.position + 1}", "--follow=name", "--retry", "--", str(file),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    def end_with_pod(change: Change) -> None:
        if isinstance(change.object, Pod) and change.object.key == pod.key and _is_over(change):
            with contextlib.suppress(ProcessLookupError):
                tail.terminate()

    unsubscribe = store.subscribe(end_with_pod)
    try:
        assert tail.stdout is not None
        while not shown.full and (data := await tail.stdout.read(CHUNK)):
            await shown.more(data)
    finally:
        unsubscribe()
        with contextlib.suppress(ProcessLookupError):
            tail.kill()
        await tail.wait()


def _is_over(change: Change) -> bool:
    ended = isinstance(change.object, Pod) and change.object.has_ended
    return change.type == "DELETED" or ended


class _Shown:
    """How much of a log a client has seen, and how it wants to see it."""

    def __init__(self, response: web.StreamResponse, options: LogOptions) -> None:
        self._response = response
        self._options = options
        self._reader = LogReader()
        self._left = options.limit or None
        self._within_line = False
        self.position = 0
        """Bytes of the file that are read."""

    @property
    def full(self) -> bool:
        """Whether it is as much as the client wants."""
        return self._left == 0

    async def so_far(self, file: Path) -> None:
        """What was printed before now."""
        found = self._read(_content(file))
        await self._say(found if self._options.tail is None else last_lines(found, self._options.tail))

    async def more(self, data: bytes) -> None:
        """What is printed now."""
        await self._say(self._read(data))

    async def rest(self, file: Path) -> None:
        """What had been written, but not read, when the end came."""
        await self.more(_content(file)[self.position :])

    def _read(self, data: bytes) -> tuple[Entry, ...]:
        self.position += len(data)
        return tuple(self._reader.feed(data))

    async def _say(self, entries: Iterable[Entry]) -> None:
        text = b"".join(self._text(entry) for entry in entries if entry.time >= self._options.since)
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        if text:
            await self._response.write(text)

    def _text(self, entry: Entry) -> bytes:
        stamp = f"{entry.time} ".encode() if self._options.timestamps and not self._within_line else b""
        self._within_line = not entry.whole
        return stamp + entry.data


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
