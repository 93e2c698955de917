"""How a container's log is kept: the lines of Kubernetes' Container Runtime Interface.

2026-01-31T12:00:00.123456789Z stdout F GET /hostname 200
when it was printed            where  F: a whole line, or its end; P: more of the same line follows
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

NANOSECONDS = 1_000_000_000


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was printed: a line with its end, or a part of one. `time` as `timestamp` writes it."""

    time: str
    stream: Stream
    data: bytes

    @property
    def whole(self) -> bool:
        """Whether the line ends here."""
        return self.data.endswith(b"\n")


def timestamp(nanoseconds: int) -> str:
    """A time since 1970 as RFC 3339, always in UTC with nine decimals: such texts are ordered as their times are."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def timestamp_of(time: datetime) -> str:
    """A time as `timestamp` writes it."""
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return timestamp(since // timedelta(microseconds=1) * 1000)


def written(data: bytes, stream: Stream, time: str) -> bytes:
    """The log's lines for what was printed at once."""
    *lines, rest = data.split(b"\n")
    head = f"{time} {stream} ".encode()
    whole = b"".join(b"%sF %s\n" % (head, line) for line in lines)
    return whole + (b"%sP %s\n" % (head, rest) if rest else b"")


class LogReader:
    """A log's bytes as they come, cut into entries. What is no entry is left out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Entry]:
        """The entries that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            time, _, rest = line.partition(b" ")
            stream, _, rest = rest.partition(b" ")
            tag, _, text = rest.partition(b" ")
            if tag in (b"F", b"P") and stream in (b"stdout", b"stderr"):
                yield Entry(time.decode(errors="replace"), Stream(stream.decode()), text + b"\n" * (tag == b"F"))


def entries(data: bytes) -> tuple[Entry, ...]:
    """A whole log's entries."""
    return tuple(LogReader().feed(data))


def printed(data: bytes) -> bytes:
    """What a container printed, out of its whole log."""
    return b"".join(entry.data for entry in entries(data))


def last_lines(found: Iterable[Entry], count: int) -> tuple[Entry, ...]:
    """The entries of the last so many lines; one that has not ended yet is a line too."""
    lines: list[list[Entry]] = [[]]
    for entry in found:
        lines[-1].append(entry)
        if entry.whole:
            lines.append([])
    kept = [line for line in lines if line]
    return tuple(entry for line in kept[len(kept) - min(count, len(kept)) :] for entry in line)
