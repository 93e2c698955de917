"""What a container has printed, and goes on printing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from netlab.api.statuses import bad_request
from netlab.api.store import Change, Store
from netlab.model.objects import Pod

CHUNK = 32768
WITHOUT_TIMES = ("sinceSeconds", "sinceTime", "timestamps")
"""What a lab's logs cannot tell: their lines have no times."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`tail` None: from the beginning. `limit` 0: all bytes."""

    container: str
    follow: bool = False
    previous: bool = False
    tail: int | None = None
    limit: int = 0


def log_options(query: Mapping[str, str]) -> LogOptions:
    """Read a query. Raises Refusal 400."""
    for name in WITHOUT_TIMES:
        if query.get(name) not in (None, "", "false", "0"):
            raise bad_request(f"{name}: the lines of a lab's logs have no times")
    return LogOptions(
        container=query.get("container", ""),
        follow=query.get("follow") in ("true", "1"),
        previous=query.get("previous") in ("true", "1"),
        tail=_number(query, "tailLines"),
        limit=_number(query, "limitBytes") or 0,
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise bad_request(f"{name}: {text!r} is no number")
    return int(text)


async def send_log(request: web.Request, store: Store, pod: Pod, file: Path, options: LogOptions) -> web.StreamResponse:
    """The log as plain text; with `follow` until the Pod is gone, or the client."""
    response = web.StreamResponse()
    response.content_type = "text/plain"
    await response.prepare(request)
    arguments = ["-n", "+1" if options.tail is None else str(options.tail)]
    arguments += ["--follow=name", "--retry"] if options.follow else []
    if not options.follow and not file.exists():
        return response
    tail = await asyncio.create_subprocess_exec(
        "tail", *arguments, "--", str(file),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    def end_with_pod(change: Change) -> None:
        if isinstance(change.object, Pod) and change.object.key == pod.key and _is_over(change):
            with contextlib.suppress(ProcessLookupError):
                tail.terminate()

    unsubscribe = store.subscribe(end_with_pod)
    try:
        if options.follow and pod.status.phase in ("Succeeded", "Failed"):
            tail.terminate()
        await _copy(tail, response, limit=options.limit)
    except ConnectionError:
        pass
    finally:
        unsubscribe()
        with contextlib.suppress(ProcessLookupError):
            tail.kill()
        await tail.wait()
    return response


def _is_over(change: Change) -> bool:
    ended = isinstance(change.object, Pod) and change.object.status.phase in ("Succeeded", "Failed")
    return change.type == "DELETED" or ended


async def _copy(tail: asyncio.subprocess.Process, response: web.StreamResponse, *, limit: int) -> None:
    assert tail.stdout is not None
    left = limit or None
    while data := await tail.stdout.read(CHUNK):
        await response.write(data if left is None else data[:left])
        if left is not None and (left := left - len(data)) <= 0:
            return
