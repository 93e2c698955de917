"""A container's log: what it printed and when, both streams, in one file that cannot grow for ever."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from netlab.model.container_log import Entry, Stream, entries, timestamp, written
from netlab.model.paths import previous_log

SIZE_LIMIT = 512 * 1024
"""Bytes of a log before it becomes `<name>.1`, in place of the one that was called so before."""


class ContainerLog:
    """Appends to `path`, whose folder is made at the first line. What cannot be written is lost: a Pod goes on.

    `clock` counts nanoseconds since 1970.
    """

    def __init__(self, path: Path, *, limit: int = SIZE_LIMIT, clock: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._limit = limit
        self._clock = clock
        self._descriptor: int | None = None
        self._size = 0

    def write(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        """Add what was printed just now."""
        lines = written(data, stream, timestamp(self._clock()))
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                self._open()
            if self._size and self._size + len(lines) > self._limit:
                self._rotate()
            if self._descriptor is not None:
                self._size += os.write(self._descriptor, lines)

    def entries(self) -> tuple[Entry, ...]:
        """What the file holds."""
        try:
            return entries(self._path.read_bytes())
        except OSError:
            return ()

    def start_over(self) -> None:
        """The container starts again: what it printed in its life before is the previous log now."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.replace(previous_log(self._path))
        self._rotated.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what has been logged."""
        self.close()
        for path in (self._path, self._rotated, previous_log(self._path)):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        self._path.replace(self._rotated)
        self._open()

    @property
    def _rotated(self) -> Path:
        return self._path.with_name(f"{self._path.name}.1")
