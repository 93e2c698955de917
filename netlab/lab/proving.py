"""`netlab check` inside a lab: one expectation after the other, but no waiting in turn for packets that never come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol

from netlab.model.cluster import ClusterView
from netlab.model.journey import CheckResult, ExpectationResult
from netlab.model.topology import Expectation
from netlab.probe.check import Send, prove, summed_up

HEAD_START = 0.1
"""Seconds until the next expectation is tried although the last one has not come to its end: it waits for something."""
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
        senders = _Senders(lambda: opened.enter_context(sender()))

        def try_(expectation: Expectation) -> ExpectationResult:
            with senders.one() as mine:
                return prove(expectation, view=view, send=mine.probe)

        begun: list[Future[ExpectationResult]] = []
        for expectation in view.topology.spec.expect:
            begun.append(threads.submit(try_, expectation))
            wait(begun[-1:], timeout=HEAD_START)
        return summed_up(view, [each.result() for each in begun])


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
