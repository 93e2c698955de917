"""Many ways tried by packets inside a lab: one after the other, but no waiting in turn for packets that never come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

PATIENCE = 0.1, 0.3, 1.0
"""Seconds until the next way is tried although the last one has not come to its end: it waits for something.

The least; what is given before anything is known of this machine; the most, after which a packet is lost anyway.
"""
TIMES_THE_QUICKEST = 3
"""How much longer than the quickest one a way may take before it is taken to wait: a slow machine is slow."""
AT_ONCE = 32

Way = TypeVar("Way")
Sender = TypeVar("Sender")
"""What sends a way's packets, and only one way's at a time: a Prober."""
Found = TypeVar("Found")


def try_all(
    ways: Iterable[Way],
    try_: Callable[[Way, Sender], Found],
    *,
    sender: Callable[[], AbstractContextManager[Sender]],
) -> list[Found]:
    """What `try_` finds out about each way. `sender` makes another one where all others are in use.

    What answers is tried in turn, with one sender and no more work than that; what does not answer waits beside it.
    """
    with ExitStack() as opened, ThreadPoolExecutor(AT_ONCE) as threads:
        senders, took = _Senders(lambda: opened.enter_context(sender())), list[float]()

        def timed(way: Way) -> Found:
            began = time.monotonic()
            with senders.one() as mine:
                found = try_(way, mine)
            took.append(time.monotonic() - began)
            return found

        begun: list[Future[Found]] = []
        for way in ways:
            begun.append(threads.submit(timed, way))
            wait(begun[-1:], timeout=_patience(took))
        return [each.result() for each in begun]


def _patience(took: Sequence[float]) -> float:
    """Seconds, by how long those took that have come to their end."""
    least, unknown, most = PATIENCE
    return min(most, max(least, TIMES_THE_QUICKEST * min(took))) if took else unknown


class _Senders(Generic[Sender]):
    """Senders that are in nobody's use; their sockets are kept, since closing those is slow."""

    def __init__(self, new: Callable[[], Sender]) -> None:
        self._new = new
        self._idle: SimpleQueue[Sender] = SimpleQueue()

    @contextmanager
    def one(self) -> Iterator[Sender]:
        """A sender for the block alone."""
        try:
            sender = self._idle.get_nowait()
        except Empty:
            sender = self._new()
        yield sender
        self._idle.put(sender)
