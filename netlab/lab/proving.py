"""`netlab check` inside a lab: one expectation after the other, but no waiting in turn for packets that never come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol

from netlab.model.cluster import ClusterView
from netlab.model.journey import CheckResult, ExpectationResult
from netlab.model.topology import Expectation
from netlab.probe.check import Send, prove, summed_up

PATIENCE = 0.1, 0.3, 1.0
"""Seconds until the next expectation is tried although the last one has not come to its end: it waits for something.

The least; what is given before anything is known of this machine; the most, after which a packet is lost anyway.
"""
TIMES_THE_QUICKEST = 3
"""How much longer than the quickest one an expectation may take before it is taken to wait: a slow machine is slow."""
AT_ONCE = 32


class Sender(Protocol):
    """What sends an expectation's packets: a Prober, which only one thread at a time may use."""

    @property
    def probe(self) -> Send: ...


def prove_all(view: ClusterView, sender: Callable[[], AbstractContextManager[Sender]]) -> CheckResult:
    """Try every expectation of the lab's topology. `sender` makes another one where all others are in use.

    What answers is tried in turn, with one sender and no more work than that; what does not answer waits beside it.
    """
    with ExitStack() as opened, ThreadPoolExecutor(AT_ONCE) as threads:
        senders, took = _Senders(lambda: opened.enter_context(sender())), list[float]()

        def try_(expectation: Expectation) -> ExpectationResult:
            began = time.monotonic()
            with senders.one() as mine:
                result = prove(expectation, view=view, send=mine.probe)
            took.append(time.monotonic() - began)
            return result

        begun: list[Future[ExpectationResult]] = []
        for expectation in view.topology.spec.expect:
            begun.append(threads.submit(try_, expectation))
            wait(begun[-1:], timeout=_patience(took))
        return summed_up(view, [each.result() for each in begun])


def _patience(took: Sequence[float]) -> float:
    """Seconds, by how long those took that have come to their end."""
    least, unknown, most = PATIENCE
    return min(most, max(least, TIMES_THE_QUICKEST * min(took))) if took else unknown


class _Senders:
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
